"""Mixture: one of several proposals at each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.checks import keep, mapping, real
from textsearch.kinds import PROPOSAL, instance
from textsearch.models.usage import charged_to
from textsearch.proposal import Move, Proposal
from textsearch.rng import Rng, categorical

_LARGEST = 1e300  # so that weights can be added up


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
        mapping("parts", parts, "proposals and weights", "{Replace(model): 0.6, InsertDelete(model): 0.4}")
        for number, proposal in enumerate(parts):
            instance(f"parts[{number}]", proposal, PROPOSAL)
            if proposal.vocabulary is not next(iter(parts)).vocabulary:
                raise ValueError("the proposals of a mixture must share one vocabulary, that is, one tokenizer object")
        keep(self, parts=tuple(parts), weights=shares(parts))

    @property
    def vocabulary(self) -> Vocabulary:
        """The one that all parts share."""
        return self.parts[0].vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the moves of all parts, in order."""
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
                with charged_to("/".join(part.kinds)):
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
    must = "be a positive number; leave it out instead"
    values = [
        float(real("weight", weight, must, lambda x: 0 < x <= _LARGEST, f" of {'/'.join(one.kinds)}"))
        for one, weight in weights.items()
    ]
    total = math.fsum(values)
    return tuple(value / total for value in values)
