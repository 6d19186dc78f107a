"""How much a model has been asked: the currency in which samplers are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Usage:
    """Counts that only grow.

    Attributes:
        passes: calls of the model.
        rows: texts that it read.
        tokens: tokens that it read, padding included.
    """

    passes: int = 0
    rows: int = 0
    tokens: int = 0

    def count(self, shape: Sequence[int]) -> None:
        """Add one pass over (rows, width) tokens."""
        self.passes += 1
        self.rows += shape[0]
        self.tokens += shape[0] * shape[1]
