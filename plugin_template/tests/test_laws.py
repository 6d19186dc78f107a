"""The laws of the objective and the sampler; each test must fail on a broken twin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import pytest
from textsearch_example import Alliteration, Barker
from torch import Tensor

from samplers.proposals import InsertDelete, Mixture, Replace
from textsearch import Batch, Info, Objective, Rng
from textsearch.objective import evaluate
from textsearch.sampler import ChainState
from textsearch.testing import LawBroken, TableMaskedLM, check_objective, check_sampler, letters

SENTENCES = ["big bad bears", "a big bear", "", "bears"]
MODEL = TableMaskedLM.random(letters("ab"), seed=0)
MOVES = Mixture({Replace(MODEL, max_length=3): 0.5, InsertDelete(MODEL, max_length=3): 0.5})
TEXTS = ["".join(text) for length in range(4) for text in product("ab", repeat=length)]


def test_the_objective_obeys_the_laws() -> None:
    """An energy depends on a row's own text alone."""
    check_objective(Alliteration(), SENTENCES)


def test_the_energy_is_the_one_that_is_meant() -> None:
    """By hand."""
    batch = letters("abdegirs ").encode(["big bad bears", "a big bear", ""])
    assert Alliteration(nats=2.0).energy(batch).tolist() == [0.0, 2.0, 0.0]


@dataclass(frozen=True)
class Standardised(Objective):
    """Broken: the energies of one batch, less their mean."""

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        own = Alliteration().energy(batch)
        return own - own.mean()


def test_a_broken_objective_is_caught() -> None:
    """The control."""
    with pytest.raises(LawBroken):
        check_objective(Standardised(), SENTENCES)


def test_the_sampler_obeys_the_laws() -> None:
    """On all texts of two letters up to a length of three."""
    check_sampler(Barker(MOVES), TEXTS)


class Careless:
    """Broken: takes every proposal to be symmetric; all else is as in `Barker`."""

    def __init__(self, inner: Barker) -> None:
        self.inner = inner
        self.vocabulary, self.kinds, self.guarantee, self.init = (
            inner.vocabulary,
            inner.kinds,
            inner.guarantee,
            inner.init,
        )

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One step of each chain."""
        move = self.inner.proposal.propose(state.batch, rng.fold(0))
        proposed = ChainState(move.batch, evaluate(objective, move.batch, wanted=move.log_backward > -math.inf))
        log_ratio = (state.evaluation.energy - proposed.evaluation.energy) / temperature
        accepted = rng.fold(1).uniform(0).logit() < log_ratio
        return state.where(accepted, proposed), Info(accepted, move.kind, log_ratio)


def test_a_broken_sampler_is_caught() -> None:
    """The control."""
    with pytest.raises(LawBroken):
        check_sampler(Careless(Barker(MOVES)), TEXTS)
