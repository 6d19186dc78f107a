"""Diagnostics: how far the draws of a run can be trusted, and how varied its texts are.

Rank-normalised R-hat and bulk and tail effective sample sizes (Vehtari et al., "Rank-normalization, folding, and
localization", 2021), by ArviZ (Kumar et al., 2019), which is loaded when it is first needed. Functions of arrays and
texts; `Generations` has the same of a run as methods.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textsearch.checks import floats, function, real, strings, whole
from textsearch.result.arviz_versions import arviz, groups_of_draws

if TYPE_CHECKING:
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


UNKNOWN = Statistics(*[math.nan] * 7)
"""Of draws that are not all finite."""


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
    array = _enough(draws)
    if not np.isfinite(array).all():
        chain, draw = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"draw {draw} of chain {chain} is {array[chain, draw]}: drop the draws up to the last that is not finite"
        )
    az = arviz()
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
            ess_tail=float(az.ess(array, method="tail", prob=(0.05, 0.95))) if changed else math.nan,
            r_hat=r_hat if changed else math.nan,
            jump=float(np.square(np.diff(array, axis=1)).mean()),
        )


def summary(
    series: Mapping[str, NDArray[Any]], inputs: NDArray[np.int64], *, seconds: float = math.nan, rows: float = math.nan
) -> pd.DataFrame:
    """One row for each input and quantity: the `Statistics` of its chains, and what they cost.

    Bulk draws a second, and a thousand rows that models read, are those of an input's share of the whole, by chains. A
    quantity that is somewhere not finite, as a term is where a cheaper one had forbidden the text, gets nan.

    Args:
        series: name of a quantity -> (T, B) its draws, T of each chain; T may differ from quantity to quantity.
        inputs: (B,) the input that each chain belongs to.
        seconds: that all chains took.
        rows: texts that models read for all chains.

    Raises:
        ImportError: ArviZ is not installed.
        ValueError: too few chains or draws for an input.

    >>> import numpy as np
    >>> energy = np.random.default_rng(0).normal(5.0, 1.0, (500, 8))
    >>> table = summary({"energy": energy}, np.repeat([0, 1], 4), seconds=10.0)
    >>> table.loc[(0, "energy"), ["chains", "draws"]].astype(int).tolist()
    [4, 500]
    """
    arviz()
    import pandas as pd

    found: list[dict[str, object]] = []
    for number, mine in rows_by_input(inputs):
        share = len(mine) / len(inputs)
        for name, values in series.items():
            try:
                draws = _enough(values[:, mine].T)
            except ValueError as error:
                raise ValueError(f"{name} of input {number}: {error}") from error
            one = statistics(draws) if np.isfinite(draws).all() else UNKNOWN
            found.append(
                {"input": number, "quantity": name, "chains": draws.shape[0], "draws": draws.shape[1]}
                | asdict(one)
                | {
                    "ess_per_second": one.ess_bulk / (seconds * share) if seconds else math.nan,
                    "ess_per_1000_rows": one.ess_bulk / (rows * share / 1000) if rows else math.nan,
                }
            )
    return pd.DataFrame(found).set_index(["input", "quantity"])


def to_arviz(
    posterior: Mapping[str, NDArray[Any]],
    inputs: NDArray[np.int64],
    *,
    warm_up: int = 0,
    sample_stats: Mapping[str, NDArray[Any]] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Any:
    """Series (T, B) for ArviZ's plots: `InferenceData`, or `xarray.DataTree` from ArviZ 1 on.

    Each becomes a variable (chain, draw, input). The steps of the warm-up lie in groups of their own.

    Args:
        posterior: name of a quantity -> (T, B).
        inputs: (B,) the input that each chain belongs to.
        warm_up: steps at the start that are not meant to count.
        sample_stats: what the sampler said of each step, the same way.
        attributes: of the whole.

    Raises:
        ImportError: ArviZ is not installed.
        ValueError: the inputs have different numbers of chains.

    >>> import numpy as np
    >>> data = to_arviz({"energy": np.zeros((30, 8))}, np.repeat([0, 1], 4), warm_up=10)
    >>> dict(data["posterior"].sizes)
    {'chain': 4, 'draw': 20, 'input': 2}
    """
    groups = dict(rows_by_input(inputs))
    if len({len(rows) for rows in groups.values()}) > 1:
        counts = ", ".join(f"{len(rows)} of input {number}" for number, rows in groups.items())
        raise ValueError(f"inputs must have as many chains each, not {counts}")
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for group, series in (("posterior", posterior), ("sample_stats", sample_stats or {})):
        # (T, B) -> (chain, draw, input)
        values = {name: np.stack([each[:, rows].T for rows in groups.values()], -1) for name, each in series.items()}
        if values:
            parts[group] = {name: each[:, warm_up:] for name, each in values.items()}
        if values and warm_up:
            parts[f"warmup_{group}"] = {name: each[:, :warm_up] for name, each in values.items()}
    dimensions = {name: ["input"] for part in parts.values() for name in part}
    return groups_of_draws(parts, {"input": list(groups)}, dimensions, attributes or {})


def autocorrelation(draws: NDArray[Any], most: int) -> NDArray[np.float64]:
    """(most + 1,) autocorrelations of (chains, draws) numbers at lags 0 .. most, all chains together.

    Each chain is compared with itself, about the mean of all: chains that stay apart keep the correlation up. Nan if
    the numbers never change.

    >>> import numpy as np
    >>> autocorrelation(np.tile([1.0, -1.0], (2, 500)), most=2).round(2).tolist()
    [1.0, -1.0, 1.0]
    """
    array = floats("draws", draws)
    if array.ndim != 2:
        raise ValueError(f"draws of shape {array.shape} must be (chains, draws)")
    length, most = array.shape[1], whole("most", most)
    if most >= length:
        raise ValueError(f"most={most} must be a lag below the {length} draws of a chain")
    if np.ptp(array) == 0:
        return np.full(most + 1, math.nan)
    # padded to twice the length, so that the end of a chain does not run on into its start
    spectrum = np.fft.rfft(array - array.mean(), 2 * length, axis=1)
    products = np.fft.irfft(spectrum * spectrum.conj(), 2 * length, axis=1)[:, : most + 1].sum(0)
    covariance = products / (length - np.arange(most + 1))
    return np.asarray(covariance / covariance[0], dtype=np.float64)


def running_median(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """(T,) the running median, over `window` steps, of the medians of (T, chains); nan counts for nothing.

    >>> running_median(np.array([[1.0], [9.0], [2.0], [3.0], [2.0]]), window=3).tolist()
    [5.0, 2.0, 3.0, 2.0, 2.5]
    """
    half = window // 2
    with warnings.catch_warnings():
        # where nothing is known, nan says so
        warnings.filterwarnings("ignore", message="All-NaN slice", category=RuntimeWarning)
        padded = np.pad(np.nanmedian(values, axis=1), half, constant_values=math.nan)
        return np.asarray(np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1))


def edit_distance(
    texts: Sequence[str], others: Sequence[str], cut: Callable[[str], Sequence[str]]
) -> NDArray[np.int64]:
    """(P,) insertions, deletions and replacements that turn each of P texts into its other (Levenshtein, 1966).

    `cut` takes a text apart into what counts as one: `str.split` for words, `list` for characters.

    >>> edit_distance(["the cat sat", "a b"], ["the dog sat down", "a b"], str.split).tolist()
    [2, 0]
    """
    pairs: dict[tuple[str, str], int] = {}
    which = [pairs.setdefault(pair, len(pairs)) for pair in zip(texts, others, strict=True)]
    numbers: dict[str, int] = {}
    left, right = (
        [[numbers.setdefault(part, len(numbers)) for part in cut(text)] for text in column]
        for column in (zip(*pairs, strict=True) if pairs else ([], []))
    )
    rows, columns = _padded(left), _padded(right)
    lengths = np.array([len(row) for row in left], dtype=np.int64)
    ends = np.array([len(row) for row in right], dtype=np.int64)
    place = np.arange(columns.shape[1] + 1)
    # (pairs, columns + 1) from the first i parts of a text to the first j of its other
    distance = np.broadcast_to(place, (len(pairs), len(place))).copy()
    found = ends.copy()
    for row in range(rows.shape[1]):
        replaced = distance[:, :-1] + (rows[:, row, None] != columns)
        best = np.minimum(distance[:, 1:] + 1, replaced)
        best = np.concatenate([np.full((len(best), 1), row + 1), best], 1)
        # insertions run on from the left: the least of best[k] + (j - k) over k <= j
        distance = np.minimum.accumulate(best - place, 1) + place
        here = lengths == row + 1
        found[here] = distance[here, ends[here]]
    return np.asarray(found[which], dtype=np.int64)


def measured(samples: Sequence[Sequence[str]], quantity: Callable[[str], float]) -> NDArray[np.float64]:
    """(S, B) a function of each of S times B texts; each different text is asked for once."""
    function("quantity", quantity, "a function of a text", "one, such as len")
    known = {text: quantity(text) for text in dict.fromkeys(text for texts in samples for text in texts)}
    for text, value in known.items():
        real("quantity", value, f"be a number; it is what was said of {text!r}", lambda _: True)
    return np.array([[known[text] for text in texts] for texts in samples], dtype=np.float64)


def unique_rate(texts: Sequence[str]) -> float:
    """Share of the texts that are different from one another: 1 if all are, 1 / n if all n are the same.

    >>> unique_rate(["a", "b", "a", "a"])
    0.5
    """
    texts = strings("texts", texts)
    if not texts:
        raise ValueError("texts is empty: nothing to count")
    return len(set(texts)) / len(texts)


def distinct_n(texts: Sequence[str], n: int = 2, words: Callable[[str], Sequence[str]] = str.split) -> float:
    """Different n-grams over all n-grams of the texts (distinct-n, Li et al., 2016); nan if no text has n words.

    `words` cuts a text up; `list` makes every character one.

    >>> distinct_n(["the cat sat", "the cat ran"], n=2)
    0.75
    """
    texts, n = strings("texts", texts), whole("n", n, 1)
    grams = Counter(gram for text in texts for gram in _grams(tuple(words(text)), n))
    return len(grams) / grams.total() if grams else math.nan


def cutter(texts: Sequence[str]) -> tuple[str, Callable[[str], Sequence[str]]]:
    """What edits of the texts are counted in, and how to cut a text into it: words if any has a space, else characters.

    >>> cutter(["the cat", "cat"])[0], cutter(["我們"])[0]
    ('words', 'characters')
    """
    return ("words", str.split) if any(" " in text for text in texts) else ("characters", list)


def rows_by_input(inputs: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each input with the numbers of its rows."""
    for number in np.unique(inputs).tolist():
        yield number, np.flatnonzero(inputs == number)


def _grams(words: tuple[str, ...], n: int) -> Iterator[tuple[str, ...]]:
    return (words[start : start + n] for start in range(len(words) - n + 1))


def _padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """(P, N) the rows, -1 beyond their ends."""
    table = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table


def _enough(draws: ArrayLike) -> NDArray[np.float64]:
    """The draws as an array, if there are as many as statistics need."""
    array = floats("draws", draws)
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
    return array
