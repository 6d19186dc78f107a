"""The sampler of CGMH is exact, and the tests notice if it is not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks import cgmh
from textsearch.testing import LawBroken, TableMaskedLM, check_sampler, letters

TEXTS = ["a", "b", "c", *(one + other for one in "abc" for other in "abc")]


def check(candidates: int) -> None:
    sampler = cgmh.CGMH(TableMaskedLM.random(letters("abc"), seed=0), candidates, max_length=2)
    check_sampler(sampler, TEXTS, steps=6)


@pytest.mark.parametrize("candidates", [1, 2, 3])
def test_it_keeps_its_target(candidates: int) -> None:
    check(candidates)


def no_way_back(kind: Tensor, own: Tensor, shorter: Tensor, log_z: Tensor, known: Tensor) -> Tensor:
    """As if the old word could always be proposed again."""
    return right(kind, own, shorter, log_z, torch.ones_like(known))


def no_insertion(kind: Tensor, own: Tensor, shorter: Tensor, log_z: Tensor, known: Tensor) -> Tensor:
    """As if a deletion were undone by a move of probability 1: pi(x') / pi(x)."""
    return torch.where(kind == 2, shorter - own, right(kind, own, shorter, log_z, known))


right = cgmh.log_acceptance


@pytest.mark.parametrize("broken", [no_way_back, no_insertion])
def test_a_broken_one_is_noticed(monkeypatch: pytest.MonkeyPatch, broken: object) -> None:
    monkeypatch.setattr(cgmh, "log_acceptance", broken)
    with pytest.raises(LawBroken, match="on the target"):
        check(2)
