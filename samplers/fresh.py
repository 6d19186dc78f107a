"""Fresh draws and their log-weights: what all samplers on independent proposals share."""

from __future__ import annotations

import math

from torch import Tensor

from samplers.proposals.sites import masks
from textsearch.batch import Batch
from textsearch.objective import Objective, evaluate
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState


def start(
    proposal: IndependentProposal, objective: Objective, batch: Batch, wanted: Tensor | None = None
) -> ChainState:
    """The batch with its energies, forbidden or not; rows that are not `wanted` (B,) bool are +inf.

    By default these are the rows with a mask in them: a template is no text, and must not pass for a good one.
    """
    proposal.check(batch)
    if wanted is None:
        wanted = ~masks(batch).any(1)
    return ChainState(batch, evaluate(objective, batch, wanted=wanted))


def draw(
    proposal: IndependentProposal, objective: Objective, batch: Batch, rng: Rng, temperature: float | Tensor
) -> tuple[ChainState, Tensor]:
    """A fresh text for each row, and (B,) float64 -E / T - log q, nats; -inf for one forbidden, or that failed."""
    drawn, log_prob = proposal.draw(batch, rng)
    evaluation = evaluate(objective, drawn, wanted=log_prob < math.inf)
    return ChainState(drawn, evaluation), -evaluation.energy / temperature - log_prob
