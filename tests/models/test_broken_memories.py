"""Memories that remember wrongly are caught by the checks that sound ones pass: numbers of a plain pass, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.models.test_masked import MASKED_TEXTS, expected
from tests.models.test_prefix_tree import ROWS, by_hand, read, tree_of
from tests.models.tiny import PIECES, Tiny, every_position, llama
from tests.models.tiny import tiny as tiny
from textsearch.models.reading import hidden_cache as contexts
from textsearch.models.reading import length_buckets as tiles
from textsearch.models.reading import packing as flat
from textsearch.models.reading import prefix_tree
from textsearch.models.reading.hidden_cache import Contexts
from textsearch.models.reading.length_buckets import BLOCK
from textsearch.models.reading.prefix_tree import Node, PrefixTree

SOUND, BROKEN = 1e-4, 1e-2
"""Nats that rounding makes at most, and a wrong memory at least."""


def nothing(patch: pytest.MonkeyPatch) -> None:
    """The sound one."""


def deaf_to_what_came_before(patch: pytest.MonkeyPatch) -> None:
    """Prefixes that end alike are taken for one another."""
    depth: dict[Node, int] = {}
    below: dict[int, dict[int, Node]] = {}

    def node(token: int, parent: Node | None, slot: int) -> Node:
        made = Node(token, parent, slot)
        depth[made] = 0 if parent is None else depth[parent] + 1
        made.children = below.setdefault(depth[made], {})
        return made

    patch.setattr(prefix_tree, "Node", node)


def stale_sums(owner: type[Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """A slot that is used again keeps the normaliser of what was in it before."""

    def broken(patch: pytest.MonkeyPatch) -> None:
        keep = owner._keep

        def kept(self: Any, first: Any, second: Any) -> None:
            before = self._log_sum.clone()
            keep(self, first, second)
            old = self._log_sum[: len(before)]
            old[~before.isnan()] = before[~before.isnan()]

        patch.setattr(owner, "_keep", kept)

    return broken


def near_contexts(patch: pytest.MonkeyPatch) -> None:
    """Places with the same neighbours are taken for one another."""
    found = Contexts._found

    def near(key: contexts.Context) -> contexts.Context:
        row = list(contexts.tokens(key))
        place = key[1]
        return contexts.context([*row[max(place - 1, 0) : place + 2]], min(place, 1))

    def known(self: Contexts, keys: Any) -> Any:
        asked = {near(key): key for key in reversed(keys)}
        return found(self, [asked[near(key)] for key in keys])

    patch.setattr(Contexts, "_found", known)


def tree_error(max_bytes: int) -> float:
    """Nats, at most, between a tree and plain passes, over rows that come again in other company."""
    model = llama(40).eval()
    tree = tree_of(model, max_tokens=7, max_bytes=max_bytes)
    worst = 0.0
    for rows in (ROWS, ROWS[::-1], ROWS[2:]):
        for row, found in zip(rows, read(tree, rows), strict=True):
            apart = [abs(one - other) for one, other in zip(found, by_hand(model, row), strict=True)]
            worst = max([worst, *apart])
    return worst


def context_error(tiny: Tiny, max_bytes: int) -> float:
    """The same between remembered contexts and plain passes."""
    lm = replace(tiny.masked(), max_bytes=max_bytes)
    batch = lm.vocabulary.encode(MASKED_TEXTS)
    rows, positions = every_position(batch.lengths)
    wanted = torch.arange(len(rows)) % len(PIECES)
    law = expected(lm.model, batch, rows, positions).double().gather(1, wanted[:, None])[:, 0]
    found = [lm.token_log_probs(batch, rows[part], positions[part], wanted[part]) for part in (slice(40), slice(None))]
    return max(float((found[0] - law[:40]).abs().max()), float((found[1] - law).abs().max()))


@pytest.mark.parametrize(
    "broken",
    [nothing, deaf_to_what_came_before],
    ids=["sound", "deaf to what came before"],
)
def test_trees(broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    apart = tree_error(max_bytes=2**20)
    assert apart < SOUND if broken is nothing else apart > BROKEN


@pytest.mark.parametrize("broken", [nothing, stale_sums(PrefixTree)], ids=["sound", "stale sums"])
def test_small_trees(broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    apart = tree_error(max_bytes=5000)
    assert apart < SOUND if broken is nothing else apart > BROKEN


@pytest.mark.parametrize(
    "broken",
    [nothing, near_contexts],
    ids=["sound", "neighbours alone"],
)
def test_contexts(tiny: Tiny, broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    apart = context_error(tiny, 2**28)
    assert apart < SOUND if broken is nothing else apart > BROKEN


@pytest.mark.parametrize("broken", [nothing, stale_sums(Contexts)], ids=["sound", "stale sums"])
def test_few_contexts(
    tiny: Tiny, broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    apart = context_error(tiny, 10_000)
    assert apart < SOUND if broken is nothing else apart > BROKEN


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("by", [0, 1, 2])
def test_a_model_whose_rows_see_the_wrong_places_is_not_read_flat(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, by: int, causal: bool
) -> None:
    group = flat._group

    def shifted(*arguments: Any) -> Any:
        found = group(*arguments)
        return replace(found, unseen=found.unseen.roll(by, -1))

    monkeypatch.setattr(flat, "_group", shifted)
    model = llama(40).eval() if causal else tiny.masked().model
    assert (flat.bytes_a_token(model, causal) is not None) == (by == 0)


@pytest.mark.parametrize("block", [BLOCK, 1])
def test_single_rows_of_a_product_round_differently(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """The twin reads a token alone without filling up the products: other bits than among others."""
    monkeypatch.setattr(flat, "BLOCK", block)
    monkeypatch.setattr(tiles, "BLOCK", block)
    model = llama(40).eval()
    together, alone = (read(tree_of(model, max_tokens=most), ROWS) for most in (512, 1))
    assert (together == alone) == (block == BLOCK)
