"""Who is next: places that are given in the order in which they were asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import final


@final
class Places:
    """So many places for threads, first come, first served.

    One place is a lock that is fair: who lets go of it and asks again stands behind all who wait.

    >>> places = Places(1)
    >>> places.take(lambda: False), places.waiting
    (True, 0)
    >>> places.leave()
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._line: deque[object] = deque()
        self._changed = Condition()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    def take(self, given_up: Callable[[], bool], ticket: object | None = None) -> bool:
        """Wait for a place; False, without one, once `given_up` says so (see `wake`)."""
        own = object() if ticket is None else ticket
        with self._changed:
            self._line.append(own)
            try:
                self._changed.wait_for(lambda: given_up() or (self._free > 0 and self._line[0] is own))
            finally:
                self._line.remove(own)
                self._changed.notify_all()
            if given_up():
                return False
            self._free -= 1
            return True

    def leave(self) -> None:
        """Give a place back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def place_of(self, ticket: object) -> int | None:
        """How many are served before this one; None for who does not wait."""
        with self._changed:
            return self._line.index(ticket) if ticket in self._line else None

    def wake(self) -> None:
        """Let all who wait ask again whether they have given up."""
        with self._changed:
            self._changed.notify_all()
