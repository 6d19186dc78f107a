"""The files of an n-gram model: sorted keys, log-probabilities and backoff weights, mapped into memory.

An n-gram of order k is found by a number of 64 bits: the place of its first k - 1 tokens in the table of order k - 1,
times the number of tokens, plus its last token. Keys are sorted, so all that can follow a context lie side by side
(the sorted arrays of Heafield, "KenLM: faster and smaller language model queries", 2011). Lookups are binary searches
of many keys at once. Files are mapped, not read: a process pays for the pages that it looks at, and processes share
them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

CONFIG = "config.json"
NOTHING = -1
"""Stands in a context where nothing is known of what came before."""


@final
@dataclass(frozen=True)
class NgramSettings:
    """What a model was made as.

    Attributes:
        order: n, the longest n-grams.
        tokens: V, how many token ids there are; V itself stands for the beginning of a text.
        end: the token that ends a text.
        direction: "left_to_right", or "right_to_left" for a model of reversed rows.
        counts: n-grams kept, of each order.
        cutoffs: of each order, the count up to which n-grams were left out.
        discounts: of each order, what is taken from counts of 1, of 2, and of 3 or more.
        read: tokens that it was trained on, the ends of texts counted.
        model_type: what the folder holds.
    """

    order: int
    tokens: int
    end: int
    direction: str
    counts: tuple[int, ...]
    cutoffs: tuple[int, ...]
    discounts: tuple[tuple[float, float, float], ...]
    read: int
    model_type: str = "ngram"


@final
@dataclass(frozen=True, eq=False)
class NgramTables:
    """Log-probabilities of all n-grams that were kept, and what is handed down to shorter ones.

    log p(w | h) is that of the n-gram h w where it was kept; elsewhere log b(h) + log p(w | h without its first token),
    with log b(h) = 0 for a context that was not kept.

    Attributes:
        settings: what it was made as.
        keys: of orders 2 to n, (count,) int64, sorted.
        log_prob: of orders 1 to n, (count,) float32, nats.
        log_backoff: of orders 1 to n - 1, (count,) float32, nats, none above 0.
    """

    settings: NgramSettings
    keys: tuple[Integers, ...]
    log_prob: tuple[Floats, ...]
    log_backoff: tuple[Floats, ...]

    @property
    def begin(self) -> int:
        """The number that stands for the beginning of a text."""
        return self.settings.tokens

    @staticmethod
    def load(folder: Path, *, mapped: bool = True) -> NgramTables:
        """The tables of a folder, mapped into memory or read into it.

        Raises:
            ValueError: it holds none, or files that do not belong together.
        """
        mode: Any = "r" if mapped else None
        try:
            told: Any = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            if told.get("model_type") != "ngram":
                raise ValueError("its config.json is not that of an n-gram model")
            told["discounts"] = tuple(map(tuple, told["discounts"]))
            plain: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
            settings = NgramSettings(**plain)
            read: Any = [
                [np.asarray(np.load(folder / f"{name}_{order}.npy", mmap_mode=mode)) for order in orders]
                for name, orders in _files(settings.order).items()
            ]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"cannot load the n-gram model {str(folder)!r}: {error}; name a folder that training/ngram.py wrote"
            ) from error
        tables = NgramTables(settings, *map(tuple, read))
        sizes = {order: {len(tables.log_prob[order - 1])} for order in range(1, settings.order + 1)}
        for order in range(2, settings.order + 1):
            sizes[order].add(len(tables.keys[order - 2]))
            sizes[order - 1].add(len(tables.log_backoff[order - 2]))
        if [sizes[order] for order in sizes] != [{count} for count in settings.counts]:
            raise ValueError(
                f"cannot load the n-gram model {str(folder)!r}: its files are of other sizes than {settings.counts}; "
                "train it again"
            )
        return tables

    def save(self, folder: Path) -> None:
        """Write the tables to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = {"keys": self.keys, "log_prob": self.log_prob, "log_backoff": self.log_backoff}
        for name, orders in _files(self.settings.order).items():
            for order, values in zip(orders, parts[name], strict=True):
                np.save(folder / f"{name}_{order}.npy", values)
        (folder / CONFIG).write_text(json.dumps(asdict(self.settings), indent=1) + "\n", encoding="utf-8")

    def fingerprint(self) -> str:
        """Changes with the tables: some numbers of each."""
        some = [
            (values.shape, values[:: max(1, len(values) // 64)].tolist())
            for values in (*self.keys, *self.log_prob, *self.log_backoff)
        ]
        return repr((self.settings, some))

    def find(self, order: int, prefix: Integers, last: Integers) -> Integers:
        """Places in the table of `order` of the n-grams of a prefix, by its place, and a last token; -1 for none."""
        known = (prefix >= 0) & (last >= 0) & (last < self.settings.tokens)
        keys = self.keys[order - 2]
        if not len(keys):
            return np.full_like(prefix, -1)
        key = np.where(known, prefix * (self.settings.tokens + 1) + last, -1)
        place = np.searchsorted(keys, key)
        place = np.minimum(place, len(keys) - 1)
        found: Integers = np.where(known & (keys[place] == key), place, -1)
        return found

    def stream_log_probs(self, stream: Integers) -> Floats:
        """(L,) float64 log p of each token of a stream of texts, each behind its `begin`; 0 at the beginnings.

        Nothing is known of what came before a beginning.
        """
        size = len(stream)
        # places of the n-grams that begin at each token; one more column of none for those that would reach beyond
        at = stream.astype(np.int64)
        out = self.log_prob[0][at].astype(np.float64)
        for order in range(2, self.settings.order + 1):
            reach = size - order + 1
            if reach <= 0:
                break
            prefix = at[:reach]
            at = self.find(order, prefix, stream[order - 1 :])
            end = out[order - 1 :]
            handed = end + np.where(prefix >= 0, self.log_backoff[order - 2][prefix], 0.0)
            end[:] = np.where(at >= 0, self.log_prob[order - 1][at], handed)
        out[stream == self.begin] = 0.0
        return out

    def next_log_probs(self, contexts: Integers) -> Floats:
        """(K, V) float64 log-probabilities of what follows each of the contexts (K, n - 1), the latest token last.

        `begin` marks the beginning of a text; `NOTHING` stands in front of it, and of what is not known.
        """
        size = self.settings.tokens
        places = []
        # what is handed down to contexts of each length from the longer ones
        handed = np.zeros((self.settings.order, len(contexts)))
        for reach in range(1, self.settings.order):
            place = self._place(contexts[:, contexts.shape[1] - reach :])
            places.append(place)
            handed[:reach] += np.where(place >= 0, self.log_backoff[reach - 1][place], 0.0)
        out: Floats = np.add.outer(handed[0], self.log_prob[0][:size].astype(np.float64))
        for reach, place in enumerate(places, 1):
            rows = np.flatnonzero(place >= 0)
            keys = self.keys[reach - 1]
            low = np.searchsorted(keys, place[rows] * (size + 1))
            count = np.searchsorted(keys, (place[rows] + 1) * (size + 1)) - low
            followers = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(count.sum())
            row = np.repeat(rows, count)
            out[row, keys[followers] % (size + 1)] = self.log_prob[reach][followers] + handed[reach][row]
        return out

    def _place(self, ngrams: Integers) -> Integers:
        """Places of n-grams (K, k) in the table of order k; -1 for those not kept."""
        place = ngrams[:, 0].astype(np.int64)
        for order in range(2, ngrams.shape[1] + 1):
            place = self.find(order, place, ngrams[:, order - 1])
        return place


def is_ngram_folder(name: str) -> bool:
    """Whether a folder says of itself that it holds n-grams; a hub id is no folder."""
    try:
        told = json.loads((Path(name) / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("model_type") == "ngram"


def context_of(row: Sequence[int], size: int) -> list[int]:
    """The last `size` numbers of a row, behind as many of `NOTHING` as it lacks.

    >>> context_of([7, 3, 5], 2), context_of([7], 3)
    ([3, 5], [-1, -1, 7])
    """
    end = list(row[max(0, len(row) - size) :])
    return [NOTHING] * (size - len(end)) + end


def _files(order: int) -> dict[str, range]:
    """Names of files, and the orders that have one."""
    return {"keys": range(2, order + 1), "log_prob": range(1, order + 1), "log_backoff": range(1, order)}
