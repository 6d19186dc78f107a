"""Programs to read and to run: `python demos/keywords.py`."""
