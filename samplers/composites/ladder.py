"""Ladders of parallel tempering tuned to even exchange rates.

Syed et al., "Non-reversible parallel tempering: a scalable highly parallel MCMC scheme", 2022. Between neighbouring
rungs of inverse temperatures b_i and b_(i+1), a share r_i of the exchanges is refused. The sums of the r_i up the
ladder are points of a function of b that no ladder enters into, the communication barrier L(b): whatever the rungs,
the r_i between two of them come to about L(b_(i+1)) - L(b_i). A monotone curve through the points (Fritsch and
Carlson, 1980) therefore tells where the rungs must be for all r_i to be the same, which is where texts go up and down
the fastest: at equal parts of L.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

from samplers.composites.tempering import ParallelTempering, swap_rates
from textsearch.batch import Batch
from textsearch.checks import run_of, whole
from textsearch.kinds import OBJECTIVE, SAMPLER, instance, shown
from textsearch.marks import marked
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.run.loop import starting_batch
from textsearch.run.state import RunState, step

_MAX_ROUNDS = 30


@final
@dataclass(frozen=True, eq=False)
class TunedLadder:
    """A ladder, and how it came about.

    Attributes:
        sampler: the ladder after the last round, its temperatures fixed.
        temperatures: (rounds, R) at which each round was run, in units of the temperature of the run.
        swap_rates: (rounds, R - 1) mean probability of an exchange between neighbours in each round.
    """

    sampler: ParallelTempering
    temperatures: NDArray[np.float64]
    swap_rates: NDArray[np.float64]

    @property
    def barrier(self) -> float:
        """The whole communication barrier, as the last round saw it: a good ladder has about twice as many rungs."""
        return float((1 - self.swap_rates[-1]).sum())


def tuned(
    ladder: ParallelTempering,
    objective: Objective,
    inputs: Batch | Sequence[str],
    *,
    steps: int,
    seed: int,
    rounds: int = 4,
    chains: int = 1,
    temperature: float = 1.0,
) -> TunedLadder:
    """`ladder` with its rungs moved to where all neighbours exchange their texts equally often.

    To be run before the draws that count, which then have fixed temperatures. The coldest and the hottest rung stay.
    The chains go on from round to round; all of them, over all inputs, share one ladder.

    Args:
        ladder: the temperatures to begin from.
        objective: the energy.
        inputs: texts to start from, as for `generate`.
        steps: of the first round; each later one has twice as many as the one before.
        seed: of the random numbers.
        rounds: how often to move the rungs.
        chains: ladders for each input; their exchanges are counted together.
        temperature: that of the run to come.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0), max_length=4))
    >>> few_a = FunctionObjective(lambda texts: [3.0 * text.count("a") for text in texts], name="few a")
    >>> far_apart = ParallelTempering(chain, (1, 30, 40))
    >>> result = tuned(far_apart, few_a, ["aaaa"], steps=10, seed=0, rounds=3, chains=50)
    >>> result.swap_rates[0].round(1).tolist(), result.swap_rates[-1].round(1).tolist()
    ([0.2, 1.0], [0.5, 0.3])
    >>> 1.5 < result.sampler.temperatures[1] < 3
    True
    """
    if not isinstance(ladder, ParallelTempering):
        instance("ladder", ladder, SAMPLER)
        raise TypeError(f"ladder={shown(ladder)} has no rungs to move: pass ParallelTempering(sampler, (1, 2, 4))")
    instance("objective", objective, OBJECTIVE)
    told = run_of(steps=whole("steps", steps, 1), seed=seed, chains=chains, temperature=temperature)
    steps, seed, chains, temperature = told
    rounds = whole("rounds", rounds, 1, _MAX_ROUNDS, remedy=": each has twice the steps of the one before")
    batch = starting_batch(ladder, inputs)
    objective.check(batch)
    streams = Rng.of(seed, batch.inputs, chains=chains, purpose="ladder")
    batch = marked(objective, batch.repeat(chains))
    temperatures, rates = [], []
    with torch.inference_mode():
        state = ladder.init(objective, batch)
        for number in range(rounds):
            run = RunState.of(state, len(ladder.kinds), streams.fold(number))
            energies = []
            for taken in range(steps * 2**number):
                run, _ = step(objective, ladder, run, temperature, common=taken)
                energies.append(run.chains.energies)
            state = run.chains
            rungs = temperature * np.array(ladder.temperatures)
            rate = swap_rates(torch.stack(energies).cpu(), rungs).numpy()
            temperatures.append(ladder.temperatures)
            rates.append(rate)
            ladder = replace(ladder, temperatures=evened(ladder.temperatures, rate))
    return TunedLadder(ladder, np.array(temperatures), np.array(rates))


def evened(temperatures: Sequence[float], rates: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    """The (R,) rungs at equal parts of the communication barrier that (R - 1,) exchange rates between them tell of.

    >>> [round(rung, 2) for rung in evened((1.0, 4.0, 8.0), (0.5, 0.5))]
    [1.0, 4.0, 8.0]
    >>> [round(rung, 2) for rung in evened((1.0, 4.0, 8.0), (0.1, 0.9))]  # a gap where it is cold
    [1.0, 1.58, 8.0]
    """
    inverse = 1 / np.array(temperatures[::-1], dtype=np.float64)  # rising
    refused = 1 - np.asarray(rates, dtype=np.float64)[::-1]
    barrier = np.concatenate([[0.0], refused.cumsum()])
    if barrier[-1] < 1e-9:  # all exchanges are taken: any ladder is even
        return tuple(temperatures)
    curve = PchipInterpolator(inverse, barrier)
    parts = np.linspace(0, barrier[-1], len(inverse))[1:-1]
    between = [1 / brentq(lambda at, part=part: float(curve(at)) - part, inverse[0], inverse[-1]) for part in parts]
    return (temperatures[0], *between[::-1], temperatures[-1])
