"""Samplers, inputs that end at different steps, and what an answer is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samplers import (
    AdaptiveTemperature,
    AdaptiveWeightedRejection,
    AnnealedSMC,
    Cycle,
    DelayedAcceptance,
    Gibbs,
    ImportanceSampling,
    IteratedResampling,
    MetropolisHastings,
    Mixture,
    MultipleTry,
    ParallelTempering,
    ParticleGibbs,
    Restarts,
    RestartsWhenStuck,
    SimulatedAnnealing,
    Thinned,
    systematic_scan,
)
from samplers import proposals as moves
from textsearch import Answer, FunctionObjective, Generations, Progress, generate, generate_each
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Evaluation, Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.schedule import geometric
from textsearch.testing import TableCausalLM, TableMaskedLM, letters

VOCABULARY = letters("abc")
MODEL = TableMaskedLM.random(VOCABULARY, seed=0, reach=3)
CAUSAL = TableCausalLM.random(VOCABULARY, seed=0, reach=3)
WALK = MetropolisHastings(
    moves.Mixture({moves.Replace(MODEL, max_length=5): 1.0, moves.InsertDelete(MODEL, max_length=5): 1.0})
)
REPLACE = MetropolisHastings(moves.Replace(MODEL))
QUICK = Gibbs(MODEL, candidates=3)
INPUTS = ["abc", "c", "bbba", "", "aa", "cab", "bcb"]
STEPS = 9


class Wave(Objective):
    """An energy that knows its input by number."""

    @property
    def name(self) -> str:
        return "wave"

    def energy(self, batch: Batch) -> Tensor:
        each = zip(batch.texts(), batch.inputs.tolist(), strict=True)
        return torch.tensor([wave(text, number) for text, number in each], dtype=torch.float64)


def wave(text: str, number: int) -> float:
    return sum(math.sqrt(place + 1.5) * math.sin((number + 1) * ord(letter)) for place, letter in enumerate(text))


LENGTH = FunctionObjective(lambda texts: [abs(len(text) - 4) for text in texts], name="length")
TOTAL = 2.0 * Wave() + LENGTH


def own_end(progress: Progress) -> bool:
    """Inputs end at different steps, some at the last."""
    return progress.step >= 2 + 3 * (int(progress.batch.inputs[0]) * 7 % 5)


@dataclass(frozen=True)
class Twin:
    """Another sampler under a `change` of its random numbers and temperature: none where all are at one step."""

    sampler: Sampler[ChainState]
    change: Callable[[Rng], Rng]

    @property
    def vocabulary(self) -> Vocabulary:
        return self.sampler.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.sampler.kinds

    @property
    def guarantee(self) -> Guarantee:
        return self.sampler.guarantee

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return self.sampler.init(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        return self.sampler.step(objective, state, self.change(rng), temperature)


@dataclass(frozen=True, eq=False)
class CountingState:
    """Chains that keep a number beside their texts, and can come and go all the same."""

    chain: ChainState
    count: Tensor

    @property
    def batch(self) -> Batch:
        return self.chain.batch

    @property
    def evaluation(self) -> Evaluation:
        return self.chain.evaluation


@dataclass(frozen=True)
class Counting:
    """Hotter with each step that a chain has taken; records how many, as (B,) and (B, 2)."""

    @property
    def vocabulary(self) -> Vocabulary:
        return WALK.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return WALK.kinds

    @property
    def guarantee(self) -> Guarantee:
        return Guarantee.BIASED

    def init(self, objective: Objective, batch: Batch) -> CountingState:
        return CountingState(WALK.init(objective, batch), torch.zeros(len(batch), dtype=torch.float64))

    def step(
        self, objective: Objective, state: CountingState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[CountingState, Info]:
        chain, info = WALK.step(objective, state.chain, rng, temperature * (1 + state.count))
        count = state.count + 1
        return CountingState(chain, count), replace(
            info, recorded={"count": count, "two": torch.stack([count, -count], 1)}
        )


SAMPLERS: dict[str, Sampler[Any]] = {
    "walk": WALK,
    "gibbs": QUICK,
    "mixture": Mixture({WALK: 1.0, QUICK: 1.0}),
    "annealing": SimulatedAnnealing(QUICK, geometric(5.0, 0.1, 8)),
    "importance": ImportanceSampling(moves.Uniform(VOCABULARY)),
    "state of its own": Counting(),
    "delayed": DelayedAcceptance(WALK.proposal, LENGTH),
    # this one goes by the step of the run
    "cycle": Cycle([SimulatedAnnealing(QUICK, geometric(5.0, 0.1, 8)), REPLACE]),
    "systematic": Gibbs(MODEL, candidates=3, scan=systematic_scan),
    "thinned": Thinned(QUICK, every=2),
    "multiple try": MultipleTry(moves.Replace(MODEL), tries=2),
    "iterated": IteratedResampling(moves.Uniform(VOCABULARY), 3),
    "tempering": ParallelTempering(REPLACE, (1.0, 2.0, 5.0)),
    "annealed tempering": SimulatedAnnealing(ParallelTempering(REPLACE, (1.0, 2.0)), geometric(2.0, 1.0, 5)),
    "adaptive": AdaptiveTemperature(REPLACE, warm_up=5),
    "restarts": Restarts(SimulatedAnnealing(QUICK, geometric(5.0, 0.1, 3)), every=3),
    "restarts when stuck": RestartsWhenStuck(REPLACE, patience=2),
    "populations": AnnealedSMC(moves.Uniform(VOCABULARY), REPLACE),
    "particle gibbs": ParticleGibbs(CAUSAL, particles=3, max_length=4),
    "weighted rejection": AdaptiveWeightedRejection(CAUSAL, max_length=4),
}


def by_number(answers: Sequence[Answer] | Any) -> dict[int, Answer]:
    found = list(answers)
    assert len({answer.number for answer in found}) == len(found)
    assert all((answer.result is None) != (answer.error is None) for answer in found)
    return {answer.number: answer for answer in found}


def flow(sampler: Sampler[Any], inputs: Batch | Sequence[str] = INPUTS, **changes: Any) -> dict[int, Answer]:
    settings: dict[str, Any] = {"steps": STEPS, "seed": 3, "chains": 2, "batch_inputs": 3, "until": own_end} | changes
    return by_number(generate_each(settings.pop("objective", TOTAL), sampler, inputs, **settings))


def whole(sampler: Sampler[Any], inputs: Batch | Sequence[str] = INPUTS, **changes: Any) -> Generations:
    settings: dict[str, Any] = {"steps": STEPS, "seed": 3, "chains": 2, "thin": 1} | changes
    return generate(settings.pop("objective", TOTAL), sampler, inputs, **settings)


def differences(answers: dict[int, Answer], run: Generations) -> list[str]:
    """Where the answers are not, bit for bit, the beginnings of the chains of a run of all inputs to the end."""
    found = []
    for number, answer in answers.items():
        result = answer.result
        assert result is not None
        rows, last = (run.inputs == number).nonzero()[0], result.steps
        begin = energies_of(result.sources[number], number, len(rows))
        if "log partition" in run.recorded:
            # what is given to a population is no draw of its
            begin = [math.inf] * len(rows)
        energies = np.vstack([begin, result.trace])
        pairs: dict[str, tuple[Any, Any]] = {
            "trace": (result.trace, run.trace[:last, rows]),
            "lengths": (result.length_trace, run.length_trace[:last, rows]),
            "inputs": (result.inputs, run.inputs[rows]),
            "tokens": (result.batch.texts(), result.texts),
            "best": (result.best_energies, np.nanmin(energies, 0)),
        }
        pairs |= {name: (result.term_traces[name], run.term_traces[name][:last, rows]) for name in run.term_traces}
        for name, values in run.recorded.items():
            assert set(result.recorded) == set(run.recorded) or not last
            pairs[name] = (result.recorded.get(name, values[:0, rows]), values[:last, rows])
        if last:
            pairs["texts"] = (result.texts, [run.samples[last - 1][row] for row in rows])
            pairs["energies"] = (result.energies, run.trace[last - 1, rows])
        found += [f"{name} of {number}" for name, (one, other) in pairs.items() if not same(one, other)]
    return found


def same(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    return np.array_equal(one, other, equal_nan=one.dtype.kind == other.dtype.kind == "f")


def energies_of(text: str, number: int, chains: int) -> list[float]:
    return [2.0 * wave(text, number) + abs(len(text) - 4)] * chains
