"""Mixture: one of several proposals at each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.models.usage import asked_by
from textsearch.proposal import Move, Proposal
from textsearch.rng import Rng, categorical


@final
@dataclass(frozen=True, eq=False)
class Mixture:
    """Each row takes one of the proposals, with fixed probabilities.

    Every part is reversible on its own, so the choice of part cancels in the acceptance ratio (Tierney, 1994). A move
    costs what that of its part does.

    Attributes:
        parts: the proposals.
        weights: their probabilities, one each.
    """

    parts: tuple[Proposal, ...]
    weights: tuple[float, ...]

    def __init__(self, parts: Mapping[Proposal, float]) -> None:
        if not parts:
            raise ValueError("a mixture needs at least one proposal")
        for proposal in parts:
            if proposal.vocabulary is not next(iter(parts)).vocabulary:
                raise ValueError("the proposals of a mixture must share one vocabulary, that is, one tokenizer object")
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "weights", shares(parts))

    @property
    def vocabulary(self) -> Vocabulary:
        """The one that all parts share."""
        return self.parts[0].vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """Those of all parts, in order."""
        return tuple(kind for part in self.parts for kind in part.kinds)

    def check(self, batch: Batch) -> None:
        """Refuse what any part refuses."""
        for part in self.parts:
            part.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One move a row, each from the part that the row's own stream chose."""
        log_weights = torch.tensor(self.weights, dtype=torch.float64, device=batch.device).log()
        choice = categorical(log_weights.expand(len(batch), -1), rng.uniform(0))
        moves, indices, offset = [], [], 0
        for number, part in enumerate(self.parts):
            index = (choice == number).nonzero().squeeze(-1)
            if len(index):
                with asked_by("/".join(part.kinds)):
                    move = part.propose(batch.rows(index), rng.rows(index).fold(number + 1))
                moves.append(replace(move, kind=move.kind + offset))
                indices.append(index)
            offset += len(part.kinds)
        back = torch.cat(indices).argsort()
        return Move(
            concatenate([move.batch for move in moves]).rows(back),
            torch.cat([move.log_forward for move in moves])[back],
            torch.cat([move.log_backward for move in moves])[back],
            torch.cat([move.kind for move in moves])[back],
        )


def shares(weights: Mapping[Any, float]) -> tuple[float, ...]:
    """The probabilities of proposals or samplers whose weights are these."""
    for part, weight in weights.items():
        if not (weight > 0 and math.isfinite(weight)):
            raise ValueError(
                f"weight={weight} of {'/'.join(part.kinds)} must be a positive number; leave it out instead"
            )
    total = math.fsum(weights.values())
    return tuple(weight / total for weight in weights.values())
