"""Diagnostics: how far the draws of a run can be trusted, and how varied its texts are.

Rank-normalised R-hat and bulk and tail effective sample sizes (Vehtari et al., "Rank-normalization, folding, and
localization", 2021), by ArviZ (Kumar et al., 2019), which is loaded when it is first needed.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textsearch.result import Generations

if TYPE_CHECKING:
    import arviz
    import pandas as pd

FEWEST_DRAWS = 4
"""Below this many draws a chain cannot be split in two and compared with itself."""


@final
@dataclass(frozen=True)
class Statistics:
    """What the draws of several chains say of one quantity.

    Attributes:
        mean: over all chains and draws.
        sd: standard deviation of the draws.
        mcse: Monte Carlo standard error of the mean.
        ess_bulk: effective sample size for the middle of the distribution; nan if the quantity never changed.
        ess_tail: the same for its 5% and 95% quantiles, the smaller of the two.
        r_hat: rank-normalised R-hat, 1 where the chains agree, doubtful above 1.01; nan if the quantity never changed,
            inf if each chain stayed at a value of its own.
        jump: expected squared jump from a draw to the next (Pasarica and Gelman, 2010); large is good.
    """

    mean: float
    sd: float
    mcse: float
    ess_bulk: float
    ess_tail: float
    r_hat: float
    jump: float


def statistics(draws: ArrayLike) -> Statistics:
    """The statistics of (chains, draws) numbers, finite, from at least 2 chains of at least 4 draws.

    Raises:
        ImportError: ArviZ is not installed.
        ValueError: too few chains or draws, or a number that is not finite.

    >>> import numpy as np
    >>> draws = np.random.default_rng(0).normal(5.0, 1.0, (4, 1000))
    >>> found = statistics(draws)
    >>> found.r_hat < 1.01, found.ess_bulk > 3000, abs(found.mean - 5.0) < 4 * found.mcse
    (True, True, True)
    """
    array = np.asarray(draws, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"draws of shape {array.shape} must be (chains, draws)")
    if array.shape[0] < 2:
        raise ValueError(
            f"chains={array.shape[0]} tells nothing of convergence: run at least 2, generate(..., chains=4)"
        )
    if array.shape[1] < FEWEST_DRAWS:
        raise ValueError(
            f"{array.shape[1]} draws a chain are too few: at least {FEWEST_DRAWS} are needed after warm-up; "
            "take more steps or a smaller warm_up"
        )
    if not np.isfinite(array).all():
        chain, draw = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"draw {draw} of chain {chain} is {array[chain, draw]}: drop the draws up to the last that is not finite"
        )
    az = _arviz()
    changed = bool(np.ptp(array) > 0)
    each_stuck = not np.ptp(array, axis=1).any()
    # ArviZ divides by variances that are 0 where chains stand still; its effective size of a constant is all its draws
    with np.errstate(divide="ignore", invalid="ignore"):
        r_hat = float(az.rhat(array, method="rank")) if changed and not each_stuck else math.inf
        return Statistics(
            mean=float(array.mean()),
            sd=float(array.std(ddof=1)),
            mcse=float(az.mcse(array, method="mean")),
            ess_bulk=float(az.ess(array, method="bulk")) if changed else math.nan,
            ess_tail=float(az.ess(array, method="tail")) if changed else math.nan,
            r_hat=r_hat if changed else math.nan,
            jump=float(np.square(np.diff(array, axis=1)).mean()),
        )


def summary(
    result: Generations, warm_up: int = 0, quantities: Mapping[str, Callable[[str], float]] | None = None
) -> pd.DataFrame:
    """One row for each input and quantity: the `Statistics` of its chains.

    The energy has a draw a step; each of `quantities`, a function of a text, one for each of the kept samples.

    Args:
        result: what `generate` gave back.
        warm_up: steps at the start to leave out.
        quantities: name -> function of a text. Needs `generate(..., keep_every=...)`.

    Raises:
        ImportError: ArviZ is not installed.
        ValueError: too few chains or draws for an input, or `warm_up` is no number of steps of this run.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    >>> result = generate(few_a, sampler, ["aaa"], steps=120, seed=0, chains=8)
    >>> table = summary(result, warm_up=20)
    >>> table.columns.tolist()[:4], table.loc[0, "draws"].item(), bool(table.loc[0, "r_hat"] < 1.2)
    (['input', 'quantity', 'chains', 'draws'], 100, True)
    """
    _check_warm_up(result, warm_up)
    series = {"energy": result.trace[warm_up:]}
    if quantities:
        series |= _measured(result, warm_up, quantities)
    _arviz()
    import pandas as pd

    rows: list[dict[str, object]] = []
    for number, mine in _rows_by_input(result):
        for name, values in series.items():
            draws = values[:, mine].T
            try:
                found = statistics(draws)
            except ValueError as error:
                raise ValueError(f"{name} of input {number}: {error}") from error
            rows.append(
                {"input": number, "quantity": name, "chains": draws.shape[0], "draws": draws.shape[1]} | asdict(found)
            )
    return pd.DataFrame(rows)


def to_arviz(result: Generations, warm_up: int = 0) -> arviz.InferenceData:
    """The energies as ArviZ's `InferenceData`, for its plots: `posterior.energy` is (chain, draw, input), nats.

    The steps of the warm-up lie in a group of their own; the kept texts are left out.

    Raises:
        ImportError: ArviZ is not installed.
        ValueError: the inputs have different numbers of chains, or `warm_up` is no number of steps of this run.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    >>> result = generate(few_a, sampler, ["aaa", "b"], steps=30, seed=0, chains=4)
    >>> dict(to_arviz(result, warm_up=10).posterior.sizes)
    {'chain': 4, 'draw': 20, 'input': 2}
    """
    _check_warm_up(result, warm_up)
    groups = dict(_rows_by_input(result))
    if len({len(rows) for rows in groups.values()}) > 1:
        counts = ", ".join(f"{len(rows)} of input {number}" for number, rows in groups.items())
        raise ValueError(f"inputs must have as many chains each, not {counts}")
    az = _arviz()
    # (T, B) -> (chain, draw, input)
    energy = np.stack([result.trace[:, rows].T for rows in groups.values()], axis=-1)
    warm = {"warmup_posterior": {"energy": energy[:, :warm_up]}, "save_warmup": True} if warm_up else {}
    with warnings.catch_warnings():
        # the axes are right by construction, however few the steps
        warnings.filterwarnings("ignore", message="More chains", category=UserWarning)
        data: arviz.InferenceData = az.from_dict(
            posterior={"energy": energy[:, warm_up:]},
            coords={"input": list(groups)},
            dims={"energy": ["input"]},
            attrs={"guarantee": str(result.guarantee), "seconds": result.seconds},
            **warm,
        )
    return data


def unique_rate(texts: Sequence[str]) -> float:
    """Share of the texts that are different from one another: 1 if all are, 1 / n if all n are the same.

    >>> unique_rate(["a", "b", "a", "a"])
    0.5
    """
    if not texts:
        raise ValueError("texts is empty: nothing to count")
    return len(set(texts)) / len(texts)


def distinct_n(texts: Sequence[str], n: int = 2, words: Callable[[str], Sequence[str]] = str.split) -> float:
    """Different n-grams over all n-grams of the texts (distinct-n, Li et al., 2016); nan if no text has n words.

    `words` cuts a text up; `list` makes every character one.

    >>> distinct_n(["the cat sat", "the cat ran"], n=2)
    0.75
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n={n!r} must be a whole number of at least 1")
    grams = Counter(gram for text in texts for gram in _grams(tuple(words(text)), n))
    return len(grams) / grams.total() if grams else math.nan


def _grams(words: tuple[str, ...], n: int) -> Iterator[tuple[str, ...]]:
    return (words[start : start + n] for start in range(len(words) - n + 1))


def _measured(
    result: Generations, warm_up: int, quantities: Mapping[str, Callable[[str], float]]
) -> dict[str, NDArray[np.float64]]:
    """Name -> (S, B), the quantities of the kept samples after the warm-up."""
    if "energy" in quantities:
        raise ValueError("quantities holds 'energy', which the summary has anyway: give yours another name")
    samples = [texts for texts, step in zip(result.samples, result.sample_steps, strict=True) if step > warm_up]
    if not samples:
        raise ValueError(
            f"no samples were kept after step {warm_up} to compute {', '.join(quantities)} of: "
            "generate(..., keep_every=10) keeps some"
        )
    return {
        name: np.array([[quantity(text) for text in texts] for texts in samples], dtype=np.float64)
        for name, quantity in quantities.items()
    }


def _rows_by_input(result: Generations) -> Iterator[tuple[int, NDArray[np.int64]]]:
    for number in np.unique(result.inputs).tolist():
        yield number, np.flatnonzero(result.inputs == number)


def _check_warm_up(result: Generations, warm_up: int) -> None:
    if isinstance(warm_up, bool) or not isinstance(warm_up, int) or not 0 <= warm_up < max(result.steps, 1):
        raise ValueError(f"warm_up={warm_up!r} must be a whole number from 0 to below the {result.steps} steps taken")


def _arviz() -> Any:
    try:
        with warnings.catch_warnings():
            # a notice about its next version, shown on every import
            warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
            return import_module("arviz")
    except ImportError as error:
        raise ImportError("statistics of a run need ArviZ: pip install 'textsearch-sampling[diagnostics]'") from error
