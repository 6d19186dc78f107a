"""The command line: an application on top of the three packages, which may use all of them."""

from textsearch.cli.app import main

__all__ = ["main"]
