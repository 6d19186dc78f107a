"""What a text should be about."""

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
class TopicConstraint(Constraint):
    """A text or a few words that the text should be about; soft."""

    name: str = "topic"
    help: str = "What it should be about."
    most_characters: int = MAX_INPUT
    weight: str = "topic_weight"

    def soft(self, values: Sequence[str], judges: Judges) -> Objective:
        """`objectives.Similarity`."""
        from objectives import Similarity

        return Similarity(judges.encoder(), values)
