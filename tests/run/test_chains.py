"""A chain does what it would have done in any other company."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.run.toys import (
    INPUTS,
    QUICK,
    SAMPLERS,
    WALK,
    Twin,
    differences,
    flow,
    whole,
)
from textsearch.objective import Objective
from textsearch.rng import Rng, StepsApartError
from textsearch.sampler import ChainState, Info, Sampler
from textsearch.schedule import geometric


@pytest.mark.parametrize("name", SAMPLERS)
def test_chains_are_those_of_a_run_of_all_inputs(name: str) -> None:
    if name in ("importance", "weighted rejection"):
        # its start is not evaluated, and is not the best
        run = whole(SAMPLERS[name])
        answers = flow(SAMPLERS[name])
        assert [found for found in differences(answers, run) if not found.startswith("best")] == []
        return
    run = whole(SAMPLERS[name])
    for batch_inputs in (1, 3) if name == "walk" else (3,):
        answers = flow(SAMPLERS[name], batch_inputs=batch_inputs)
        assert sorted(answers) == list(range(len(INPUTS)))
        assert differences(answers, run) == []
    assert len({answer.result.steps for answer in answers.values() if answer.result}) > 3


def test_results_are_those_of_generate_alone() -> None:
    """One input, run as long as it was: everything but the cost is the same."""
    lone = flow(WALK, INPUTS[:1], thin=2, warm_up=1, steps=6, until=None)[0].result
    alone = whole(WALK, INPUTS[:1], thin=2, warm_up=1, steps=6)
    assert lone is not None
    assert lone.acceptance == alone.acceptance
    assert lone.to_records() == alone.to_records()
    assert (lone.samples, lone.sample_steps, lone.warm_up) == (alone.samples, alone.sample_steps, 1)
    assert (lone.best_texts, lone.sources, lone.guarantee) == (alone.best_texts, alone.sources, alone.guarantee)
    assert lone.usage == alone.usage and lone.usage
    assert not lone.interrupted and lone.seconds > 0
    assert len(str(lone.moves())) > 0


def test_counts_of_moves_add_up_to_those_of_a_run() -> None:
    answers = flow(WALK, INPUTS[:4], until=None, batch_inputs=2)
    run = whole(WALK, INPUTS[:4])
    for kind in WALK.kinds:
        counts = [answer.result.acceptance[kind] for answer in answers.values() if answer.result]
        assert sum(count.proposed for count in counts) == run.acceptance[kind].proposed
        assert sum(count.accepted for count in counts) == run.acceptance[kind].accepted
        assert sum(count.changed for count in counts) == run.acceptance[kind].changed


def oldest(rng: Rng) -> Rng:
    return rng.at(int(rng.steps.max()))


def youngest(rng: Rng) -> Rng:
    return rng.at(int(rng.steps.min()))


def by_row(rng: Rng) -> Rng:
    return replace(rng, chain=torch.arange(len(rng.chain)), input=torch.zeros_like(rng.input))


@pytest.mark.parametrize("change", [oldest, youngest, by_row])
@pytest.mark.parametrize("name", ["gibbs", "annealing"])
def test_chains_that_share_a_counter_are_found_out(name: str, change: Callable[[Rng], Rng]) -> None:
    """The control: numbers by the step of the batch, or by the row in it."""
    twin = Twin(SAMPLERS[name], change)
    if change is not by_row:  # in a run of all inputs nobody would notice
        assert whole(twin).texts == whole(SAMPLERS[name]).texts
    found_out(twin)


def found_out(twin: Sampler[Any]) -> None:
    """Inputs that were not there from the first step, at least two of them, have other chains."""
    found = differences(flow(twin, batch_inputs=3), whole(twin))
    assert len(found) > 5 and len({name.split(" of ")[1] for name in found}) >= 2


def test_an_annealed_chain_has_the_temperature_of_its_own_step() -> None:
    """The control: the right numbers at the temperature of the oldest chain."""

    @dataclass(frozen=True)
    class Hot(Twin):
        def step(
            self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
        ) -> tuple[ChainState, Info]:
            heat = geometric(5.0, 0.1, 8)(int(rng.steps.max()))
            return self.sampler.step(objective, state, rng, heat)

    twin = Hot(QUICK, lambda rng: rng)
    assert whole(twin).texts == whole(SAMPLERS["annealing"]).texts
    found_out(twin)


def test_every_row_has_the_numbers_of_its_own_step() -> None:
    steps = torch.tensor([5, 0, 5, 2**32 - 7])
    rng = Rng.start(4, 4)
    apart = rng.at(steps)
    for row, step in enumerate(steps.tolist()):
        assert apart.uniform(3, 5)[row].equal(rng.at(step).uniform(3, 5)[row])
        assert apart.fold(9).rows([row]).uniform(0).equal(rng.fold(9).at(step).rows([row]).uniform(0))
    assert apart.steps.equal(steps) and rng.at(6).steps.tolist() == [6] * 4
    assert rng.at(6).step == 6
    with pytest.raises(StepsApartError, match=r"4 chains.*rng\.steps"):
        _ = apart.step
    with pytest.raises(StepsApartError, match="pick the rows first"):
        replace(apart, chain=torch.arange(8))
