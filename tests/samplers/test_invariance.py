"""A chain is a function of its seed and numbers alone: bit for bit, whatever else is in the batch.

Here with an energy that is itself worked out in batches by a model; `test_kernels.py` has every kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import BlockInfill, InsertDelete, Mixture, Replace, SpanEdit, Swap
from textsearch import generate
from textsearch.batch import Batch
from textsearch.objective import FunctionObjective, Objective
from textsearch.rng import Rng
from textsearch.sampler import Sampler
from textsearch.schedule import geometric
from textsearch.testing import TableMaskedLM, letters

VOCABULARY = letters("abcDE")
MODEL = TableMaskedLM.random(VOCABULARY, seed=0)
STEPS = 8
PIECES = (0.7, 0.3)


@dataclass(frozen=True, eq=False)
class PseudoLikelihood(Objective):
    """Minus the log-probability of each token given the others, summed."""

    model: TableMaskedLM

    def energy(self, batch: Batch) -> Tensor:
        energy = torch.zeros(len(batch), dtype=torch.float64)
        for position in range(batch.width):
            rows = (batch.lengths > position).nonzero()[:, 0]
            log_probs = self.model.log_probs(batch, rows, torch.full_like(rows, position))
            energy[rows] -= log_probs.gather(1, batch.tokens[rows, position, None])[:, 0]
        return energy


NO_DOUBLE = FunctionObjective(lambda texts: [float("inf") if "cc" in text else 0.0 for text in texts], name="no cc")
OBJECTIVE = NO_DOUBLE + 0.7 * PseudoLikelihood(TableMaskedLM.random(VOCABULARY, seed=1))

REPLACE = Replace(MODEL, pieces=PIECES, max_length=7)
EDIT = InsertDelete(MODEL, pieces=PIECES, max_length=7)
INFILL = BlockInfill(MODEL, pieces=PIECES, max_length=7)
MIXTURE = Mixture({REPLACE: 1.0, Mixture({EDIT: 1.0, Swap(VOCABULARY): 1.0}): 2.0, INFILL: 1.0})

SAMPLERS: dict[str, Sampler[Any]] = {
    "rewrite": MetropolisHastings(SpanEdit(MODEL, {(1, 2): 0.5, (2, 1): 0.5}, PIECES, 7)),
    "mixture": MetropolisHastings(MIXTURE),
    "annealing": SimulatedAnnealing(MetropolisHastings(MIXTURE), geometric(3.0, 0.1, STEPS)),
}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())


class Run(NamedTuple):
    """Chains after all steps, and what happened at each."""

    tokens: list[list[int]]
    energies: list[list[float]]
    accepted: list[list[bool]]
    log_ratios: list[list[float]]

    def rows(self, index: list[int]) -> Run:
        """Some of the chains."""
        return Run(
            [self.tokens[row] for row in index],
            [self.energies[row] for row in index],
            [self.accepted[row] for row in index],
            [self.log_ratios[row] for row in index],
        )


def start() -> Batch:
    """64 texts, some with frozen tokens."""
    batch = VOCABULARY.encode(["abc", "", "aDb", "cbaEDc", "b", "aDEaDE", "ab", "bacbac"]).repeat(8)
    frozen = torch.zeros_like(batch.editable)
    frozen[::3, 1] = True
    return batch.frozen(frozen)


def run(sampler: Sampler[Any], batch: Batch, rng: Rng) -> Run:
    state = sampler.init(OBJECTIVE, batch)
    infos = []
    energies = []
    for step in range(STEPS):
        state, info = sampler.step(OBJECTIVE, state, rng.at(step), 1.3)
        infos.append(info)
        energies.append(state.evaluation.energy)
    return Run(
        state.batch.token_lists(),
        torch.stack(energies, 1).tolist(),
        torch.stack([info.accepted for info in infos], 1).tolist(),
        torch.stack([info.log_ratio for info in infos], 1).tolist(),
    )


@every_sampler
def test_chains_do_not_depend_on_the_batch_size(sampler: Sampler[Any]) -> None:
    rng = Rng.start(21, 64)
    whole = run(sampler, start(), rng)
    for index in ([0], [5], [11], [62], list(range(7)), list(range(20, 53))):
        assert run(sampler, start().rows(index), rng.rows(index)) == whole.rows(index)


@every_sampler
def test_chains_do_not_depend_on_their_order(sampler: Sampler[Any]) -> None:
    rng = Rng.start(22, 64)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
    assert run(sampler, start().rows(order), rng.rows(order)) == run(sampler, start(), rng).rows(order)


@every_sampler
def test_chains_do_not_depend_on_padding(sampler: Sampler[Any]) -> None:
    rng = Rng.start(23, 64)
    narrow = run(sampler, start(), rng)
    for width in (8, 13):
        assert run(sampler, start().widen(width), rng) == narrow


@every_sampler
def test_chains_depend_on_seed_and_number(sampler: Sampler[Any]) -> None:
    """The control: what ought to change the chains does."""
    first = run(sampler, start(), Rng.start(24, 64))
    assert run(sampler, start(), Rng.start(25, 64)).accepted != first.accepted
    other = Rng.start(24, 128).rows(range(64, 128))
    assert run(sampler, start(), other).accepted != first.accepted


@every_sampler
def test_a_run_can_be_cut_in_two(sampler: Sampler[Any]) -> None:
    """A state and the number of the next step are all that it takes to go on."""
    rng = Rng.start(26, 64)
    state = sampler.init(OBJECTIVE, start())
    for step in range(STEPS // 2):
        state, _ = sampler.step(OBJECTIVE, state, rng.at(step), 1.3)
    state = sampler.init(OBJECTIVE, state.batch)
    for step in range(STEPS // 2, STEPS):
        state, _ = sampler.step(OBJECTIVE, state, rng.at(step), 1.3)
    whole = run(sampler, start(), rng)
    assert state.batch.token_lists() == whole.tokens
    assert state.evaluation.energy.tolist() == [energies[-1] for energies in whole.energies]


@every_sampler
def test_generate_gives_the_same_chains_however_they_are_split(sampler: Sampler[Any]) -> None:
    together = generate(OBJECTIVE, sampler, ["abc", "aDb"], steps=STEPS, seed=3, chains=4)
    first = generate(OBJECTIVE, sampler, ["abc"], steps=STEPS, seed=3, chains=4)
    rows = replace(VOCABULARY.encode(["abc"] * 4 + ["aDb"] * 4), inputs=torch.arange(2).repeat_interleave(4))
    listed = generate(OBJECTIVE, sampler, rows, steps=STEPS, seed=3)
    assert together.texts[:4] == first.texts
    assert together.trace[:, :4].tolist() == first.trace.tolist()
    assert together.texts == listed.texts
    assert together.best_texts == listed.best_texts
    assert together.trace.tolist() == listed.trace.tolist()


@every_sampler
def test_a_chain_knows_neither_how_many_there_are_nor_their_order(sampler: Sampler[Any]) -> None:
    many = generate(OBJECTIVE, sampler, ["abc", "aDb", "bb"], steps=STEPS, seed=3, chains=8, numbers=[5, 0, 9])
    few = generate(OBJECTIVE, sampler, ["bb", "abc"], steps=STEPS, seed=3, chains=2, numbers=[9, 5])
    assert few.trace.tolist() == many.trace[:, [16, 17, 0, 1]].tolist()
    assert few.texts == [many.texts[row] for row in (16, 17, 0, 1)]


def test_neither_inputs_nor_seeds_share_numbers() -> None:
    """The same text as input 1 of seed s and as input 0 of seed s + 1, or of any other: other chains."""
    runs = [generate(OBJECTIVE, SAMPLERS["mixture"], ["abcD"] * 3, steps=20, seed=seed, chains=4) for seed in range(4)]
    traces = {str(run.trace[:, run.inputs == number].tolist()) for run in runs for number in range(3)}
    assert len(traces) == 4 * 3


@every_sampler
def test_fewer_steps_are_the_beginning_of_more(sampler: Sampler[Any]) -> None:
    long = generate(OBJECTIVE, sampler, ["abc"], steps=STEPS, seed=3, chains=5)
    short = generate(OBJECTIVE, sampler, ["abc"], steps=3, seed=3, chains=5)
    assert long.trace[:3].tolist() == short.trace.tolist()
