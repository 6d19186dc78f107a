"""Quasi-rejection sampling (Eikema et al., "An approximate sampler for energy-based models with divergence
diagnostics", TMLR 2022).

Rejection sampling needs beta >= rho / q for every text, rho = exp(-E / T). With any beta > 0 the draws that are taken
with probability min(1, rho / (beta q)) follow another law, whose distance to the target one pool of draws can tell:

    p_beta = min(rho, beta q) / Z_beta,    Z_beta = E_q[min(w, beta)],    Z = E_q[w],    w = rho / q,
    acceptance rate = Z_beta / beta,       TVD = 1/2 E_q |w / Z - min(w, beta) / Z_beta|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from samplers import independent_draws
from samplers.one_proposal import DrawSampler
from samplers.rejection import take
from samplers.weights import Estimate
from textsearch.checks import floats, keep, real, reals
from textsearch.objective import Objective
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info


@final
@dataclass(frozen=True)
class QuasiRejection(DrawSampler):
    """Draw a text from q and take it with probability min(1, rho / (beta q)), rho = exp(-E / T), beta = exp(log_beta).

    Biased: accepted texts are independent draws from min(rho, beta q), however many there are. A smaller beta accepts
    more draws, and their law is nearer to q. Only with beta >= rho / q for every
    text are they draws from rho, and this sampler cannot know that; where it is known, use `Rejection`, which is exact
    and says so. A step costs a draw and its energy. `tvd_and_acceptance` tells the distance and the acceptance rate for
    any beta from recorded "draw log weights".

    Attributes:
        proposal: draws the texts and knows log q.
        log_beta: log of beta, nats, for the temperature of the run.

    >>> from samplers import accepted_texts
    >>> from samplers.proposals import Uniform
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import letters
    >>> few_a = FunctionObjective(lambda texts: [2 * text.count("a") for text in texts], name="few a")
    >>> result = generate(few_a, QuasiRejection(Uniform(letters("ab")), 1.0), ["__"], steps=20, seed=0, thin=1)
    >>> accepted_texts(result)
    [['bb', 'bb', 'bb', 'ab', 'bb', 'bb', 'bb', 'bb']]
    >>> best, _ = tvd_and_acceptance(result.recorded["draw log weights"], [math.log(4), 0.0])
    >>> best.tvd.value
    0.0
    """

    proposal: IndependentProposal
    log_beta: float

    kinds: ClassVar = ("quasi-rejection",)
    guarantee: ClassVar = Guarantee.BIASED

    def __post_init__(self) -> None:
        super().__post_init__()
        must = "be a finite number of nats; see tvd_and_acceptance for a choice"
        keep(self, log_beta=real("log_beta", self.log_beta, must))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """Draw a text for every row; accept it or not."""
        drawn, log_weights = independent_draws.draw_weighted(
            self.proposal, objective, state.batch, rng.fold(0), temperature
        )
        return take(self.proposal, state, drawn, log_weights, log_weights - self.log_beta, rng)


@final
@dataclass(frozen=True)
class Divergence:
    """What quasi-rejection with one beta would do.

    Attributes:
        log_beta: nats.
        acceptance: share of draws taken, and its standard error.
        tvd: total variation distance from the accepted texts' law to the target, between 0 and 1, and its standard
            error; 0 with an error of 0 where no draw of the pool is above beta, though others may be.
    """

    log_beta: float
    acceptance: Estimate
    tvd: Estimate


def tvd_and_acceptance(log_weights: ArrayLike, log_betas: Sequence[float]) -> list[Divergence]:
    """Distance to the target and acceptance rate for each beta, from one pool of log-weights -E / T - log q, nats.

    Standard errors are by the delta method. A text that the pool did not meet is in none of these figures. Where a
    single text lies above beta, the TVD rises and then falls with that text's share of the draws: near the top it is
    flat in that share, and its reported standard error can be far too small.

    Args:
        log_weights: of S draws, log of exp(-E / T) / q in nats; -inf for a draw without weight.
        log_betas: the bounds to judge, in nats.

    Raises:
        ValueError: fewer than 2 draws, or none of weight above 0.

    >>> [half] = tvd_and_acceptance([0.0, math.log(3)] * 500, [0.0])
    >>> half.acceptance.value, half.tvd.value
    (1.0, 0.25)
    """
    pool = floats("log_weights", log_weights).ravel()
    betas = reals("log_betas", log_betas, "be a finite number of nats")
    top = pool.max(initial=-math.inf)
    if len(pool) < 2 or not math.isfinite(top):
        raise ValueError(f"{len(pool)} draws, the largest log-weight {top}: take at least 2, one of them possible")
    return [_divergence(pool, float(log_beta)) for log_beta in betas]


def _divergence(pool: NDArray[np.float64], log_beta: float) -> Divergence:
    taken = np.exp(np.minimum(pool - log_beta, 0.0))
    # densities with respect to q of the target and of the law of what is taken, each of mean 1 over the pool
    target, law = np.exp(pool - pool.max()), np.exp(np.minimum(pool, log_beta) - min(pool.max(), log_beta))
    target, law = target / target.mean(), law / law.mean()
    gap, sign = np.abs(target - law), np.sign(target - law)
    # how the distance follows each draw: by its own gap, and through the two means that it is part of
    share = (gap - (sign * target).mean() * target + (sign * law).mean() * law) / 2
    root = math.sqrt(len(pool))
    return Divergence(
        log_beta,
        Estimate(float(taken.mean()), float(taken.std(ddof=1)) / root),
        Estimate(float(gap.mean()) / 2, float(share.std(ddof=1)) / root),
    )
