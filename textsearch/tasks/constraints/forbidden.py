"""Words and phrases that a text must not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from textsearch.tasks.constraints.base import Phrases, Rules, WordRule

if TYPE_CHECKING:
    from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class ForbiddenConstraint(Phrases):
    """None of these words and phrases occurs."""

    name: str = "forbidden"
    help: str = "Words and phrases not in it."

    def check(self, value: tuple[str, ...], request: Any) -> None:
        """Nothing that is fixed holds one of them."""
        from textsearch.tasks.constraints.layouts import holds, surface_words

        for name, whole, text in request.fixed():
            for phrase in value:
                if holds(surface_words(text), surface_words(phrase)):
                    raise ValueError(f"{name}={whole!r} holds the forbidden {phrase!r}: take one of them away")

    def rules(self, value: tuple[str, ...]) -> Rules:
        """No word that is chosen freely is one of them."""
        phrases = frozenset(phrase.casefold() for phrase in value)
        return Rules(every=WordRule(("none of", phrases), lambda word: word not in phrases))

    def hard(self, values: Sequence[tuple[str, ...]]) -> Objective:
        """`objectives.Forbidden`."""
        from objectives import Forbidden

        return Forbidden(values)
