"""Interpolated modified Kneser-Ney smoothing (Chen and Goodman, "An empirical study of smoothing techniques", 1999).

With c the count of an n-gram of the highest order, and below it the number of different tokens that it was seen behind
(Kneser and Ney, 1995; n-grams at the beginning of a text are seen behind nothing, and keep their counts),

    p(w | h) = max(c(h w) - D(c(h w)), 0) / c(h .) + b(h) p(w | h without its first token),

where D takes one of three amounts from counts of 1, 2, and 3 or more, and b(h) is what was taken from all that follow
h, over c(h .). Below single tokens lies the uniform law over the V tokens. Whatever was seen, the probabilities of the
V tokens add up to 1 behind every context. N-grams that are left out hand all of their count to b(h).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from textsearch.models.ngram.counting import BLOCK, Counted
from textsearch.models.ngram.tables import NgramSettings, NgramTables

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where there are too few n-grams to tell them (as of KenLM: Heafield et al., 2013)."""


def discounts(counts: Integers) -> tuple[float, float, float]:
    """What to take from counts of 1, 2, and 3 or more (equation 26 of Chen and Goodman, 1999).

    >>> discounts(np.array([1] * 8 + [2] * 4 + [3] * 2 + [4]))
    (0.5, 1.25, 2.0)
    """
    found = np.zeros(6, dtype=np.int64)
    for start in range(0, len(counts), BLOCK):
        found += np.bincount(np.minimum(counts[start : start + BLOCK], 5), minlength=6)
    once, twice, thrice, four = found[1:5].tolist()
    if min(once, twice, thrice) == 0:
        return FALLBACK
    share = once / (once + 2 * twice)
    amounts = (1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice)
    # of few n-grams the estimates can be anything
    return amounts if all(0 < taken < size for size, taken in enumerate(amounts, 1)) else FALLBACK


def taken_from(counts: Integers, amounts: Sequence[float]) -> Floats:
    """(count,) what is taken from each of `counts`."""
    return np.array([0.0, *amounts])[np.minimum(counts, 3)]


def seen_behind(own: Counted, longer: Counted, begins: int) -> Integers:
    """(count,) how many different tokens stood before each n-gram; the counts of those from place `begins` on.

    These begin a text.
    """
    counts = np.bincount(longer.suffixes, minlength=len(own.keys))
    counts[begins:] = own.counts[begins:]
    return counts


def estimate(
    stream: NDArray[Any], tables: Sequence[Counted], tokens: int, end: int, direction: str, cutoffs: Sequence[int]
) -> NgramTables:
    """The model of counted n-grams.

    Args:
        stream: (L,) what was counted.
        tables: of orders 2 to n.
        tokens: V.
        end: the token that ends a text.
        direction: in which texts were read.
        cutoffs: for each order from 1 on, the count up to which n-grams are left out; of tokens none is.
    """
    counts = np.bincount(tables[0].suffixes if tables else stream, minlength=tokens + 1)
    counts[tokens] = 0  # nothing is ever followed by a beginning
    amounts = [discounts(counts)]
    taken = taken_from(counts, amounts[0])
    prob = (counts - taken) / counts.sum() + taken.sum() / counts.sum() / tokens
    prob[tokens] = 0.0
    log_prob, log_backoff, keys = [_log(prob)], [], []
    level = _Level(prob, np.arange(tokens + 1))
    begins = tokens
    for size, own in enumerate(tables, 2):
        # what begins a text has the highest number, so it stands last in every table
        begins = int(np.searchsorted(own.keys, begins * (tokens + 1)))
        counts = own.counts if size == len(tables) + 1 else seen_behind(own, tables[size - 1], begins)
        amounts.append(discounts(counts))
        smoothed = _Order(own, counts, amounts[-1], cutoffs[size - 1], tokens)
        totals, backoff = smoothed.contexts(len(level.place))
        log_backoff.append(_log(backoff[level.place >= 0]))
        level, own_keys, own_log = smoothed.level(totals, backoff, level)
        keys.append(own_keys)
        log_prob.append(own_log)
    settings = NgramSettings(
        order=len(log_prob),
        tokens=tokens,
        end=end,
        direction=direction,
        counts=tuple(map(len, log_prob)),
        cutoffs=tuple(cutoffs),
        discounts=tuple(amounts),
        read=int((stream != tokens).sum()),
    )
    return NgramTables(settings, tuple(keys), tuple(log_prob), tuple(log_backoff))


@final
@dataclass(frozen=True)
class _Level:
    """The n-grams of one order, in the order in which they were counted.

    Attributes:
        prob: (count,) float64, p of the last token behind the others.
        place: (count,) int64, among those that are kept; -1 for the others.
    """

    prob: Floats
    place: Integers


@final
@dataclass(frozen=True)
class _Order:
    """The n-grams of one order with what smoothing makes of their counts.

    Attributes:
        own: as they were counted.
        counts: (count,) int64, what is smoothed.
        amounts: the discounts.
        cutoff: what was counted so often, or less, is left out.
        tokens: V.
    """

    own: Counted
    counts: Integers
    amounts: Sequence[float]
    cutoff: int
    tokens: int

    def windows(self) -> Iterator[tuple[Integers, Integers, Bools, Floats, slice]]:
        """A block after another: prefixes, counts, which are kept, what is taken of each, and where they are."""
        for start in range(0, len(self.own.keys), BLOCK):
            window = slice(start, start + BLOCK)
            counts = np.asarray(self.counts[window])
            kept = np.asarray(self.own.counts[window]) > self.cutoff
            yield self.own.keys[window] // (self.tokens + 1), counts, kept, taken_from(counts, self.amounts), window

    def contexts(self, count: int) -> tuple[Floats, Floats]:
        """c(h .) and b(h) of each of `count` contexts."""
        totals, handed = np.zeros(count), np.zeros(count)
        for prefix, counts, kept, taken, _ in self.windows():
            first, last = int(prefix[0]), int(prefix[-1]) + 1
            totals[first:last] += np.bincount(prefix - first, weights=counts)
            handed[first:last] += np.bincount(prefix - first, weights=np.where(kept, taken, counts))
        return totals, np.divide(handed, totals, out=np.ones(count), where=totals > 0)

    def level(self, totals: Floats, backoff: Floats, above: _Level) -> tuple[_Level, Integers, NDArray[np.float32]]:
        """The probabilities of these n-grams; the keys and log-probabilities of those that are kept."""
        size = len(self.own.keys)
        prob, place = np.empty(size), np.empty(size, dtype=np.int64)
        keys, logs, before = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.float32)], 0
        for prefix, counts, kept, taken, window in self.windows():
            prob[window] = (counts - taken) / totals[prefix] + backoff[prefix] * above.prob[self.own.suffixes[window]]
            place[window] = np.where(kept, before + np.cumsum(kept) - 1, -1)
            before += int(kept.sum())
            last = self.own.keys[window] % (self.tokens + 1)
            keys.append((above.place[prefix] * (self.tokens + 1) + last)[kept])
            logs.append(_log(prob[window][kept]))
        return _Level(prob, place), np.concatenate(keys), np.concatenate(logs)


def _log(values: Floats) -> NDArray[np.float32]:
    """Logarithms, none above 0 for all rounding."""
    with np.errstate(divide="ignore"):
        return np.minimum(np.log(values), 0.0).astype(np.float32)
