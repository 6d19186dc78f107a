"""Which pairs of tokens are merged across their common edge, for a whole vocabulary at once.

A tokenizer by merges joins the neighbours of lowest rank first. Each token has so a tree of merges, and of all that
stands at its right edge, the token itself and what its merges had there before, each part lives from the merge that
makes it to the one that takes it in. Two tokens stay apart if no merge joins a part at the right edge of the first with
one at the left edge of the second while both live; of equal ranks the one further left comes first. (van Antwerpen and
Neubeck, "So many tokens, so little time", 2024, decide one pair so; here it is done for all that may follow a token.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import RLock
from typing import final

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

NEVER = np.iinfo(np.int64).max
_KEPT = 4_000  # rows of V bits


@final
class MergedEdges:
    """What the merges of one tokenizer do at the edges of its tokens; threads may share it.

    Args:
        size: V.
        merges: pairs of tokens -> what they become, the pair of lowest rank first.

    Raises:
        ValueError: a token is made by two merges, or after one that joins it: ranks then are no order of time.

    >>> merges = MergedEdges(5, {(0, 1): 3, (1, 0): 4})  # a, b, c, ab, ba
    >>> merges.behind(0).tolist()
    [False, True, False, False, True]
    >>> merges.behind(3).tolist()
    [False, False, False, False, False]
    """

    def __init__(self, size: int, merges: Mapping[tuple[int, int], int]) -> None:
        self._size, self._lock = size, RLock()
        self._rows: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        pairs = np.array(list(merges), dtype=np.int64).reshape(-1, 2)
        made = np.array(list(merges.values()), dtype=np.int64)
        ranks = np.arange(len(pairs))
        self._left, self._right = np.full(size, -1), np.full(size, -1)
        self._made = np.full(size, -1)
        self._left[made], self._right[made], self._made[made] = *pairs.T, ranks
        if len(set(made.tolist())) < len(made) or (self._made[pairs] >= ranks[:, None]).any():
            raise ValueError("a token is made by two merges, or after one that joins it")
        self._joined = _Groups.of(pairs[:, 0], size, np.stack((pairs[:, 1], ranks), 1))
        # all left edges: the part, the token that has it, and the rank that takes it in
        part, token, until = np.arange(size), np.arange(size), np.full(size, NEVER)
        found = [(part, token, until)]
        while len(part := part[(going := self._left[part] >= 0)]):
            token, until = token[going], self._made[part]
            part = self._left[part]
            found.append((part, token, until))
        parts, tokens, until = (np.concatenate(one) for one in zip(*found, strict=True))
        self._having = _Groups.of(parts, size, np.stack((tokens, until), 1))

    def behind(self, first: int) -> Bools:
        """(V,) bool: the tokens that are not what is written if they stand behind `first` within a piece of text."""
        with self._lock:
            row = self._rows.get(first)
            if row is None:
                row = self._rows[first] = np.packbits(self._worked_out(first))
                while len(self._rows) > _KEPT:
                    self._rows.popitem(last=False)
            self._rows.move_to_end(first)
            return np.unpackbits(row, count=self._size).astype(np.bool_)

    def _edge(self, token: int, side: Ints) -> Sequence[tuple[int, int]]:
        """The parts at one side, each with the rank that takes it in."""
        found, until = [], NEVER
        while token >= 0:
            found.append((token, until))
            token, until = int(side[token]), int(self._made[token])
        return found

    def _worked_out(self, first: int) -> Bools:
        found = np.zeros(self._size, dtype=np.bool_)
        for part, until in self._edge(first, self._right):
            joined = self._joined.of_one(part)
            joined = joined[joined[:, 1] < until]
            which, having = self._having.of_all(joined[:, 0])
            found[having[having[:, 1] >= joined[which, 1], 0]] = True
        return found


@final
class _Groups:
    """Rows by a number that each has."""

    def __init__(self, rows: Ints, begins: Ints) -> None:
        self._rows, self._begins = rows, begins

    @staticmethod
    def of(numbers: Ints, size: int, rows: Ints) -> _Groups:
        """Rows (R, 2) of which each has a number below `size`."""
        begins = np.concatenate(([0], np.bincount(numbers, minlength=size).cumsum()))
        return _Groups(rows[np.argsort(numbers, kind="stable")], begins)

    def of_one(self, number: int) -> Ints:
        """(N, 2) the rows of one."""
        return self._rows[self._begins[number] : self._begins[number + 1]]

    def of_all(self, numbers: Ints) -> tuple[Ints, Ints]:
        """The rows of some numbers, one after another; (N,) the place of the number that each is of, and (N, 2)."""
        begins, counts = self._begins[numbers], self._begins[numbers + 1] - self._begins[numbers]
        which = np.repeat(np.arange(len(numbers)), counts)
        within = np.arange(len(which)) - np.repeat(counts.cumsum() - counts, counts)
        return which, self._rows[begins[which] + within]
