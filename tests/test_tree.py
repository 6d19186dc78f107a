"""One walk over states: what it does to the chains of a state is what each chain alone would have had done to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from textsearch import tree
from textsearch.batch import Batch
from textsearch.objective import Evaluation
from textsearch.sampler import ChainState
from textsearch.testing import letters

VOCABULARY = letters("abc")
TEXTS = ["abc", "", "cab", "a", "bb"]


class Pair(NamedTuple):
    one: Tensor
    other: Tensor


@dataclass(frozen=True, eq=False)
class Deep:
    """All that a state may be made of."""

    chain: ChainState
    rungs: tuple[ChainState, ...]
    pair: Pair
    named: dict[str, Tensor]
    stage: int = 3
    rate: float | None = None


def deep(texts: list[str]) -> Deep:
    batch = VOCABULARY.encode(texts)
    values = torch.tensor([float(TEXTS.index(text)) for text in texts], dtype=torch.float64)
    chain = ChainState(batch, Evaluation(values, torch.stack([values, -values], 1)))
    return Deep(chain, (chain, chain), Pair(values, values.to(torch.int64)), {"heat": values[:, None] * 2})


def plain(state: Deep) -> list[Any]:
    """Chain by chain, as plain values."""
    texts = [state.chain.batch.texts(), *(rung.batch.texts() for rung in state.rungs)]
    leaves = [state.chain.evaluation.energy, state.chain.evaluation.terms, *state.pair, state.named["heat"]]
    return list(zip(*texts, *(leaf.tolist() for leaf in leaves), strict=True))


@pytest.mark.parametrize("index", [[4, 0, 0], [], [2], [0, 1, 2, 3, 4]])
def test_rows_are_those_of_the_texts(index: list[int]) -> None:
    state = deep(TEXTS)
    assert plain(tree.rows(state, torch.tensor(index, dtype=torch.int64))) == [plain(state)[row] for row in index]
    picked = torch.tensor([row in index for row in range(5)])
    assert plain(tree.rows(state, picked)) == [plain(state)[row] for row in sorted(set(index))]


def test_chains_put_together_are_the_chains() -> None:
    parts = [deep(TEXTS[:2]), deep(TEXTS[2:3]), deep(TEXTS[3:])]
    assert plain(tree.concatenate(parts)) == plain(deep(TEXTS))
    with pytest.raises(ValueError, match="stage is 3 of some chains and 4 of others"):
        tree.concatenate([parts[0], replace(parts[1], stage=4)])


def test_where_takes_each_chain_from_one_or_the_other() -> None:
    one, other = deep(TEXTS), deep(TEXTS[::-1])
    take = torch.tensor([True, False, False, True, True])
    wanted = [mine if taken else its for mine, its, taken in zip(plain(one), plain(other), take.tolist(), strict=True)]
    assert plain(tree.where(take, one, other)) == wanted != plain(tree.where(~take, one, other))


def test_what_is_written_down_comes_back() -> None:
    state = deep(TEXTS)
    constants, tensors = tree.flatten(state)
    assert constants == {"stage": 3, "rate": None} and "rungs[1].batch.tokens" in tensors
    again = tree.restore(deep(TEXTS[:1]), constants, {path: tensor.clone() for path, tensor in tensors.items()})
    assert plain(again) == plain(state) and again.chain.batch.vocabulary is VOCABULARY
    with pytest.raises(ValueError, match=r"named\.heat was not written down"):
        tree.restore(state, constants, {path: tensor for path, tensor in tensors.items() if path != "named.heat"})
    with pytest.raises(ValueError, match="another was written down, and Deep has no such part"):
        tree.restore(state, constants | {"another": 1}, tensors)


def test_another_device_is_told_to_every_tensor() -> None:
    moved = tree.to(deep(TEXTS), "meta")
    assert {tensor.device.type for tensor in tree.flatten(moved)[1].values()} == {"meta"}


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (lambda state: replace(state, pair=Pair(torch.zeros(2, 5), state.pair.other)), r"pair\.one of it .*\(2, 5\)"),
        (lambda state: replace(state, rate=torch.tensor(1.0)), r"rate of it .* shape \(\), not \(5, \.\.\.\)"),
        (lambda state: replace(state, named={"heat": [1.0]}), "named.heat is a list, which is no frozen dataclass"),
    ],
)
def test_what_cannot_be_divided_is_told_by_its_path(state: Any, complaint: str) -> None:
    tree.check(deep(TEXTS), 5, "it")
    with pytest.raises(tree.NoTreeError, match=complaint):
        tree.check(state(deep(TEXTS)), 5, "it")


def test_the_values_walked_over_stay_as_they_are() -> None:
    state = deep(TEXTS)
    before = plain(state)
    tree.rows(state, torch.tensor([1])).chain.evaluation.energy.add_(1)
    assert isinstance(state.chain.batch, Batch) and plain(state) == before
