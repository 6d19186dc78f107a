"""`python -m textsearch` is the command `textsearch`."""

from textsearch.cli import main

if __name__ == "__main__":
    main()
