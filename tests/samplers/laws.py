"""Laws that a correct sampler obeys, as figures: against an enumerated reference, and as p-values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.stats
import torch
from numpy.typing import NDArray

from tests.reference import Floats
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee, Sampler, State
from textsearch.testing.spaces import fit

Numbers = NDArray[np.int64]

RUNS = 4096
"""Of the real kernel from each state."""
CHAINS = 20_000
"""That start on the target."""
FEW = 2_000
"""Of them, which are enough to catch most faults."""
FAULT = 1e-9
"""A p-value that a right sampler does not come to."""


class Space(Protocol):
    """All states of a chain, numbered; a `Toy` is one."""

    @property
    def target(self) -> Floats:
        """(S,) the law that is to be left invariant; 0 marks states where no chain may start."""

    @property
    def objective(self) -> Objective:
        """The energies."""

    @property
    def temperature(self) -> float:
        """What each step is given."""

    def begin(self, sampler: Sampler[Any], numbers: Numbers, width: int = 0) -> State:
        """The sampler's state for chains at these states, on at least `width` columns."""

    def find(self, state: State) -> Numbers:
        """(B,) the numbers of the chains' states, -1 for what is none."""


@dataclass(frozen=True, eq=False)
class Case:
    """A kernel, and what it is held against.

    Attributes:
        space: the states and the target.
        sampler: the engine's.
        reference: (S, S) transition matrix of the step with number `step`, by code that shares nothing with the engine.
        twins: what is broken -> a sampler on the same space with that one fault.
        guarantee: what the sampler ought to declare.
        reversible: whether each step is in detailed balance.
        step: the number of the step that is counted 4,096 times from each state.
        steps: taken by chains that start on the target.
        heats: temperatures of neighbouring chains, in units of the target's, where each has its own.
    """

    space: Space
    sampler: Sampler[Any]
    reference: Callable[[], Floats]
    twins: Mapping[str, Sampler[Any]] = field(default_factory=dict)
    guarantee: Guarantee = Guarantee.EXACT
    reversible: bool = True
    step: int = 2
    steps: int = 3
    heats: tuple[float, float] = (0.6, 1.7)

    @cached_property
    def matrix(self) -> Floats:
        """(S, S) the reference, worked out once."""
        return self.reference()

    @property
    def starts(self) -> Numbers:
        """The numbers of the states where a chain may be."""
        return self.space.target.nonzero()[0]


@dataclass(frozen=True, eq=False)
class Draws:
    """A kernel whose draws carry weights, and what their weighted sums must come to.

    Attributes:
        sampler: the engine's.
        estimates: of a sampler, (R, F) independent estimates of F numbers.
        exact: (F,) the numbers, by enumeration.
        twins: what is broken -> a sampler with that one fault.
        guarantee: what the sampler ought to declare.
    """

    sampler: Sampler[Any]
    estimates: Callable[[Sampler[Any]], Floats]
    exact: Floats
    twins: Mapping[str, Any]
    guarantee: Guarantee = Guarantee.CONSISTENT


class Bias(NamedTuple):
    """How far the mean estimate is off, at its worst: in standard errors, and as a p-value."""

    errors: float
    p: float


def bias(draws: Draws, sampler: Sampler[Any]) -> Bias:
    """Of the estimates that `sampler` makes."""
    values = draws.estimates(sampler)
    apart = np.abs(values.mean(0) - draws.exact)
    error = values.std(0, ddof=1) / math.sqrt(len(values))
    # what is never drawn has no error: right only if it is nothing
    errors = float(np.divide(apart, error, out=np.where(apart > 0, math.inf, 0.0), where=error > 0).max())
    return Bias(errors, float(min(1.0, 2 * len(apart) * scipy.stats.norm.sf(errors))))


class Balance(NamedTuple):
    """Of a transition matrix P and its target pi: |P 1 - 1|, |pi P - pi|, and |flow - its transpose|."""

    rows: float
    invariance: float
    reversal: float


def balance(case: Case) -> Balance:
    """How far the reference is from leaving the target as it is."""
    matrix, target = case.matrix, case.space.target
    assert matrix.min() >= -1e-12
    flow = target[:, None] * matrix
    return Balance(
        float(np.abs(matrix.sum(1) - 1).max()),
        float(np.abs(target @ matrix - target).max()),
        float(np.abs(flow - flow.T).max()),
    )


class Deviation(NamedTuple):
    """Of observed transitions from the expected ones.

    Attributes:
        errors: the largest, in standard errors, of which none is below that of one expected run.
        excess: the largest of |observed - expected| - (7 standard errors + .003); a kernel that is right is below 0.
        impossible: runs that went where the reference never goes.
    """

    errors: float
    excess: float
    impossible: int


def deviation(case: Case, runs: int = RUNS) -> Deviation:
    """Of `runs` steps of the real kernel from each state; also checks the energies, and what is reported."""
    here = case.starts
    origin = np.repeat(here, runs)
    with torch.inference_mode():
        state = case.space.begin(case.sampler, origin)
        rng = Rng.start(11, len(state.batch)).at(case.step)
        after, info = case.sampler.step(case.space.objective, state, rng, case.space.temperature)
        energies = case.space.objective.energy(after.batch)
    reached = case.space.find(after)
    assert reached.min() >= 0, "a chain left the space of states"
    assert after.evaluation.energy.equal(energies), "an energy is not that of its text"
    assert not info.log_ratio.isnan().any()
    assert not info.accepted[info.log_ratio == -math.inf].any()
    assert ((info.kind >= 0) & (info.kind < len(case.sampler.kinds))).all()
    counts = np.zeros((len(here), len(case.matrix)))
    np.add.at(counts, (np.repeat(np.arange(len(here)), runs), reached), 1)
    expected = case.matrix[here]
    gap, variance = np.abs(counts / runs - expected), np.clip(expected * (1 - expected), 0, None)
    return Deviation(
        float((gap / np.sqrt(np.maximum(variance, 1 / runs) / runs)).max()),
        float((gap - 7 * np.sqrt(variance / runs)).max() - 0.003),
        int(counts[expected <= 1e-15].sum()),
    )


def run_from_target(
    space: Space,
    sampler: Sampler[Any],
    *,
    steps: int,
    chains: int = CHAINS,
    seed: int = 0,
    temperature: float | None = None,
) -> Numbers:
    """(chains,) state numbers after `steps` steps of chains that start on the target, drawn exactly."""
    starts = np.random.default_rng(seed).choice(len(space.target), size=chains, p=space.target)
    rng = Rng.start(seed + 100, chains)
    temperature = space.temperature if temperature is None else temperature
    with torch.inference_mode():
        state = space.begin(sampler, starts)
        for step in range(steps):
            state, _ = sampler.step(space.objective, state, rng.at(step), temperature)
    return space.find(state)


def chi_square(numbers: Numbers, law: Floats) -> float:
    """p-value of draws `numbers` under `law`; states expected fewer than 10 times are pooled."""
    return fit(torch.bincount(torch.from_numpy(numbers), minlength=len(law)), torch.from_numpy(law))


def p_value(
    space: Space,
    sampler: Sampler[Any],
    *,
    steps: int,
    chains: int = CHAINS,
    seed: int = 0,
    temperature: float | None = None,
) -> float:
    """p-value of the law after `steps` steps: small if the sampler leaves the target."""
    numbers = run_from_target(space, sampler, steps=steps, chains=chains, seed=seed, temperature=temperature)
    assert numbers.min() >= 0, "a chain left the space of states"
    return chi_square(numbers, space.target)


def fault_p_value(space: Space, sampler: Sampler[Any], *, steps: int, temperature: float | None = None) -> float:
    """As `p_value`, of a sampler that is broken: of the `FEW` if they tell already.

    A right sampler is below `FAULT` at either look in 2e-9 of all cases at most.
    """
    p = p_value(space, sampler, steps=steps, chains=FEW, temperature=temperature)
    return p if p < FAULT else p_value(space, sampler, steps=steps, temperature=temperature)


def same_chains(case: Case, chains: int = 40, steps: int = 3) -> list[str]:
    """What changed a chain and should not have, in words; nothing for a kernel that is right.

    A chain is a function of its seed and number: not of the rest of the batch, nor its order, nor its padding. Nor,
    where each has a temperature of its own, of the others' temperatures.
    """
    numbers = np.resize(case.starts, chains)
    streams = Rng.start(21, chains)
    heat = torch.tensor(case.heats, dtype=torch.float64).repeat(chains // 2) * case.space.temperature

    def run(rows: list[int], width: int = 0, temperature: float | torch.Tensor | None = None) -> Floats:
        """(steps, 5, rows) state number, energy, acceptance, log-ratio and kind of move."""
        index = torch.tensor(rows)
        rng, trail = streams.rows(index), []
        temperature = heat[index] if temperature is None else temperature
        with torch.inference_mode():
            state = case.space.begin(case.sampler, numbers[rows], width)
            for step in range(steps):
                state, info = case.sampler.step(case.space.objective, state, rng.at(step), temperature)
                seen = state.evaluation.energy, info.accepted, info.log_ratio, info.kind
                trail.append(np.stack([case.space.find(state), *(part.numpy() for part in seen)]).astype(np.float64))
        return np.stack(trail)

    every = list(range(chains))
    some = np.random.default_rng(1).permutation(chains)[: chains // 2].tolist()
    whole = run(every)
    trials = {
        "being alone": (run([7]), [7]),
        "batch size, order or padding": (run(some, width=9), some),
        "the others' temperatures": (run(every[1::2], temperature=float(heat[1])), every[1::2]),
    }
    return [what for what, (trail, rows) in trials.items() if not np.array_equal(trail, whole[:, :, rows])]
