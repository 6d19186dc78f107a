"""Words and phrases that a text must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textsearch.tasks.constraints.base import Phrases, check_count

if TYPE_CHECKING:
    from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class RequiredConstraint(Phrases):
    """Each of these words and phrases occurs."""

    name: str = "required"
    help: str = "Words and phrases in it, apart by commas."

    def check_size(self, value: tuple[str, ...]) -> None:
        """Of all together, in words too."""
        from objectives.keywords import words

        Phrases.check_size(self, value)
        check_count(self.name, value, len(words(" ".join(value))))

    def written(self, value: tuple[str, ...]) -> Sequence[str]:
        """Each phrase."""
        return value

    def hard(self, values: Sequence[tuple[str, ...]]) -> Objective:
        """`objectives.Keywords`."""
        from objectives import Keywords

        return Keywords(values)
