"""How fast the inputs of a command are answered, and how long the rest will take."""

from __future__ import annotations

import sys
import time
from typing import final

from textsearch.cli.console import is_terminal

SELDOM = 30.0
"""Seconds between two lines where nobody watches, as in the log of a job."""


@final
class Pace:
    """Says now and then how it goes.

    Args:
        total: inputs.
    """

    def __init__(self, total: int) -> None:
        self._total, self._first, self._said = total, 0, 0
        self._began = self._last = time.monotonic()

    def start(self, given: int) -> None:
        """Time starts, with so many inputs answered already."""
        self._first = self._said = given
        self._began = self._last = time.monotonic()

    def line(self, given: int) -> str:
        """A line, if there is something to be said: so many inputs are answered now."""
        now = time.monotonic()
        new = given - self._first
        if given == self._said or given == self._total or (not is_terminal(sys.stderr) and now - self._last < SELDOM):
            return ""
        self._said, self._last = given, now
        rate = new / max(now - self._began, 1e-9)
        each = f"{rate:.1f} a second" if rate >= 1 else f"{1 / rate:.1f} s each"
        return f"{given} of {self._total} inputs, {each}, {duration((self._total - given) / rate)} left"


def duration(seconds: float) -> str:
    """So many seconds in the two largest units.

    >>> duration(7.4), duration(140), duration(5 * 3600 + 130)
    ('7 s', '2 min 20 s', '5 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
