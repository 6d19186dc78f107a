"""What log-weights tell: log Z, means under the target, and how reliable both are.

With draws x_i ~ q and weights w_i = rho(x_i) / q(x_i), self-normalised importance sampling (Hesterberg, 1995; Owen,
"Monte Carlo theory, methods and examples", 2013, chapter 9):

    Z = mean of w,    E[f] = sum of w f / sum of w,    effective sample size = (sum of w)^2 / sum of w^2 (Kong, 1992).

All of this trusts that the draws have met the texts that carry the weight: a handful of draws can be even among
themselves and miss what matters. The Pareto shape k of the largest weights (Vehtari et al., "Pareto smoothed
importance sampling", JMLR 2024) is the warning: as far as the draws show, 1 / k moments of the weights are finite, and
about 10^(1 / (1 - k)) draws are needed, two thousand at k = 0.7 and ten thousand million at k = 0.9.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textsearch.checks import floats, seed_of, whole
from textsearch.kinds import RESULT, instance
from textsearch.result import Generations
from textsearch.result.arviz_versions import pareto_k
from textsearch.rng import Rng, input_numbers

LOG_WEIGHTS = "log weights"
"""The name under which `ImportanceSampling` records those of its draws."""
KIND = "importance"
"""The name of its draws among the kinds of moves: weights of other samplers mean something else."""
POPULATION_KIND = "weighted rejection"
"""That of `AdaptiveWeightedRejection`, whose draws of one step are relatives: only those of two are independent."""

_FEWEST = 25  # draws of weight above 0 that a tail can be fitted to


class Estimate(NamedTuple):
    """A number and its standard error.

    Attributes:
        value: the estimate.
        error: its standard error, in the same unit.
    """

    value: float
    error: float


@final
@dataclass(frozen=True)
class Weights:
    """What the draws for one input came to.

    Attributes:
        input: which.
        draws: how many.
        possible: share of them with a weight above 0: neither forbidden nor failed.
        ess: effective sample size, in draws.
        largest: share of the total weight that the heaviest draw has.
        log_z: log of the sum over all texts of exp(-E / T), nats, and its standard error.
        k_hat: Pareto shape of the largest weights; nan without ArviZ, or with too few draws to fit.
    """

    input: int
    draws: int
    possible: float
    ess: float
    largest: float
    log_z: Estimate
    k_hat: float

    @property
    def warning(self) -> str:
        """Why not to trust the weights, if there is a reason; else empty."""
        limit = min(0.7, 1 - 1 / math.log10(max(self.possible * self.draws, 2)))
        if self.possible == 0:
            return "no draw has a weight above 0: use another proposal, or loosen the constraints"
        if self.k_hat > limit:
            return (
                f"k_hat={self.k_hat:.2f} is above {limit:.2f}: a few draws carry the weight, and the errors are too "
                "small; take more draws, or a proposal closer to the target"
            )
        if self.ess < 10:
            return f"ess={self.ess:.1f} is below 10 draws: take more, or a proposal closer to the target"
        return ""


def importance_summary(result: Generations) -> list[Weights]:
    """What the draws of `generate(objective, ImportanceSampling(...), ...)` came to, one entry for each input.

    Those of `AdaptiveWeightedRejection` too: their log Z and its error are those of the populations of all steps.

    Args:
        result: of a run whose sampler weighs its draws.

    Raises:
        ValueError: the run recorded no log-weights.
    """
    log_weights = _recorded(result)
    found = []
    for number in np.unique(result.inputs).tolist():
        table = log_weights[:, result.inputs == number]
        own = table.ravel()
        found.append(
            Weights(
                input=number,
                draws=len(own),
                possible=float((own > -math.inf).mean()),
                ess=effective_sample_size(own),
                largest=float(_normalised(own).max(initial=0.0)),
                log_z=log_normaliser(_log_means(table) if POPULATION_KIND in result.acceptance else own),
                k_hat=pareto_shape(own),
            )
        )
    return found


def effective_sample_size(log_weights: ArrayLike) -> float:
    """(sum of w)^2 / sum of w^2: so many equally weighted draws would be as good; 0 if all weights are.

    Args:
        log_weights: of S draws, log of exp(-E / T) / q in nats; -inf for a draw without weight.

    >>> effective_sample_size([-1.0, -1.0, -1.0, -float("inf")])
    3.0
    """
    weights = _normalised(_checked(log_weights))
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def log_normaliser(log_weights: ArrayLike) -> Estimate:
    """log of the mean weight, an estimate of log Z, and its standard error by the delta method.

    The error is the relative standard deviation of the mean weight; inf from one draw, or where no weight is above 0.

    Args:
        log_weights: of S draws, log of exp(-E / T) / q in nats; -inf for a draw without weight.

    >>> estimate = log_normaliser([0.0, 0.0, 0.0])
    >>> estimate.value, estimate.error
    (0.0, 0.0)
    """
    log_weights = _checked(log_weights)
    top = float(log_weights.max())
    if top == -math.inf:
        return Estimate(-math.inf, math.inf)
    weights = np.exp(log_weights - top)
    mean, count = float(weights.mean()), len(weights)
    error = float(weights.std(ddof=1)) / mean / math.sqrt(count) if count > 1 else math.inf
    return Estimate(top + math.log(mean), error)


def weighted_mean(log_weights: ArrayLike, values: ArrayLike) -> Estimate:
    """sum of w f / sum of w, an estimate of the mean of f under the target, and its standard error by the delta method.

    Args:
        log_weights: of S draws, log of exp(-E / T) / q in nats; -inf for a draw without weight.
        values: f of each draw, in the same shape; that of a draw without weight may be anything.

    Raises:
        ValueError: no weight is above 0.

    >>> weighted_mean([0.0, 0.0, -float("inf")], [1.0, 3.0, float("inf")]).value
    2.0
    """
    weights, array = _normalised(_checked(log_weights)), floats("values", values)
    shape = np.shape(log_weights)
    if array.shape != shape:
        raise ValueError(f"values of shape {array.shape} for weights of shape {shape}: give one for each draw")
    if not weights.any():
        raise ValueError(f"none of {len(weights)} draws has a weight above 0, so there is no mean: take more draws")
    array = np.where(weights > 0, array.ravel(), 0.0)  # 0 * inf is nan
    mean = float(weights @ array)
    return Estimate(mean, float(np.sqrt(np.square(weights * (array - mean)).sum())))


def pareto_shape(log_weights: ArrayLike) -> float:
    """k of the generalised Pareto law that the largest weights follow; nan if it cannot be told.

    That is: without ArviZ, from fewer than 25 draws of weight above 0, or where the largest weights are all alike.

    Args:
        log_weights: of S draws, log of exp(-E / T) / q in nats; -inf for a draw without weight.

    >>> import numpy as np
    >>> draws = np.random.default_rng(0).exponential(size=4000)
    >>> pareto_shape(0.1 * draws) < 0.5 < 0.7 < pareto_shape(1.5 * draws)
    True
    """
    known = _checked(log_weights)
    known = known[known > -math.inf]
    if len(known) < _FEWEST:
        return math.nan
    try:
        with np.errstate(all="ignore"):
            shape = pareto_k(known)
    except ImportError:
        return math.nan
    return shape if math.isfinite(shape) else math.nan


def systematic_resampling(log_weights: ArrayLike, count: int, seed: int) -> NDArray[np.int64]:
    """(count,) int64 which draws to keep, in proportion to their weights (Carpenter, Clifford and Fearnhead, 1999).

    Draw i comes count * w_i / sum of w times on average, rounded up or down; draws without weight never come.

    Args:
        log_weights: of S draws, log of exp(-E / T) / q in nats; -inf for a draw without weight.
        count: draws to keep.
        seed: the same seed keeps the same draws.

    >>> systematic_resampling([0.0, -float("inf"), 0.0], 4, seed=0).tolist()
    [0, 0, 2, 2]
    """
    count, rng = whole("count", count, unit="draws"), Rng.start(seed_of(seed), 1, purpose="systematic resampling")
    return _systematic(_checked(log_weights), count, float(rng.uniform(0)))


def resampled_texts(
    result: Generations, count: int, seed: int, numbers: Sequence[int] | None = None
) -> list[list[str]]:
    """`count` texts for each input, all of one weight, from a run of `ImportanceSampling` that kept its texts.

    They come in alphabetical order, each in proportion to the total weight of its draws, rounded up or down. A heavy
    draw comes several times: more texts than the effective sample size bring little that is new.

    Args:
        result: of a run that kept its texts (`thin`).
        count: texts for each input.
        seed: the same seed gives the same texts.
        numbers: of the inputs, as the run was given them.

    Raises:
        ValueError: the run recorded no log-weights, kept no texts, or found none of weight above 0.
    """
    count, seed, log_weights = whole("count", count, unit="draws"), seed_of(seed), _recorded(result)
    own_numbers = input_numbers(numbers, len(result.sources))
    found = []
    for number, kept in _kept(result):
        own = np.array([log_weights[step - result.warm_up - 1, row] for step, row, _ in kept])
        # a number for each input, whatever other inputs there are
        uniform = float(Rng.start(seed, 1, number=own_numbers[number], purpose="resampled texts").uniform(0))
        found.append([kept[index][2] for index in _systematic(own, count, uniform).tolist()])
    return found


def _systematic(log_weights: NDArray[np.float64], count: int, uniform: float) -> NDArray[np.int64]:
    """One random number in (0, 1), then steps of equal length through the weights."""
    weights = _normalised(log_weights)
    if not weights.any():
        raise ValueError(f"none of {len(weights)} draws has a weight above 0: there is none to keep; take more")
    sums = weights.cumsum()
    marks = (np.arange(count) + uniform) / max(count, 1) * sums[-1]
    found = np.searchsorted(sums, marks, side="right")
    # rounding may carry the last mark past the end
    return np.asarray(found.clip(max=int(np.flatnonzero(weights)[-1])), dtype=np.int64)


def _kept(result: Generations) -> Iterator[tuple[int, Sequence[tuple[int, int, str]]]]:
    """For each input the kept (step, row, text), in alphabetical order."""
    if not result.samples:
        raise ValueError("no texts were kept: generate(..., thin=1) keeps them all")
    for number in np.unique(result.inputs).tolist():
        rows = np.flatnonzero(result.inputs == number).tolist()
        steps = zip(result.sample_steps, result.samples, strict=True)
        # equal texts side by side: one pass through the weights then spreads over the texts
        yield number, sorted(((step, row, texts[row]) for step, texts in steps for row in rows), key=itemgetter(2))


def _recorded(result: Generations) -> NDArray[np.float64]:
    """(T, B) log-weights after the warm-up."""
    instance("result", result, RESULT)
    if not {KIND, POPULATION_KIND} & set(result.acceptance) or LOG_WEIGHTS not in result.recorded:
        raise ValueError(
            f"the run recorded no log-weights of independent draws, but {sorted(result.recorded)}: take some steps of "
            "ImportanceSampling(proposal) or AdaptiveWeightedRejection(lm)"
        )
    return np.asarray(result.recorded[LOG_WEIGHTS][result.warm_up :], dtype=np.float64)


def _log_means(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T,) logs of the mean of exp over each row of (T, N)."""
    top = table.max(1)
    safe = np.where(top > -math.inf, top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(safe + np.log(np.exp(table - safe[:, None]).mean(1)), dtype=np.float64)


def _checked(log_weights: ArrayLike) -> NDArray[np.float64]:
    """(n,) float64, in one row."""
    array = floats("log_weights", log_weights).ravel()
    if len(array) == 0:
        raise ValueError("log_weights is empty: take at least one draw")
    if not (array < math.inf).all():
        raise ValueError(
            f"log_weights holds {array[~(array < math.inf)][0]}: they must be finite, or -inf for weight 0"
        )
    return array


def _normalised(log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) weights that add up to 1, or all 0."""
    top = log_weights.max()
    if top == -math.inf:
        return np.zeros_like(log_weights)
    weights = np.exp(log_weights - top)
    return np.asarray(weights / weights.sum(), dtype=np.float64)
