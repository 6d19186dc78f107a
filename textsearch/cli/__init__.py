"""The command line: an application on top of the three packages, which may use all of them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textsearch.cli.commands import app

__all__ = ["app", "main"]


def __getattr__(name: str) -> object:
    """Load the application when it is first used: a signal that comes while it loads finds `main` ready for it."""
    if name != "app":
        raise AttributeError(f"module 'textsearch.cli' has no attribute {name!r}")
    from textsearch.cli.commands import app

    return app


def main() -> None:
    """Run the command line, and leave with its exit code: 0, 1 all inputs refused, 2 wrong usage, 130 and 143."""
    from textsearch.cli.leaving import leave

    leave(_run)


def _run() -> None:
    from textsearch.cli.commands import app

    app()
