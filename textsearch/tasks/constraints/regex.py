"""A regular expression that is found in a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from textsearch.tasks.constraints.base import Constraint

if TYPE_CHECKING:
    import numpy as np

    from textsearch.objective import Objective

_TRIES = 200


@final
@dataclass(frozen=True)
class RegexConstraint(Constraint):
    """A regular expression found in the text."""

    name: str = "regex"
    help: str = "A regular expression found in it."
    sizes: bool = True
    ends: bool = True

    def hinted(self, value: str, request: Any, rng: np.random.Generator) -> Any:
        """The request with a template made of words that the expression spells out.

        Some of these words in their order, with gaps between them, are kept if the expression is found in them once the
        gaps are filled with any word.
        """
        import regex

        from objectives.pattern import search_for

        if (
            request.template
            or request.prefix
            or request.suffix
            or any(rules.at for _, rules in request.rules_by_name())
        ):
            return None
        escaped = regex.compile(r"\\.|\(\?[a-zA-Z]+\)|\[[^]]*\]")
        number = regex.compile(r"(\\d|\[0-9\])([+*]|\{\d+(,\d*)?\})?")
        spelled = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}' ]*[\p{L}\p{N}]|[\p{L}\p{N}]")
        hints = spelled.findall(escaped.sub(" ", number.sub(" 3 ", value)))
        search = search_for(value)
        for _ in range(_TRIES if hints else 0):
            chosen = [hint for hint in hints if rng.random() < 0.7]
            before, *behind = rng.integers(0, 4, len(chosen) + 1).tolist()
            parts = [_room(before), *(part for pair in zip(chosen, map(_room, behind), strict=True) for part in pair)]
            text = " ".join(" ".join(parts).replace("*{1}", "thing").split())
            if chosen and "thing" in text and search.found(text[:1].upper() + text[1:] + "."):
                return request.but(regex="", words=None, template=" ".join(parts))
        return None

    def hard(self, values: Sequence[str]) -> Objective:
        """`objectives.Pattern`."""
        from objectives import Pattern

        return Pattern(values)


def _room(count: int) -> str:
    """Gaps of a template for so many words."""
    return " ".join(["*{1}"] * count)
