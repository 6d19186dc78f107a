"""The laws, for every line of the table of kernels; `python -m tests.samplers.table` prints the figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import pytest

import samplers
from samplers import proposals
from tests.samplers.kernels import KERNELS, VARIANTS
from tests.samplers.laws import FAULT, RUNS, Case, Draws, balance, bias, deviation, fault_p_value, p_value, same_chains
from textsearch import FunctionObjective
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Info, Sampler, State
from textsearch.testing import TableMaskedLM, letters
from textsearch.testing.untouched import Watched

CASES = {name: case for name, case in (KERNELS | VARIANTS).items() if isinstance(case, Case)}
DRAWS = {name: draws for name, draws in KERNELS.items() if isinstance(draws, Draws)}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
# rows of the matrix are those of a reference that leaves the target as it is: for variants that is enough day by day
every_start = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[pytest.mark.reliability] if name in VARIANTS and not case.twins else [])
        for name, case in CASES.items()
    ],
)
every_twin = pytest.mark.parametrize(
    ("case", "twin"),
    [pytest.param(case, twin, id=f"{name} - {twin}") for name, case in CASES.items() for twin in case.twins],
)
every_kind_of_draws = pytest.mark.parametrize("draws", DRAWS.values(), ids=DRAWS.keys())
every_twin_of_draws = pytest.mark.parametrize(
    ("draws", "twin"),
    [pytest.param(draws, twin, id=f"{name} - {twin}") for name, draws in DRAWS.items() for twin in draws.twins],
)


@every_case
def test_reference_leaves_the_target_as_it_is(case: Case) -> None:
    figures = balance(case)
    assert figures.rows < 1e-12
    assert figures.invariance < 1e-10
    assert not case.reversible or figures.reversal < 1e-10
    assert (case.matrix.diagonal() < 1).any()


@pytest.mark.parametrize(
    ("case", "runs"),
    [pytest.param(case, RUNS // 4 if name in VARIANTS else RUNS, id=name) for name, case in CASES.items()],
)
def test_kernel_moves_with_the_reference_s_probabilities(case: Case, runs: int) -> None:
    """A variant is a kernel once more, in another space: a quarter of the runs, and the bound is that much wider."""
    figures = deviation(case, runs)
    assert figures.excess < 0
    assert figures.impossible == 0


@every_start
def test_chains_stay_on_the_target(case: Case) -> None:
    """They start on it exactly: there is no burn-in to argue about (Gandy and Scott, 2020)."""
    assert p_value(case.space, case.sampler, steps=case.steps) > 1e-4


@every_twin
def test_broken_twin_is_caught(case: Case, twin: str) -> None:
    assert fault_p_value(case.space, case.twins[twin], steps=case.steps) < FAULT


@every_case
def test_chains_depend_on_their_seed_and_number_alone(case: Case) -> None:
    assert same_chains(case) == []


def touched(sampler: Sampler[Any], objective: Objective, state: State, temperature: float) -> list[str]:
    """What three steps have changed of what they were given."""
    rng, changed = Rng.start(3, len(state.batch)), []
    for step in range(3):
        watch = Watched.of(state=state, rng=rng)
        state, _ = sampler.step(objective, state, rng.at(step, total=3), temperature)
        changed.append(watch.changed())
    return [path for path in changed if path]


@dataclass(frozen=True)
class Overwrites:
    """The control: a sampler that moves on the texts that it was given."""

    sampler: Sampler[Any]

    def step(self, objective: Objective, state: State, rng: Rng, temperature: Any = 1.0) -> tuple[State, Info]:
        after, info = self.sampler.step(objective, state, rng, temperature)
        state.evaluation.energy.add_(1.0)
        return after, info


@every_case
def test_what_a_step_is_given_stays_as_it_is(case: Case) -> None:
    def start() -> State:
        return case.space.begin(case.sampler, np.repeat(case.starts, 8)[:96], 8)

    assert touched(case.sampler, case.space.objective, start(), case.space.temperature) == []
    broken: Any = Overwrites(case.sampler)
    changed = touched(broken, case.space.objective, start(), case.space.temperature)
    assert len(changed) == 3 and all(path.endswith(".evaluation.energy") for path in changed)


def test_what_weighs_its_draws_leaves_its_state_as_it_is() -> None:
    vocabulary = letters("ab")
    model = TableMaskedLM.random(vocabulary, seed=0)
    few = FunctionObjective(lambda texts: [1.0 * text.count("a") for text in texts], name="few a")
    inner = samplers.MetropolisHastings(proposals.Replace(model))
    uniform = proposals.Uniform(vocabulary)
    for sampler in (samplers.ImportanceSampling(uniform), samplers.AnnealedSMC(uniform, inner)):
        start: Any = sampler.init(few, vocabulary.encode(["ab_"]).repeat(6))
        assert touched(sampler, few, start, 1.0) == []


@every_kind_of_draws
def test_weighted_draws_have_no_bias(draws: Draws) -> None:
    assert bias(draws, draws.sampler).errors < 4


@every_twin_of_draws
def test_broken_twin_has_a_bias(draws: Draws, twin: str) -> None:
    assert bias(draws, draws.twins[twin]).p < 1e-9


@pytest.mark.parametrize("case", [*CASES.values(), *DRAWS.values()], ids=[*CASES, *DRAWS])
def test_it_promises_what_it_keeps(case: Case | Draws) -> None:
    assert case.sampler.guarantee is case.guarantee


@every_case
def test_targets_are_skewed(case: Case) -> None:
    """A target near the uniform one would hide most faults."""
    law = case.space.target[case.starts]
    assert law.max() > 1.4 / len(law)
    assert law.min() < 0.75 / len(law)


def test_every_kernel_has_a_twin() -> None:
    assert [name for name, case in KERNELS.items() if not case.twins] == []


def parts(thing: Any) -> Iterator[str]:
    """The names of the classes that a sampler is made of."""
    if is_dataclass(thing):
        yield type(thing).__name__
        for each in fields(thing):
            yield from parts(getattr(thing, each.name))
    elif isinstance(thing, tuple | list | dict):
        for each in thing:
            yield from parts(each)


def test_every_sampler_and_proposal_has_a_line() -> None:
    seen = {name for case in KERNELS.values() for name in parts(case.sampler)}
    # functions that make a form of another proposal do not count
    wanted = {
        name
        for package in (samplers, proposals)
        for name in package.__all__
        if isinstance(each := getattr(package, name), type) and any(hasattr(each, way) for way in ("step", "propose"))
    }
    assert wanted - seen == set()


def test_the_laws_catch_a_reference_of_another_kernel() -> None:
    """The control of the counts: replacements held against the matrix of insertions."""
    case = CASES["replace"]
    wrong = Case(case.space, case.sampler, lambda: np.eye(len(case.matrix)))
    assert deviation(wrong).impossible > 0
    assert deviation(wrong).excess > 0
