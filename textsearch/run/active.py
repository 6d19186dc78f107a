"""The chains that share a batch: whose they are, what they have done and cost, and how some leave and others join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import accumulate
from typing import Any, final

import torch
from torch import Tensor

from textsearch import tree
from textsearch.models.usage import Usage
from textsearch.run.recorder import Recorded
from textsearch.run.state import RunState


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
        before: what a chain had cost when they came.
        records: what they did since, which grows.
        trace: (size,) energies of each step, which grows.
    """

    number: int
    size: int
    before: ChainCost = field(default_factory=ChainCost)
    records: list[Recorded] = field(default_factory=list)
    trace: list[Tensor] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Steps that its chains have taken."""
        return len(self.records)


@final
@dataclass(frozen=True, eq=False)
class ActiveChains:
    """All chains that are in the batch.

    Attributes:
        inputs: whose they are, in the order of the rows.
        run: the chains; None where there are none.
    """

    inputs: tuple[ActiveInput, ...] = ()
    run: RunState[Any] | None = None

    @property
    def size(self) -> int:
        """B, how many chains."""
        return sum(one.size for one in self.inputs)

    def of(self, places: Sequence[int]) -> ActiveChains:
        """Those at some of the places in `inputs`."""
        if not places or self.run is None:
            return ActiveChains()
        if list(places) == list(range(len(self.inputs))):
            return self
        return ActiveChains(tuple(self.inputs[place] for place in places), tree.rows(self.run, self.index(places)))

    def index(self, places: Sequence[int]) -> Tensor:
        """(K,) int64, the rows of those at some of the places."""
        last = list(accumulate(one.size for one in self.inputs))
        rows = [row for place in places for row in range(last[place] - self.inputs[place].size, last[place])]
        return torch.tensor(rows, device=None if self.run is None else self.run.steps.device)

    def joined(self, other: ActiveChains) -> ActiveChains:
        """These, then the others."""
        if self.run is None or other.run is None:
            return other if self.run is None else self
        return ActiveChains(self.inputs + other.inputs, tree.concatenate([self.run, other.run]))
