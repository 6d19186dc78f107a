"""Rejection sampling over texts (von Neumann, "Various techniques used in connection with random digits", 1951)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from samplers import independent_draws
from samplers.one_proposal import DrawSampler
from textsearch.checks import floats, keep, real
from textsearch.kinds import RESULT, instance
from textsearch.objective import Objective
from textsearch.proposal import IndependentProposal
from textsearch.result import Generations
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info

DRAW_LOG_WEIGHTS = "draw log weights"
"""What is recorded of the draws, taken or not: log of exp(-E / T) / q, nats."""

ATTEMPTS = "attempts"
"""What is recorded where a step is several draws: how many it took."""

_PROPOSE, _ACCEPT = range(2)  # tags


@final
@dataclass(frozen=True)
class Rejection(DrawSampler):
    """Draw a text from q and take it with probability rho / (lambda q), rho = exp(-E / T) and lambda = exp(log_bound).

    Exact: each step leaves rho invariant, and every accepted text is a draw from it, independent of all others,
    whatever the chain started from (see `accepted_texts`). A rejected draw leaves the text as it was. One draw in
    lambda / Z is accepted, on average. A step costs a draw and its energy; an accepted one also costs log q of the text
    that it replaces.

    A text that q cannot draw, such as one over its `max_length`, is not in the space that this sampler samples, so a
    chain may not start from it unless it is forbidden. In a `Cycle` or `Mixture` other samplers can lead to such a
    text; it is kept. Why this is exact: between texts x and y that q draws, rho(x) q(y) rho(y) / (lambda q(y)) flows
    either way. A text with q(x) = 0 would send rho(x) rho(y) / lambda to each y, and no draw would come back to it:
    only if it sends nothing does it keep its share.

    The bound must hold for every text: log_bound >= -E / T - log q. A draw above it stops the run with an error that
    names the bound needed. It can be proved where q is the language model of the energy: with q = FromLeft(lm, prompt)
    and E = Fluency(lm, prompt) + terms that are never negative, at temperature 1, rho / q <= 1 and log_bound=0 is
    right; with hard constraints for the terms this keeps the drafts that obey them. `guess_log_bound` can but guess.

    Attributes:
        proposal: draws the texts and knows log q.
        log_bound: log of lambda, nats, for the temperature of the run.
        tolerance: nats by which rounding may lift a draw above the bound; such a draw is accepted.

    >>> from objectives import Fluency
    >>> from samplers.proposals import FromLeft
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("abc"), seed=0)
    >>> no_b = FunctionObjective(lambda texts: [math.inf if "b" in text or text == "" else 0.0 for text in texts])
    >>> drafts = Rejection(FromLeft(lm, max_length=32), log_bound=0.0)
    >>> result = generate(Fluency(lm) + no_b, drafts, [""], steps=30, seed=0, thin=1)
    >>> [texts] = accepted_texts(result)
    >>> texts
    ['caca', 'c']
    """

    proposal: IndependentProposal
    log_bound: float
    tolerance: float = 1e-3

    kinds: ClassVar = ("rejection",)
    guarantee: ClassVar = Guarantee.EXACT

    def __post_init__(self) -> None:
        super().__post_init__()
        must = "be a finite number of nats: the largest -E / T - log q of any text"
        least = "be a finite number of at least 0 nats; 1e-3 allows for rounding"
        keep(
            self,
            log_bound=real("log_bound", self.log_bound, must),
            tolerance=real("tolerance", self.tolerance, least, lambda x: 0 <= x < math.inf),
        )

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """Draw a text for every row; accept it or not.

        Raises:
            ValueError: `log_bound` is too low for a draw; the message has the one that is needed.
        """
        drawn, log_weights = independent_draws.draw_weighted(
            self.proposal, objective, state.batch, rng.fold(_PROPOSE), temperature
        )
        log_ratio = log_weights - self.log_bound
        if bool((log_ratio > self.tolerance).any()):
            row = log_weights.argmax()[None]
            raise ValueError(
                f"log_bound={self.log_bound} is too low: the draw {drawn.batch.rows(row).texts()[0]!r} needs at least "
                f"{float(log_weights[row]):.6g}. Texts taken so far are no longer draws from the target; "
                "run again with a bound that holds"
            )
        return take(self.proposal, state, drawn, log_weights, log_ratio, rng)


def take(
    proposal: IndependentProposal,
    state: ChainState,
    drawn: ChainState,
    log_weights: Tensor,
    log_ratio: Tensor,
    rng: Rng,
) -> tuple[ChainState, Info]:
    """Each draw with probability min(1, exp(`log_ratio`)), else the state as it was; so, too, what q does not draw."""
    accepted = rng.fold(_ACCEPT).uniform(0).log() < log_ratio
    # only a text that would be given up has to be one that the draws come back to
    rows = accepted.nonzero().squeeze(-1)
    if len(rows):
        kept = rows[~independent_draws.drawable(proposal, state.rows(rows))]
        accepted, log_ratio = accepted.index_fill(0, kept, False), log_ratio.index_fill(0, kept, -math.inf)
    kind = torch.zeros_like(state.batch.lengths)
    return state.where(accepted, drawn), Info(accepted, kind, log_ratio, {DRAW_LOG_WEIGHTS: log_weights})


def guess_log_bound(log_weights: ArrayLike, margin: float = 1.0) -> float:
    """The largest of a pool of log-weights plus `margin` nats: a guess, which may be too low for texts not drawn yet.

    Args:
        log_weights: of S draws, log of exp(-E / T) / q in nats; -inf for a draw without weight.
        margin: nats.

    Raises:
        ValueError: no log-weight is above -inf.

    >>> guess_log_bound([-2.0, 0.5, -float("inf")])
    1.5
    """
    margin = real("margin", margin, "be a finite number of nats")
    largest = float(floats("log_weights", log_weights).max(initial=-math.inf))
    if not math.isfinite(largest):
        raise ValueError(f"the largest log-weight is {largest}: take more draws, until some have a weight above 0")
    return largest + margin


def accepted_texts(result: Generations) -> list[list[str]]:
    """For each input the texts that were accepted, in order.

    Of `Rejection` and `AdaptiveRejection` they are independent draws from the target.

    With `thin` above 1, the last text accepted between two kept steps stands for all of them.

    Args:
        result: of a run that kept its texts (`thin=1`).

    Raises:
        ValueError: the run recorded no acceptances, or kept no texts.
    """
    instance("result", result, RESULT)
    if not {DRAW_LOG_WEIGHTS, ATTEMPTS} & set(result.recorded):
        raise ValueError("the run recorded no acceptances: they come from Rejection, QuasiRejection, AdaptiveRejection")
    if result.steps and not result.samples:
        raise ValueError("no texts were kept: generate(..., thin=1) keeps them all")
    found: dict[int, list[str]] = {number: [] for number in np.unique(result.inputs).tolist()}
    begin = result.warm_up
    for end, texts in zip(result.sample_steps, result.samples, strict=True):
        new = result.recorded["accepted"][begin:end].any(0)
        for row in np.flatnonzero(new).tolist():
            found[int(result.inputs[row])].append(texts[row])
        begin = end
    return list(found.values())
