"""How long a text is, in words and in characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from textsearch.checks import MAX_CHARACTERS
from textsearch.tasks.constraints.base import Bounds

if TYPE_CHECKING:
    from textsearch.objective import Objective

Pair = tuple[int, int | None]


@final
@dataclass(frozen=True)
class WordsConstraint(Bounds):
    """The fewest and the most words, marks of punctuation not counted.

    A task may set bounds where none are given: see `Request.bounded`.
    """

    name: str = "words"
    help: str = "How many words: 6-12, 8 or 6-."

    def check(self, value: Pair, request: Any) -> None:
        """What is fixed has so many words, or leaves room for them."""
        from textsearch.tasks.constraints.layouts import max_words

        low, high = value
        if high is not None and request.needed > high:
            sources = " and ".join(request.sources())
            raise ValueError(f"words={value} contradicts {sources}, which take {request.needed} words")
        roomy = [max_words(way) for way in request.layouts()]
        if None not in roomy and max(most for most in roomy if most is not None) < low:
            sources = " and ".join(request.sources(required=False))
            raise ValueError(f"words={value} contradicts {sources}: the gaps have no room for {low}")

    def hard(self, values: Sequence[Pair]) -> Objective:
        """`objectives.LengthBetween`."""
        from objectives import LengthBetween

        low, high = zip(*values, strict=True)
        return LengthBetween(low, high, marks=False)


@final
@dataclass(frozen=True)
class CharactersConstraint(Bounds):
    """The fewest and the most characters, spaces and marks counted."""

    name: str = "characters"
    help: str = "How many characters, with spaces and marks."
    most: int = MAX_CHARACTERS

    def check(self, value: Pair, request: Any) -> None:
        """What is fixed leaves room for it."""
        from objectives.template import Gap
        from textsearch.tasks.constraints.layouts import missing

        if value[1] is None:
            return
        layout = request.layouts()[0]
        parts = [part for part in [*layout, *missing(request.required, layout), ()] if not isinstance(part, Gap)]
        low = request.words[0] if request.words else 0
        least = max(max(sum(map(len, part)) for part in parts), request.needed, low)
        if least > value[1]:
            sources = " and ".join(request.sources()) or f"words={request.words}"
            raise ValueError(f"characters={value} contradicts {sources}: that takes {least} characters or more")

    def hard(self, values: Sequence[Pair]) -> Objective:
        """`objectives.LengthBetween`."""
        from objectives import LengthBetween

        low, high = zip(*values, strict=True)
        return LengthBetween(low, high, characters=True)
