"""Lines on standard error that say what is being waited for. Light to import: they come before anything heavy does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from textsearch.watching import Note, Waiting, tell

SELDOM = 30.0
"""Seconds between two lines where nobody watches."""


@contextmanager
def waiting(message: str, shown: bool) -> Iterator[Callable[[str], None]]:
    """A line on standard error that says what is being done while the block runs; what it yields says how far.

    Where nobody watches, as in the log of a job, that is a plain line every `SELDOM` seconds at most.
    """
    tell(Waiting(message))
    try:
        with _line(message, shown) as say:

            def told(far: str) -> None:
                tell(Waiting(f"{message}: {far}"))
                say(far)

            yield told
    finally:
        tell(Waiting(""))


@contextmanager
def _line(message: str, shown: bool) -> Iterator[Callable[[str], None]]:
    """The line itself."""
    if not shown:
        yield lambda far: None
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True)
    if not console.is_terminal:
        last = time.monotonic()

        def seldom(far: str) -> None:
            nonlocal last
            if time.monotonic() - last >= SELDOM:
                last = time.monotonic()
                note(f"{message}: {far}", shown)

        yield seldom
        return
    with console.status(message) as status:
        yield lambda far: status.update(escape(f"{message}: {far}"))


def note(message: str, shown: bool) -> None:
    """A line on standard error that stays."""
    tell(Note(message))
    if shown:
        from rich.console import Console

        Console(stderr=True).print(message, markup=False, highlight=False, emoji=False, soft_wrap=True)
