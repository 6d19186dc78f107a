"""Who watches a run is told of what else would be forgotten: proposals, their energies, what is being waited for.

Nobody watches unless somebody asks to, and what is told changes nothing of a run: no random number, no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import final

Watcher = Callable[[object], None]

_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@final
@dataclass(frozen=True)
class Waiting:
    """What is being done that takes a while, and how far it is; empty once it is done."""

    message: str


@final
@dataclass(frozen=True)
class Note:
    """A line that stays."""

    message: str


@final
@dataclass(frozen=True)
class Search:
    """Of several searches that follow one another, the number of the one that begins."""

    number: int


def tell(thing: object) -> None:
    """Tell the watcher, if there is one."""
    if (watcher := _WATCHER.get()) is not None:
        watcher(thing)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """While the block runs, `watcher` sees what this thread tells.

    >>> seen = []
    >>> with watched(seen.append):
    ...     tell(Waiting("loading"))
    >>> tell(Waiting("nobody hears it"))
    >>> seen
    [Waiting(message='loading')]
    """
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


@contextmanager
def overheard(listener: Watcher) -> Iterator[None]:
    """While the block runs, `listener` sees what this thread tells, and whoever watches it sees it too.

    >>> seen, also_seen = [], []
    >>> with watched(seen.append), overheard(also_seen.append):
    ...     tell(Note("found"))
    >>> seen == also_seen == [Note("found")]
    True
    """
    watcher = _WATCHER.get()

    def both(thing: object) -> None:
        listener(thing)
        if watcher is not None:
            watcher(thing)

    with watched(both):
        yield
