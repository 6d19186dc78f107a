"""Alliteration: neighbouring words that begin alike."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from textsearch import Batch, Cost, Objective


@final
@dataclass(frozen=True)
class Alliteration(Objective):
    """Nats for each pair of neighbouring words that do not begin with the same letter.

    Attributes:
        nats: for each pair.
    """

    nats: float = 1.0

    @property
    def cost(self) -> Cost:
        """No model is asked."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) float64, nats."""
        initials = [[word[0].lower() for word in text.split()] for text in batch.texts()]
        pairs = [sum(one != other for one, other in pairwise(row)) for row in initials]
        return self.nats * torch.tensor(pairs, dtype=torch.float64)
