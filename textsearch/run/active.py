"""The chains that share a batch: whose they are, what they have done and cost, and how some leave and others join."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import accumulate
from typing import Protocol, Self, final, runtime_checkable

import torch
from torch import Tensor

from textsearch.batch import Batch, concatenate
from textsearch.models.usage import Usage
from textsearch.objective import Evaluation
from textsearch.rng import Rng
from textsearch.run.loop import Recorded, RunState
from textsearch.sampler import ChainState, State


@runtime_checkable
class Divisible(State, Protocol):
    """A state that chains can leave and join, as those of a `ChainState` can; what is recorded has a row for each."""

    def rows(self, index: Tensor) -> Self:
        """Some of the chains, in the order of `index` (K,) int64."""

    def joined(self, other: Self) -> Self:
        """These chains, then those of the other."""


@final
@dataclass(frozen=True, eq=False)
class ChainCost:
    """What the time and the models have cost so far, for one chain that had been there from the first step.

    Attributes:
        seconds: of the steps.
        usage: who asked -> the fields of a `Usage`, passes too shared out among the chains.
    """

    seconds: float = 0.0
    usage: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def plus(self, seconds: float, usage: Mapping[str, Usage], chains: int) -> ChainCost:
        """After something that so many chains shared."""
        more = {name: [count / chains for count in astuple(used)] for name, used in usage.items()}
        return ChainCost(self.seconds + seconds / chains, _added(self.usage, more))

    def since(self, earlier: ChainCost, chains: int) -> tuple[float, dict[str, Usage]]:
        """What so many chains have cost since, seconds and usage."""
        less = {name: [-count for count in counts] for name, counts in earlier.usage.items()}
        counts = {name: [round(chains * each) for each in own] for name, own in _added(self.usage, less).items()}
        usage = {name: Usage(*own) for name, own in counts.items() if any(own)}
        return chains * (self.seconds - earlier.seconds), usage


def _added(first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    nothing = [0.0] * len(astuple(Usage()))
    return {
        name: [a + b for a, b in zip(first.get(name, nothing), second.get(name, nothing), strict=True)]
        for name in {**first, **second}
    }


@final
@dataclass(frozen=True, eq=False)
class ActiveInput:
    """The chains of one input in the batch.

    Attributes:
        number: of the input.
        size: how many chains.
        begun: steps that the batch had taken when they came.
        before: what a chain had cost when they came.
        records: what they did since, which grows.
        trace: (size,) energies of each step, which grows.
    """

    number: int
    size: int
    begun: int
    before: ChainCost = field(default_factory=ChainCost)
    records: list[Recorded] = field(default_factory=list)
    trace: list[Tensor] = field(default_factory=list)


@final
@dataclass(frozen=True, eq=False)
class ActiveChains:
    """All chains that are in the batch.

    Attributes:
        running: whose they are, in the order of the rows.
        rng: the random numbers of each chain; None where there are none.
        done: what is kept of them; None where there are none.
    """

    running: tuple[ActiveInput, ...] = ()
    rng: Rng | None = None
    done: RunState | None = None

    @property
    def size(self) -> int:
        """B, how many chains."""
        return sum(one.size for one in self.running)

    @property
    def steps(self) -> int:
        """Steps that the batch has taken since it was last empty."""
        return self.done.steps if self.done else 0

    def of(self, places: Sequence[int]) -> ActiveChains:
        """Those at some of the places in `running`."""
        if not places or self.done is None or self.rng is None:
            return ActiveChains()
        index = self.index(places)
        done = self.done
        kept = RunState(
            done.steps,
            rows_of(done.state, index),
            done.best.rows(index),
            done.best_evaluation.rows(index),
            done.best_steps[index],
            done.moves[index],
        )
        return ActiveChains(tuple(self.running[place] for place in places), self.rng.rows(index), kept)

    def index(self, places: Sequence[int]) -> Tensor:
        """(K,) int64, the rows of those at some of the places."""
        last = list(accumulate(one.size for one in self.running))
        rows = [row for place in places for row in range(last[place] - self.running[place].size, last[place])]
        return torch.tensor(rows, device=None if self.done is None else self.done.best.device)

    def joined(self, other: ActiveChains) -> ActiveChains:
        """These, then the others, who have taken as many steps with the batch."""
        if self.done is None or self.rng is None or other.done is None or other.rng is None:
            return other if self.done is None else self
        mine, theirs = self.done, other.done
        done = RunState(
            mine.steps,
            joined([mine.state, theirs.state]),
            concatenate([mine.best, theirs.best]).narrow(),
            _together([mine.best_evaluation, theirs.best_evaluation]),
            torch.cat([mine.best_steps, theirs.best_steps]),
            torch.cat([mine.moves, theirs.moves]),
        )
        return ActiveChains(self.running + other.running, self.rng.joined(other.rng), done)


def rows_of(state: State, index: Tensor) -> State:
    """Some of the chains."""
    assert isinstance(state, ChainState | Divisible)
    return state.rows(index)


def part_of(state: State, rows: slice) -> State:
    """Chains that stand side by side."""
    if isinstance(state, ChainState):
        evaluation = state.evaluation
        return ChainState(cut(state.batch, rows), Evaluation(evaluation.energy[rows], evaluation.terms[rows]))
    return rows_of(state, torch.arange(rows.start, rows.stop, device=state.batch.device))


def cut(batch: Batch, rows: slice) -> Batch:
    """Rows that stand side by side."""
    return batch.rows(torch.arange(rows.start, rows.stop, device=batch.device))


def joined(states: Sequence[State]) -> State:
    """The chains of all states, in order."""
    if len(states) == 1:
        return states[0]
    plain = [state for state in states if isinstance(state, ChainState)]
    if len(plain) == len(states):
        batch = concatenate([state.batch for state in plain]).narrow()
        return ChainState(batch, _together([state.evaluation for state in plain]))
    whole = states[0]
    for state in states[1:]:
        assert isinstance(whole, Divisible) and isinstance(state, Divisible)
        whole = whole.joined(state)
    return whole


def _together(evaluations: Iterable[Evaluation]) -> Evaluation:
    """The rows of all evaluations, in order."""
    parts = list(evaluations)
    return Evaluation(torch.cat([part.energy for part in parts]), torch.cat([part.terms for part in parts]))
