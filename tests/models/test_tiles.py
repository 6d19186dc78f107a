"""Tiles: every row once, in passes of bounded size, at a width that depends on the row alone."""

from __future__ import annotations

import pytest
import torch

from textsearch.models.reading.length_buckets import GRAIN, padded_width, tiles

ROWS = [list(range(1, n + 1)) for n in (3, 0, 8, 9, 40, 3, 1, 16, 17, 32)]
CPU = torch.device("cpu")


@pytest.mark.parametrize("max_tokens", [1, 16, 40, 10_000])
def test_every_row_once_and_whole(max_tokens: int) -> None:
    seen: dict[int, list[int]] = {}
    for tile in tiles(ROWS, pad=99, max_tokens=max_tokens, device=CPU):
        width = tile.tokens.shape[1]
        assert tile.tokens.numel() <= max_tokens or len(tile.rows) == 1
        for row, tokens, length, mask in zip(
            tile.rows.tolist(), tile.tokens.tolist(), tile.lengths.tolist(), tile.attention_mask.tolist(), strict=True
        ):
            assert row not in seen
            seen[row] = tokens[:length]
            assert tokens[length:] == [99] * (width - length)
            assert mask == [1] * length + [0] * (width - length)
    assert seen == dict(enumerate(ROWS))


@pytest.mark.parametrize("max_tokens", [1, 40, 10_000])
def test_the_width_of_a_row_is_its_own(max_tokens: int) -> None:
    alone = [next(tiles([row], pad=0, max_tokens=max_tokens, device=CPU)).tokens.shape[1] for row in ROWS]
    assert alone == [padded_width(len(row)) for row in ROWS]
    assert all(width % GRAIN == 0 and 0 <= width - len(row) <= GRAIN for width, row in zip(alone, ROWS, strict=True))
    for tile in tiles(ROWS, pad=0, max_tokens=max_tokens, device=CPU):
        assert {alone[row] for row in tile.rows.tolist()} == {tile.tokens.shape[1]}


def test_no_rows_no_tiles() -> None:
    assert list(tiles([], pad=0, max_tokens=8, device=CPU)) == []


@pytest.mark.parametrize("max_tokens", [1, 40, 10_000])
def test_groups_share_no_tile(max_tokens: int) -> None:
    groups = [1, 0, 1, 1, 0, 0, 2, 2, 1, 0]
    cut = list(tiles(ROWS, pad=0, max_tokens=max_tokens, device=CPU, groups=groups))
    assert all(len({groups[row] for row in tile.rows.tolist()}) == 1 for tile in cut)
    assert sorted(row for tile in cut for row in tile.rows.tolist()) == list(range(len(ROWS)))
