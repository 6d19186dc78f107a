"""Counts of n-grams of a long stream of tokens, by sorting, in memory that does not grow with the stream.

Order by order: an n-gram is the place of its first k - 1 tokens in the table of order k - 1, and its last token, in one
number of 64 bits. A block of the stream is sorted and put on disk; the sorted blocks are merged range by range
(external sorting: Knuth, The Art of Computer Programming 3, 1973). No loop goes over n-grams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

BLOCK = 2**22
"""Numbers that are sorted at once: about 200 MB."""


@final
@dataclass(frozen=True)
class Counted:
    """All n-grams of one order, in the order of their keys; arrays are files that are mapped into memory.

    Attributes:
        keys: (count,) int64.
        counts: (count,) int64, how often each n-gram stands in the stream.
        suffixes: (count,) int64, the place of its last k - 1 tokens in the table of order k - 1.
    """

    keys: Integers
    counts: Integers
    suffixes: Integers


def count_ngrams(
    stream: NDArray[Any], tokens: int, order: int, folder: Path, block: int = BLOCK, workers: int = 1
) -> Iterator[Counted]:
    """The n-grams of orders 2 to `order`, one table after the other.

    Args:
        stream: (L,) whole numbers up to `tokens`, which stands before the first token of each text: no n-gram goes over
            it.
        tokens: V.
        order: of the longest n-grams.
        folder: an empty one for what is not kept in memory.
        block: numbers that are sorted at once.
        workers: threads that sort, each a block of its own.

    >>> import tempfile
    >>> stream = np.array([2, 0, 1, 2, 0, 0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [(divmod(int(key), 3), int(n)) for key, n in zip(*[(t.keys, t.counts) for t in count_ngrams(
    ...         stream, 2, 2, Path(folder))][0])]
    [((0, 0), 1), ((0, 1), 1), ((2, 0), 2)]
    """
    if tokens + 1 >= 2**31 or len(stream) >= 2**32:
        raise ValueError(f"{len(stream)} tokens of {tokens} kinds do not fit keys of 64 bits: train on a part of them")
    index: NDArray[Any] = stream
    for size in range(2, order + 1):
        sort = partial(_run, stream, index, tokens, size, block, folder)
        with ThreadPoolExecutor(workers) as pool:
            runs = list(pool.map(sort, range(0, len(stream), block)))
        table = _merged(runs, folder / f"ngrams_{size}", block)
        if size < order:
            index = _indexed(table.keys, runs, len(stream), folder / f"index_{size}.bin")
        yield table


@final
@dataclass(frozen=True)
class _Run:
    """The n-grams of a block of the stream: as `Counted`, and which of them begins at each place, -1 for none."""

    keys: Integers
    counts: Integers
    suffixes: Integers
    begins: NDArray[np.int32]


def _run(
    stream: NDArray[Any], index: NDArray[Any], tokens: int, size: int, block: int, folder: Path, start: int
) -> _Run:
    """The n-grams of `size` tokens that begin in the block at `start`, sorted; `index` has those of a token less."""
    stop = min(start + block, len(stream))
    prefix = np.asarray(index[start:stop], dtype=np.int64)
    last = np.full(len(prefix), tokens, dtype=np.int64)
    told = np.asarray(stream[start + size - 1 : stop + size - 1], dtype=np.int64)
    last[: len(told)] = told
    # one that would go over the beginning of the next text is none
    place = np.flatnonzero((prefix >= 0) & (last != tokens))
    key = prefix[place] * (tokens + 1) + last[place]
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(key) else order
    begins = np.full(len(prefix), -1, dtype=np.int32)
    counts = np.diff(np.append(first, len(key)))
    begins[place[order]] = np.repeat(np.arange(len(first), dtype=np.int32), counts)
    suffix = np.asarray(index[start + 1 : stop + 1], dtype=np.int64)[place[order[first]]]
    name = folder / f"run_{size}_{start}"
    return _Run(
        *(
            _mapped(name, part, values)
            for part, values in (("keys", ordered[first]), ("counts", counts), ("suffixes", suffix), ("begins", begins))
        )
    )


def _merged(runs: Sequence[_Run], name: Path, block: int) -> Counted:
    """All runs as one, range by range of their keys, each of about `block` numbers."""
    if len(runs) == 1:
        return Counted(runs[0].keys, runs[0].counts, runs[0].suffixes)
    total = sum(len(run.keys) for run in runs)
    parts = max(1, -(-total // block))
    sample = np.sort(np.concatenate([run.keys[:: max(1, block // 256)] for run in runs]))
    edges = np.unique(sample[len(sample) * np.arange(1, parts) // parts]) if len(sample) else sample
    cuts = [[0, *np.searchsorted(run.keys, edges).tolist(), len(run.keys)] for run in runs]
    ends = (".keys", ".counts", ".suffixes")
    with ExitStack() as files:
        opened = [files.enter_context(name.with_suffix(end).open("wb")) for end in ends]
        for part in range(len(edges) + 1):
            windows = [slice(cut[part], cut[part + 1]) for cut in cuts]
            for values, file in zip(_added(runs, windows), opened, strict=True):
                values.tofile(file)
    keys, counts, suffixes = (_file(name.with_suffix(end), np.int64) for end in ends)
    return Counted(keys, counts, suffixes)


def _added(runs: Sequence[_Run], windows: Sequence[slice]) -> tuple[Integers, Integers, Integers]:
    """Keys, counts and suffixes of a window of each run, sorted, the counts of equal keys added up."""
    pairs = list(zip(runs, windows, strict=True))
    keys = np.concatenate([run.keys[window] for run, window in pairs])
    counts = np.concatenate([run.counts[window] for run, window in pairs])
    if not len(keys):
        return keys, counts, keys
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    suffixes = np.concatenate([run.suffixes[window] for run, window in pairs])
    return keys[first], np.add.reduceat(counts[order], first), suffixes[order[first]]


def _indexed(keys: Integers, runs: Sequence[_Run], size: int, path: Path) -> Integers:
    """(L,) the place among `keys` of the n-gram that begins at each place of the stream; -1 for none."""
    with path.open("wb") as file:
        for run in runs:
            # both are sorted: one runs along the other
            place = np.append(np.searchsorted(keys, run.keys), -1)
            place[run.begins].astype(np.int64).tofile(file)
    index: Integers = _file(path, np.int64)
    assert len(index) == size
    return index


def _mapped(name: Path, part: str, values: NDArray[Any]) -> Any:
    path = name.with_suffix(f".{part}")
    values.tofile(path)
    return _file(path, values.dtype)


def _file(path: Path, dtype: Any) -> Any:
    """A file of numbers, mapped into memory; an empty file cannot be."""
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.empty(0, dtype=dtype)
