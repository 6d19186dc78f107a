"""What a classifier should call a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textsearch.tasks.constraints.base import Constraint, Judges

if TYPE_CHECKING:
    from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class LabelConstraint(Constraint):
    """What a classifier should call the text; soft."""

    name: str = "label"
    help: str = "What --classifier should call it."
    weight: str = "label_weight"
    needs: str = "classifier"

    def soft(self, values: Sequence[str], judges: Judges) -> Objective:
        """`objectives.Classifier`."""
        from objectives import Classifier

        return Classifier(judges.classifier(), values)
