"""Canonical rows: each text in the one spelling that its tokenizer gives it; see `textsearch.spelling`.

Every run forbids all other rows by itself. The term also checks vocabularies with `one_spelling`, and batches that no
chain made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.objective import Cost, Objective
from textsearch.spelling import respelled


@final
@dataclass(frozen=True)
class Canonical(Objective):
    """The row is the encoding of its own text: energy 0, or +inf.

    Chains do not need this term: they forbid other spellings anyway.

    >>> from textsearch.language.words import WordVocabulary
    >>> words = WordVocabulary.of(["a", "lot", "a lot"])  # "a lot" is one token, or two
    >>> batch = words.batch([["a", "lot"], ["a lot"]])
    >>> batch.texts(), Canonical().energy(batch).tolist()
    (['a lot', 'a lot'], [0.0, inf])
    """

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    @property
    def lower_bound(self) -> float:
        """Zero."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the rows that are their text's own, +inf for its other spellings."""
        pairs = zip(respelled(batch), batch.token_lists(), strict=True)
        energies = [0.0 if own == row else math.inf for own, row in pairs]
        return torch.tensor(energies, dtype=torch.float64, device=batch.device)
