"""How many tokens a pass may hold: fewer once the device has run out of memory."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar, final

import torch

from textsearch.models.reading.length_buckets import GRAIN
from textsearch.models.reading.threads import abreast, shares

Found = TypeVar("Found")


@final
class TokenBudget:
    """A bound that gives way.

    Attributes:
        most: tokens in one pass.

    >>> budget = TokenBudget(512)
    >>> with warnings.catch_warnings(action="ignore"):
    ...     budget.halve(torch.OutOfMemoryError("CUDA out of memory"))
    >>> budget.most
    256
    """

    def __init__(self, most: int) -> None:
        self.most = most

    def passes(self, sizes: Sequence[int], run: Callable[[slice], Found], threads: int = 1) -> list[Found]:
        """What `run` makes of rows side by side, as many at a time as fit, but one at least; `sizes` are their tokens.

        So many passes are run at the same time.

        >>> TokenBudget(512).passes([200, 200, 200, 600, 10], lambda rows: rows.stop - rows.start)
        [2, 1, 1, 1]
        """
        found: list[Found] = []
        start = 0
        while start < len(sizes):
            parts = shares(sizes[start:], self.most, threads)
            try:
                found += abreast([partial(run, slice(start + part.start, start + part.stop)) for part in parts])
            except RuntimeError as error:
                self.halve(error)
                continue
            start += parts[-1].stop
        return found

    def halve(self, error: RuntimeError) -> None:
        """After an `error` of a pass; raises it again if it is another one, or if nothing smaller is left to try."""
        ran_out = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not ran_out or self.most <= GRAIN:
            raise error
        warnings.warn(
            f"a pass of {self.most} tokens did not fit into memory; from now on passes have at most {self.most // 2}. "
            f"max_tokens={self.most // 2} given to the model's loader starts there",
            RuntimeWarning,
            stacklevel=2,
        )
        self.most //= 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
