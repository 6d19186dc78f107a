"""What a request may ask for: one file for each thing, and `table.py` that lists them.

A new one is a class in a file of its own, and one line in the table: requests, starts, limits, the energy and the
command line read the table. Light to import: `--help` does not wait for torch.
"""
