"""Cut a batch into tiles of rows of like length, so that memory stays bounded and a row's numbers stay its own.

A row is padded to a width that depends on its own length only, so neither longer rows nor more padding elsewhere in
the batch change the shapes that its sums run over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

GRAIN = 16
"""Widths are multiples of this: short texts share one width, and so one pass."""

BLOCK = 4
"""Matrix products have a multiple of this many rows: one to three rows round differently, whatever lies around them."""


@final
@dataclass(frozen=True, eq=False)
class Tile:
    """Some rows, padded to one width.

    Attributes:
        rows: (R,) int64 indices into what was cut up.
        tokens: (R, W) int64, `pad` beyond a row's length.
        lengths: (R,) int64.
        read: their sum, the tokens that are no padding.
    """

    rows: Tensor
    tokens: Tensor
    lengths: Tensor
    read: int

    @property
    def attention_mask(self) -> Tensor:
        """(R, W) int64, 1 within a row's length."""
        column = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        return (column < self.lengths[:, None]).to(torch.int64)


def padded_width(length: int) -> int:
    """The width of a row of `length` tokens.

    >>> [padded_width(length) for length in (0, 1, 16, 17)]
    [16, 16, 16, 32]
    """
    return -(-max(length, 1) // GRAIN) * GRAIN


def whole_blocks(count: int, device: torch.device) -> Tensor:
    """0 .. count - 1, and the last one again up to a multiple of `BLOCK`: an index that pads.

    >>> whole_blocks(6, torch.device("cpu")).tolist()
    [0, 1, 2, 3, 4, 5, 5, 5]
    """
    return torch.arange(count + -count % BLOCK, device=device).clamp(max=max(count - 1, 0))


def tiles(
    rows: Sequence[Sequence[int]],
    *,
    pad: int,
    max_tokens: int,
    device: torch.device,
    groups: Sequence[int] | None = None,
) -> Iterator[Tile]:
    """The rows in tiles of at most `max_tokens` tokens, padding included (at least one row).

    Rows of different `groups` (one int a row) are never put together.
    """
    keys = [(padded_width(len(row)), groups[i] if groups else 0) for i, row in enumerate(rows)]
    order = sorted(range(len(rows)), key=lambda i: keys[i])
    start = 0
    while start < len(order):
        width = keys[order[start]][0]
        stop = start
        while (
            stop < len(order) and keys[order[stop]] == keys[order[start]] and (stop - start + 1) * width <= max_tokens
        ):
            stop += 1
        stop = max(stop, start + 1)
        chosen = order[start:stop]
        padded = [[*rows[i], *[pad] * (width - len(rows[i]))] for i in chosen]
        lengths = [len(rows[i]) for i in chosen]
        yield Tile(
            torch.tensor(chosen, device=device),
            torch.tensor(padded, dtype=torch.int64, device=device),
            torch.tensor(lengths, device=device),
            sum(lengths),
        )
        start = stop
