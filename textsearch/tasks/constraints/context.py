"""What was said before a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textsearch.checks import MAX_INPUT
from textsearch.tasks.constraints.base import Constraint, Judges

if TYPE_CHECKING:
    from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class ContextConstraint(Constraint):
    """What was said before; soft."""

    name: str = "context"
    help: str = "What was said before."
    most_characters: int = MAX_INPUT
    weight: str = "coherence_weight"

    def before(self, value: str, lm: object) -> str:
        """The context, on a line of its own."""
        return value.rstrip() + "\n"

    def soft(self, values: Sequence[str], judges: Judges) -> Objective:
        """`objectives.Coherence`."""
        from objectives import Coherence

        return Coherence(judges.causal(), values)
