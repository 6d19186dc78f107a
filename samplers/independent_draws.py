"""Fresh draws and their log-weights: what all samplers on independent proposals share.

q need not draw every text. In a `Cycle` or a `Mixture` other samplers can lead to a text x with q(x) = 0. No draw comes
back to x, so replacing it by a draw would not leave the target invariant: such a text is kept. With S the texts that q
draws and p = exp(-E / T), a kernel that leaves p restricted to S invariant and moves nothing outside S leaves p
invariant. A text with p = 0, a forbidden text or a template, is replaced by the first draw of weight above 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from samplers.proposals.sites import masks
from textsearch.batch import Batch
from textsearch.objective import Objective, evaluate
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState


def start(proposal: IndependentProposal, objective: Objective, batch: Batch) -> ChainState:
    """The texts with their energies, which may be +inf; a template has energy +inf.

    For a sampler that runs alone, outside any `Cycle` or `Mixture`.

    Raises:
        ValueError: a text of finite energy that q cannot draw: the chain would never leave it.
    """
    proposal.check(batch)
    state = ChainState(batch, evaluate(objective, batch, wanted=~masks(batch).any(1)))
    strange = ~drawable(proposal, state)
    if bool(strange.any()):
        row = int(strange.nonzero()[0])
        raise ValueError(
            f"row {row}, {batch.rows([row]).texts()[0]!r}, is no text that {type(proposal).__name__} could draw, and "
            "would be kept for ever: start from one that it draws, from a template or a forbidden text, or let another "
            "sampler of a Cycle or Mixture lead away from it"
        )
    return state


def drawable(proposal: IndependentProposal, state: ChainState) -> Tensor:
    """(B,) bool, whether a draw may replace a text: q can draw it, or its energy is +inf."""
    free = state.evaluation.energy == math.inf
    asked = (~free).nonzero().squeeze(-1)
    return free.index_put((asked,), log_prob(proposal, state.batch.rows(asked)) > -math.inf) if len(asked) else free


def log_prob(proposal: IndependentProposal, batch: Batch) -> Tensor:
    """(B,) float64 log q of the texts that stand there, -inf for what q does not draw.

    Raises:
        ValueError: it is nan or +inf.
    """
    found = proposal.log_prob(batch)
    _refuse(proposal, batch, found, found.isnan() | (found == math.inf), "finite, or -inf for one that it cannot draw")
    return found


def draw_weighted(
    proposal: IndependentProposal, objective: Objective, batch: Batch, rng: Rng, temperature: float | Tensor
) -> tuple[ChainState, Tensor]:
    """A fresh text for each row, and (B,) float64 -E / T - log q, nats; -inf for one forbidden, or that failed.

    Raises:
        ValueError: log q of a draw is nan or -inf, or a weight is more than a number can hold.
    """
    texts, log_draw = draw_texts(proposal, batch, rng)
    evaluation = evaluate(objective, texts, wanted=log_draw < math.inf)
    log_weights = -evaluation.energy / temperature - log_draw
    over = log_weights.isnan() | (log_weights == math.inf)
    if bool(over.any()):
        row = int(over.nonzero()[0])
        raise ValueError(
            f"the draw {texts.rows([row]).texts()[0]!r} has log-weight {float(log_weights[row])} at energy "
            f"{float(evaluation.energy[row])}: raise the temperature {_of(temperature, row)}, or scale the energy down"
        )
    return ChainState(texts, evaluation), log_weights


def draw_texts(proposal: IndependentProposal, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
    """A fresh text for each row, and (B,) float64 log q, nats; +inf for one that failed.

    Raises:
        ValueError: log q of a draw is nan or -inf.
    """
    texts, log_draw = proposal.draw(batch, rng)
    wrong = log_draw.isnan() | (log_draw == -math.inf)
    _refuse(proposal, texts, log_draw, wrong, "finite, or +inf for a draw that failed")
    return texts, log_draw


def _refuse(proposal: IndependentProposal, batch: Batch, found: Tensor, wrong: Tensor, wanted: str) -> None:
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"{type(proposal).__name__} gave log q = {float(found[row])} for row {row}, "
            f"{batch.rows([row]).texts()[0]!r}; it must be {wanted}"
        )


def _of(temperature: float | Tensor, row: int) -> float:
    heat = torch.as_tensor(temperature, dtype=torch.float64)
    return float(heat.expand(row + 1)[row] if heat.ndim == 0 else heat[row])
