"""How a text ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textsearch.tasks.constraints.base import Constraint, check_count

if TYPE_CHECKING:
    from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class SuffixConstraint(Constraint):
    """The text ends with these words."""

    name: str = "suffix"
    help: str = "How it ends."
    drafts: bool = False

    def check_size(self, value: str) -> None:
        """In characters and in words."""
        from objectives.keywords import words

        Constraint.check_size(self, value)
        check_count(self.name, value, len(words(value)))

    def written(self, value: str) -> Sequence[str]:
        """As it is."""
        return (value,)

    def hard(self, values: Sequence[str]) -> Objective:
        """`objectives.Suffix`."""
        from objectives import Suffix

        return Suffix(values)
