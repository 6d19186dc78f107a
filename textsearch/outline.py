"""Outlines: what a text must hold, as far as its terms can say before there is any: for a run without starting texts.

An outline promises nothing. Whether a text is allowed the energy says; an outline says where to look for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

Fixed = tuple[str, ...]
"""Words that stand side by side, in one string; of several strings any will do."""


@final
@dataclass(frozen=True)
class Room:
    """Space for `low` to `high` words, or characters of Chinese, without an upper bound if that is None."""

    low: int = 0
    high: int | None = None


@final
@dataclass(frozen=True)
class Outline:
    """What a text must hold.

    Attributes:
        parts: what stands there from left to right, words and room for others.
        anywhere: what must stand in one of the rooms, in any order.
        low: words at least, those that are fixed with them.
        high: words at most; None for no bound.
        without: words that must not stand there.

    >>> begins, holds = Outline((("The dog",), Room())), Outline(anywhere=(("park",),), high=9)
    >>> begins.also(holds) == Outline((("The dog",), Room()), (("park",),), high=9)
    True
    """

    parts: tuple[Fixed | Room, ...] = (Room(),)
    anywhere: tuple[Fixed, ...] = ()
    low: int = 0
    high: int | None = None
    without: tuple[str, ...] = ()

    def also(self, other: Outline) -> Outline:
        """Both outlines in one, as far as they can be brought together: the parts of the other go into an open end."""
        highs = [high for high in (self.high, other.high) if high is not None]
        return Outline(
            _joined(self.parts, other.parts),
            self.anywhere + other.anywhere,
            max(self.low, other.low),
            min(highs) if highs else None,
            self.without + other.without,
        )


_ANYTHING: tuple[Fixed | Room, ...] = (Room(),)


def _joined(one: tuple[Fixed | Room, ...], other: tuple[Fixed | Room, ...]) -> tuple[Fixed | Room, ...]:
    """Parts that do for both, or those of the first where none are seen to."""
    if one == _ANYTHING:
        return other
    for first, second in ((one, other), (other, one)):
        if second == _ANYTHING:
            return first
        if first[-1:] == second[:1] == _ANYTHING:
            return (*first, *second[1:])
    return one
