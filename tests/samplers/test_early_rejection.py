"""Early rejection: the chain is that of full energies, bit for bit, for fewer rows of the model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, final

import pytest
import torch
from torch import Tensor

from objectives import PseudoLikelihood
from samplers import MetropolisHastings
from samplers.proposals import PIECES, InsertDelete, Mixture, Replace, Swap
from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from textsearch import FunctionObjective, Generations, Objective, generate
from textsearch.batch import Batch
from textsearch.objective import Cost, Limit, evaluate, term_names
from textsearch.testing import TableMaskedLM, letters

LETTERS = letters("abcd")
MODEL = TableMaskedLM.random(LETTERS, seed=0)
MOVES = Mixture({Replace(MODEL): 0.5, InsertDelete(MODEL): 0.4, Swap(LETTERS): 0.1})
WORDS = ["abcda", "c", ""]


@final
@dataclass(frozen=True, eq=False)
class Unlimited(Objective):
    """The same energies, always worked out in full."""

    whole: Objective

    @property
    def cost(self) -> Cost:
        return self.whole.cost

    def energy(self, batch: Batch) -> Tensor:
        return self.whole.energy(batch)


@final
@dataclass(frozen=True, eq=False)
class Hasty(Objective):
    """Given up a little too early."""

    whole: Objective

    @property
    def lower_bound(self) -> float:
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        return self.whole.energy(batch)

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        return self.whole.energy_within(batch, replace(limit, energy=limit.energy - 0.5))


VOWELS = FunctionObjective(lambda texts: [0.7 * text.count("a") for text in texts], name="vowels")
PSEUDO = PseudoLikelihood(MODEL)
OTHER = PseudoLikelihood(TableMaskedLM.random(LETTERS, seed=1))
OBJECTIVES = {
    "two models": 0.5 * OTHER + 1.5 * PSEUDO,
    "with a bonus": FunctionObjective(lambda texts: [-1.0 * text.count("b") for text in texts]) + PSEUDO,
    "nothing to stop": VOWELS + 0.0001 * PSEUDO,
}


def run(objective: Objective, temperature: float, **settings: Any) -> Generations:
    return generate(objective, MetropolisHastings(MOVES), WORDS, seed=3, chains=4, temperature=temperature, **settings)


@pytest.mark.parametrize(("name", "temperature"), [(name, 0.5) for name in OBJECTIVES] + [("with a bonus", 2.0)])
def test_the_chain_is_that_of_full_energies(name: str, temperature: float) -> None:
    objective = OBJECTIVES[name]
    early = run(objective, temperature, steps=20, thin=1)
    full = run(Unlimited(objective), temperature, steps=20, thin=1)
    assert early.samples == full.samples
    assert early.trace.tolist() == full.trace.tolist()
    assert early.best_texts == full.best_texts
    assert not bool(torch.as_tensor(early.term_traces[term_names(objective)[0]]).isnan().any())


def test_giving_up_too_early_is_caught() -> None:
    early = run(Hasty(PSEUDO), 1.0, steps=25, thin=1)
    assert early.samples != run(Unlimited(PSEUDO), 1.0, steps=25, thin=1).samples


def test_a_real_model_s_chain_is_the_same_for_fewer_rows(tiny: Tiny) -> None:
    results = []
    for way in (lambda whole: whole, Unlimited):
        lm = tiny.masked()
        batch = lm.vocabulary.encode([text for text in TEXTS if text])
        sampler = MetropolisHastings(Replace(lm, pieces=PIECES))
        # sharper than an untrained model: nearly every proposal is refused
        objective = way(200.0 * PseudoLikelihood(lm))
        results.append(generate(objective, sampler, batch, steps=12, seed=1, chains=2, thin=1))
    early, full = results
    assert early.samples == full.samples
    assert early.trace.tolist() == full.trace.tolist()
    rows = [sum(usage.rows for usage in result.usage.values()) for result in (early, full)]
    assert 0 < rows[0] < rows[1]


def test_a_dear_term_is_not_asked_of_what_a_cheap_one_refuses() -> None:
    seen: list[int] = []

    @final
    @dataclass(frozen=True, eq=False)
    class Dear(Objective):
        @property
        def cost(self) -> Cost:
            return Cost.MODEL

        @property
        def lower_bound(self) -> float:
            return 0.0

        def energy(self, batch: Batch) -> Tensor:
            seen.append(len(batch))
            return torch.zeros(len(batch), dtype=torch.float64)

    batch = LETTERS.encode(["a", "aaaa", "b"])
    limit = Limit(torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64), batch)
    found = evaluate(VOWELS + Dear(), batch, limit=limit)
    assert seen == [2]
    assert found.energy.tolist() == [0.7, math.inf, 0.0]
    seen.clear()
    # what may yet be gained by a term of no known least value keeps the row in the running
    unknown = FunctionObjective(lambda texts: [-9.0] * len(texts))
    assert evaluate(VOWELS + unknown + Dear(), batch, limit=limit).energy.tolist() == pytest.approx([-8.3, -6.2, -9.0])
