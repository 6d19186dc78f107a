"""Swap: exchange two words, a symmetric move like those of Metropolis et al. (1953)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch

from samplers.proposals.sites import place_of, word_table
from textsearch.batch import Batch, Vocabulary
from textsearch.kinds import VOCABULARY, instance
from textsearch.proposal import Move
from textsearch.rng import Rng


@final
@dataclass(frozen=True, eq=False)
class Swap:
    """Exchange two editable words, the pair drawn uniformly: the same probability both ways, and no pass of a model.

    Attributes:
        vocabulary: the tokens of the batches.
    """

    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        instance("vocabulary", self.vocabulary, VOCABULARY)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The name of its one move."""
        return ("swap",)

    def check(self, batch: Batch) -> None:
        """Refuse no text: one without two words to exchange stays as it is."""

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One exchange a row; rows with fewer than two editable words stay."""
        batch = batch.widen(1)
        first, editable = word_table(batch)
        count = editable.sum(1)
        u, v = rng.uniform(0, 2).unbind(1)
        one = (u * count).floor().to(torch.int64)
        other = (v * (count - 1).clamp(min=0)).floor().to(torch.int64)
        other = other + (other >= one).to(torch.int64)
        possible = count >= 2
        ranks = torch.minimum(one, other), torch.maximum(one, other)
        word = torch.stack([place_of(editable, rank) for rank in ranks], 1)
        (a, c), (b, d) = first.gather(1, word).unbind(1), first.gather(1, word + 1).unbind(1)

        # ... [a, b) ... [c, d) ...  becomes  ... [c, d) ... [a, b) ...: where does each new column come from?
        column = torch.arange(batch.width, device=batch.device).expand(len(batch), -1)
        a, b, c, d = (edge[:, None] for edge in (a, b, c, d))
        middle = a + (d - c)
        tail = middle + (c - b)
        source = torch.where(column < a, column, column - a + c)
        source = torch.where(column >= middle, column - middle + b, source)
        source = torch.where(column >= tail, column - tail + a, source)
        source = torch.where((column >= d) | ~possible[:, None], column, source)
        swapped = batch.shifted(source)
        # a text may start with a piece that goes on a word: behind another word it would become part of it
        possible = possible & (swapped.word_starts.sum(1) == batch.word_starts.sum(1))
        log_forward = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        log_backward = log_forward.masked_fill(~possible, -math.inf)
        return Move(swapped, log_forward, log_backward, torch.zeros_like(batch.lengths))
