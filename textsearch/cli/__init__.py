"""The command line: an application on top of the three packages, which may use all of them."""

# importing a command adds it to the application
from textsearch.cli import correct, infill, keywords, paraphrase, write
from textsearch.cli.app import app

__all__ = ["app", "correct", "infill", "keywords", "main", "paraphrase", "write"]


def main() -> None:
    """Run the command line."""
    app()
