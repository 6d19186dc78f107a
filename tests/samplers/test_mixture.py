"""Mixtures of samplers: each row draws its sampler by itself, and what all leave invariant stays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers import Gibbs, MetropolisHastings, SimulatedAnnealing
from samplers.composites.cycle import Cycle
from samplers.composites.mixture import Mixture
from samplers.composites.tempering import ParallelTempering
from samplers.proposals import InsertDelete, Replace, SpanEdit, Swap
from samplers.proposals import Mixture as MixtureOfProposals
from tests.reference import Floats, MixtureLaw, metropolis_hastings
from tests.samplers.laws import Case, chi_square
from tests.samplers.test_invariance import EDIT, OBJECTIVE, REPLACE, STEPS, run, start
from tests.samplers.toys import TOYS, Toy
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.schedule import constant
from textsearch.testing import TableMaskedLM, letters

FLAT = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")


def parts(toy: Toy) -> dict[Sampler[ChainState], float]:
    """A sampler for each proposal of the toy's mixture, with its weight."""
    assert isinstance(toy.proposal, MixtureOfProposals)
    return {
        MetropolisHastings(part): weight for part, weight in zip(toy.proposal.parts, toy.proposal.weights, strict=True)
    }


def mixture_matrix(toy: Toy) -> Floats:
    """(S, S) the weighted sum of the parts' own transition matrices."""
    assert isinstance(toy.law, MixtureLaw)
    matrices = [
        weight * metropolis_hastings(law, toy.states, toy.energies, toy.temperature).matrix
        for law, weight in toy.law.parts
    ]
    return np.asarray(np.sum(matrices, 0), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ChoiceByLength:
    """The broken twin: the text says who makes the step."""

    even: Sampler[ChainState]
    odd: Sampler[ChainState]
    guarantee: Guarantee = Guarantee.BIASED

    @property
    def vocabulary(self) -> Vocabulary:
        return self.even.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.even.kinds

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return self.even.init(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        one, info = self.even.step(objective, state, rng.fold(1), temperature)
        other, _ = self.odd.step(objective, state, rng.fold(2), temperature)
        return one.where(state.batch.lengths % 2 == 1, other), info


TOY, FROZEN = TOYS["mixture"], TOYS["mixture, frozen"]
REPLACES, EDITS, *_ = parts(TOY)
REPLACING = TOYS["replace"]
assert isinstance(REPLACING.proposal, SpanEdit)
TWICE = MixtureOfProposals({REPLACING.proposal: 0.4, replace(REPLACING.proposal): 0.6})
CASE = Case(
    TOY,
    Mixture(parts(TOY)),
    lambda: mixture_matrix(TOY),
    {"the text says who makes the step": ChoiceByLength(REPLACES, EDITS)},
)
VARIANTS: dict[str, Case] = {
    "frozen": Case(FROZEN, Mixture(parts(FROZEN)), lambda: mixture_matrix(FROZEN)),
    # one move in several parts, be they samplers or proposals: each way back is of the part that led there
    "one move three times": Case(
        REPLACING,
        Mixture({MetropolisHastings(REPLACING.proposal): 0.3, MetropolisHastings(TWICE): 0.7}),
        lambda: REPLACING.chain.matrix,
    ),
    "within a mixture": Case(
        FROZEN,
        Mixture(
            {
                Mixture(dict(list(parts(FROZEN).items())[:2])): 0.7,
                Mixture(dict(list(parts(FROZEN).items())[2:])): 0.3,
            }
        ),
        lambda: mixture_matrix(FROZEN),
    ),
}


@dataclass(frozen=True, eq=False)
class Tagged:
    """A sampler that does nothing but say which rows came to it, and at what temperature."""

    vocabulary: Vocabulary
    name: str
    guarantee: Guarantee = Guarantee.EXACT
    temperatures: list[float] = field(default_factory=list)

    @property
    def kinds(self) -> tuple[str, ...]:
        return (self.name,)

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState(batch, evaluate(objective, batch))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        assert len(rng.chain) == len(state.batch)
        heat = torch.as_tensor(temperature, dtype=torch.float64).expand(len(state.batch))
        self.temperatures.extend(heat.tolist())
        nothing = torch.zeros(len(state.batch))
        return state, Info(nothing.bool(), nothing.long(), heat)


WEIGHTS = (0.5, 0.3, 0.2)


def choices(chains: int, steps: int, weights: tuple[float, ...] = WEIGHTS, *, shared: bool = False) -> Tensor:
    """(steps, chains) which sampler each row took; `shared` is the twin whose rows all draw the same number."""
    vocabulary = letters("a")
    mixture = Mixture({Tagged(vocabulary, str(number)): weight for number, weight in enumerate(weights)})
    rng = Rng.start(5, chains)
    if shared:
        rng = rng.rows([0] * chains)
    state = mixture.init(FLAT, vocabulary.encode(["a"]).repeat(chains))
    return torch.stack([mixture.step(FLAT, state, rng.at(step))[1].kind for step in range(steps)])


def pairs_law(taken: Tensor) -> float:
    """p-value of neighbours choosing independently of one another, with the probabilities `WEIGHTS`."""
    pairs = (taken[:, ::2] * 3 + taken[:, 1::2]).flatten().numpy()
    return chi_square(pairs, np.outer(WEIGHTS, WEIGHTS).flatten())


def test_rows_choose_by_their_weights_and_by_themselves() -> None:
    assert pairs_law(choices(1000, 10)) > 1e-4


def test_a_choice_that_all_rows_share_is_caught() -> None:
    assert pairs_law(choices(1000, 10, shared=True)) < 1e-9


def test_weights_that_are_ignored_are_caught() -> None:
    assert pairs_law(choices(1000, 10, (1.0, 1.0, 1.0))) < 1e-9


def test_steps_choose_independently_of_one_another() -> None:
    assert pairs_law(choices(2000, 10).T) > 1e-4


def test_only_the_weights_proportions_matter() -> None:
    assert Mixture({REPLACES: 2.0, EDITS: 6.0}).weights == (0.25, 0.75)
    assert (choices(50, 3, (5.0, 3.0, 2.0)) == choices(50, 3)).all()


def test_each_row_is_told_of_in_its_place_with_its_own_temperature() -> None:
    vocabulary = letters("a")
    samplers = [Tagged(vocabulary, name) for name in "xy"]
    mixture = Mixture(dict.fromkeys(samplers, 1.0))
    state = mixture.init(FLAT, vocabulary.encode(["a" * (row % 5) for row in range(40)]))
    heat = torch.arange(1, 41, dtype=torch.float64)
    after, info = mixture.step(FLAT, state, Rng.start(0, 40), heat)
    assert after.batch.token_lists() == state.batch.token_lists()
    assert after.evaluation.energy.tolist() == state.evaluation.energy.tolist()
    assert info.log_ratio.tolist() == heat.tolist()
    for number, sampler in enumerate(samplers):
        assert 0 < len(sampler.temperatures) < 40
        assert sampler.temperatures == heat[info.kind == number].tolist()


def test_kinds_of_one_name_are_counted_together_and_models_use_apart() -> None:
    model = TableMaskedLM.random(letters("abc"), seed=0)
    replaces, edits = MetropolisHastings(Replace(model, max_length=8)), MetropolisHastings(InsertDelete(model))
    gibbs, more = Gibbs(model, 2), MetropolisHastings(Replace(model, max_length=9))
    mixture = Mixture({replaces: 1.0, edits: 1.0, more: 1.0, gibbs: 1.0})
    assert mixture.kinds == ("replace", "insert", "delete", "gibbs")
    result = generate(FLAT, mixture, ["abcab"], steps=20, seed=0, chains=3)
    counts = Counter({kind: count.proposed for kind, count in result.acceptance.items()})
    assert counts.total() == 60
    assert min(counts.values()) > 0
    assert counts["replace"] > counts["gibbs"]
    assert set(result.usage) == {"replace", "insert/delete", "gibbs"}
    turns = Cycle([replaces, edits, gibbs])
    assert set(generate(FLAT, turns, ["abcab"], steps=6, seed=0).usage) == {"replace", "insert/delete", "gibbs"}


def test_chains_do_not_depend_on_the_rest_of_the_batch() -> None:
    mixture = Mixture({MetropolisHastings(REPLACE): 2.0, MetropolisHastings(EDIT): 1.0})
    rng = Rng.start(21, 64)
    whole = run(mixture, start(), rng)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
    for index in ([5], order[:30]):
        assert run(mixture, start().rows(index), rng.rows(index)) == whole.rows(index)
    assert run(mixture, start().widen(11), rng) == whole


def test_a_run_can_be_cut_in_two() -> None:
    mixture = Mixture({MetropolisHastings(REPLACE): 2.0, MetropolisHastings(EDIT): 1.0})
    rng, state = Rng.start(21, 64), mixture.init(OBJECTIVE, start())
    for step in range(STEPS):
        state = mixture.init(OBJECTIVE, state.batch) if step == 4 else state
        state, _ = mixture.step(OBJECTIVE, state, rng.at(step), 1.3)
    assert state.batch.token_lists() == run(mixture, start(), rng).tokens


def test_a_mixture_can_be_tempered() -> None:
    ladder = ParallelTempering(Mixture({MetropolisHastings(REPLACE): 1.0, MetropolisHastings(EDIT): 1.0}), (1.0, 2.0))
    result = generate(OBJECTIVE, ladder, ["abc"], steps=6, seed=0, chains=3)
    assert result.energies.tolist() == evaluate(OBJECTIVE, result.batch).energy.tolist()


def test_it_promises_the_least_of_what_the_samplers_do() -> None:
    exact = MetropolisHastings(REPLACE)
    assert Mixture({exact: 1.0}).guarantee is Guarantee.EXACT
    search: Sampler[ChainState] = SimulatedAnnealing(exact, constant(1.0))
    assert Mixture({exact: 1.0, search: 1.0}).guarantee is Guarantee.BIASED


def test_what_is_no_mixture() -> None:
    with pytest.raises(ValueError, match="samplers is empty"):
        Mixture({})
    exact = MetropolisHastings(REPLACE)
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"weight={weight} of replace must be a positive number"):
            Mixture({exact: weight})
    with pytest.raises(ValueError, match=r"samplers\[1\] has another vocabulary"):
        Mixture({exact: 1.0, MetropolisHastings(Swap(letters("abcDE"))): 1.0})
    tempered: Any = ParallelTempering(exact, (1.0, 2.0))
    with pytest.raises(TypeError, match="state of ParallelTempering is a LadderState"):
        Mixture({exact: 1.0, tempered: 1.0}).init(OBJECTIVE, start())
