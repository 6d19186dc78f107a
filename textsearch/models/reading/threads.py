"""The rows of a pass shared out among threads, each of which reads its share with one thread an operation.

The operations of short rows are too small to be worth cutting: two threads within each gain little, and attention over
many short rows nothing. Half of the rows on each of two threads does, as all that is done to a row is done there. And
as a row's numbers do not depend on what else is in its pass, they have the same bits on any number of threads.

How many threads there are is PyTorch's setting: `torch.set_num_threads`, or OMP_NUM_THREADS. While `sharing`, the
thread that asks has one thread an operation too, once it has shared something out: those that OpenMP keeps for it go
round in circles for milliseconds after each operation, on the very cores that the others need.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from itertools import accumulate
from threading import Barrier, Lock, get_ident, local
from typing import Any, TypeVar, final

import torch

from textsearch.models.reading.length_buckets import Tile, padded_width, tiles

Found = TypeVar("Found")


@final
class _Thread(local):
    """What is known of the thread that asks.

    Attributes:
        ours: whether it is one of those that read shares.
        within: whether it is `sharing`.
        count: how many threads its operations had before they had one; 0 where that is not changed.
    """

    ours = False
    within = False
    count = 0


@final
class _Pool:
    """So many threads, each with one thread an operation."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.process = os.getpid()
        # all are there before the first has anything to do
        ready = Barrier(size + 1)
        self.threads = ThreadPoolExecutor(size, "textsearch", _begin, (ready,))
        self.keeper = ThreadPoolExecutor(1, "textsearch-keeper")
        own = torch.get_num_threads()
        try:
            for _ in range(size):
                self.threads.submit(int)
            ready.wait()
        except BaseException:
            ready.abort()
            raise
        finally:
            # what a thread sets for itself is what threads that come later begin with
            torch.set_num_threads(own)

    def start(self, task: Callable[[], Found]) -> Future[Found]:
        """Run it with what the thread that asks has set for itself and what it calls."""
        context = copy_context()
        return self.threads.submit(lambda: context.run(task))

    def narrow(self, before: int) -> None:
        """One thread an operation, for the thread that asks alone: others begin with as many as `before`."""
        torch.set_num_threads(1)
        self.keeper.submit(torch.set_num_threads, before).result()


_THREAD = _Thread()
_GUARD = Lock()
_POOLS: list[_Pool] = []
_OPEN: dict[int, Sequence[Future[Any]]] = {}


def count_of(device: torch.device) -> int:
    """Threads among which a pass on this device may be shared out.

    1 where operations are recorded or replaced, which threads of their own would not see.
    """
    watched = torch._C._len_torch_dispatch_stack() + torch._C._len_torch_function_stack()
    if device.type != "cpu" or _THREAD.ours or watched or torch.is_autocast_enabled("cpu"):
        return 1
    return _THREAD.count or torch.get_num_threads()


@contextmanager
def sharing() -> Iterator[None]:
    """From the first pass that is shared out to the end of the block, operations of this thread have one thread.

    A block within another is part of it.
    """
    if _THREAD.within or _THREAD.ours:
        yield
        return
    try:
        _THREAD.within = True
        yield
    finally:
        _THREAD.within = False
        # who has set another number meanwhile means it
        if _THREAD.count and torch.get_num_threads() == 1:
            torch.set_num_threads(_THREAD.count)
        _THREAD.count = 0


def abreast(tasks: Sequence[Callable[[], Found]]) -> list[Found]:
    """What each of the tasks gives, which may be run at the same time.

    They all have ended when this returns or raises, Ctrl-C included. A single one is run by the thread that asks, and
    its operations on all threads that there are. None may wait for a lock that this thread holds.

    >>> abreast([lambda: 1, lambda: 2])
    [1, 2]
    """
    join(_OPEN.pop(get_ident(), ()))
    if len(tasks) < 2 or _THREAD.ours:
        return [_wide(task) for task in tasks]
    count = _THREAD.count or torch.get_num_threads()
    pool = _pool(count)
    if _THREAD.within and not _THREAD.count and count > 1:
        _THREAD.count = count
        pool.narrow(count)
    modes = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    started: list[Future[Found]] = []
    # what an interrupt leaves running here, the next pass waits for
    _OPEN[get_ident()] = started
    try:
        # one by one: those that were started are known even if the next is interrupted
        started.extend(pool.start(partial(_run, task, *modes)) for task in tasks)
        join(started)
    except BaseException:
        for one in started:
            one.cancel()
        join(started)
        raise
    _OPEN.pop(get_ident(), None)
    return [one.result() for one in started]


def read_tiles(
    rows: Sequence[Sequence[int]],
    read: Callable[[Tile], Found],
    *,
    pad: int,
    max_tokens: int,
    device: torch.device,
    groups: Sequence[int] | None = None,
) -> Iterator[tuple[Tile, Found]]:
    """The rows in `tiles`, and what is `read` of each; several may be read at the same time."""
    threads = count_of(device)
    if threads > 1:
        max_tokens = min(max_tokens, -(-sum(padded_width(len(row)) for row in rows) // threads))
    cut = tiles(rows, pad=pad, max_tokens=max_tokens, device=device, groups=groups)
    if threads == 1:
        return ((tile, read(tile)) for tile in cut)
    all_tiles = list(cut)
    return zip(all_tiles, abreast([partial(read, tile) for tile in all_tiles]), strict=True)


def shares(sizes: Sequence[int], most: int, count: int) -> list[range]:
    """The first of some rows, as so many passes of about as many tokens each as `count` threads can share.

    Args:
        sizes: tokens of each row.
        most: tokens of a pass, unless a single row has more.
        count: threads; fewer passes where there are fewer rows.

    >>> shares([10] * 9, 100, 2), shares([10] * 9, 20, 2), shares([90, 10, 10], 50, 2), shares([10] * 9, 100, 1)
    ([range(0, 5), range(5, 9)], [range(0, 2), range(2, 4)], [range(0, 1), range(1, 3)], [range(0, 9)])
    """
    ends = list(accumulate(sizes))
    aim = min(most, -(-ends[-1] // count)) if ends else most
    found: list[range] = []
    start = 0
    while start < len(sizes) and len(found) < count:
        before = ends[start - 1] if start else 0
        stop = start + 1
        last = len(found) + 1 == count
        # a row goes to this pass if at least half of it lies before the even cut; to the last, whatever it can hold
        while (
            stop < len(sizes)
            and ends[stop] - before <= most
            and (last or ends[stop] - sizes[stop] / 2 <= aim * (len(found) + 1))
        ):
            stop += 1
        found.append(range(start, stop))
        start = stop
    return found


def even(count: int, threads: int) -> list[slice]:
    """`count` things in at most so many parts, one at least, of about as many each.

    >>> even(10, 3), even(1, 2), even(0, 2)
    ([slice(0, 4, None), slice(4, 8, None), slice(8, 10, None)], [slice(0, 1, None)], [slice(0, 0, None)])
    """
    size = max(1, -(-count // threads))
    return [slice(start, min(start + size, count)) for start in range(0, max(count, 1), size)]


def _pool(size: int) -> _Pool:
    """One of at least so many threads; a process that was copied from another has none of its threads."""
    with _GUARD:
        if not _POOLS or _POOLS[-1].size < size or _POOLS[-1].process != os.getpid():
            _POOLS[:] = [_Pool(size)]
        return _POOLS[-1]


def _wide(task: Callable[[], Found]) -> Found:
    """What a task gives that nothing runs beside."""
    if not _THREAD.count:
        return task()
    torch.set_num_threads(_THREAD.count)
    try:
        return task()
    finally:
        _pool(_THREAD.count).narrow(_THREAD.count)


def _begin(ready: Barrier) -> None:
    _THREAD.ours = True
    # a thread takes over the setting of all when it is first asked, and not again
    torch.get_num_threads()
    torch.set_num_threads(1)
    ready.wait()


def _run(task: Callable[[], Found], inference: bool, grad: bool) -> Found:
    with torch.inference_mode(inference), torch.set_grad_enabled(grad):
        return task()


def join(started: Sequence[Future[Found]]) -> None:
    """Wait for all, whatever comes in between."""
    try:
        wait(started)
    except BaseException:
        join(started)
        raise
