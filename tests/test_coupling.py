"""Couplings: the bound lies above the distance of an enumerated chain, and what breaks that is caught."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers import MaskedResampling, MetropolisHastings, ParallelTempering, SimulatedAnnealing
from samplers.proposals import Replace, Swap
from tests.reference import Floats
from tests.samplers.toys import Toy, span_toy, swap_toy
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.run.coupling import Meetings, meeting_times
from textsearch.sampler import ChainState, Guarantee, Info
from textsearch.schedule import geometric
from textsearch.testing import TableMaskedLM, letters

PAIRS = 300
LAG = 20

TOYS: dict[str, Toy] = {
    "infill and replace, forbidden texts": span_toy(
        "ab", "ab", {(2, 2): 0.6, (1, 1): 0.4}, forbidden=0.3, temperature=0.7
    ),
    "rewrite, many pieces": span_toy("aB", "a", {(1, 2): 0.4, (2, 1): 0.6}, (0.7, 0.3), 4),
    "infill, frozen": span_toy("ab", "aba!", {(2, 2): 0.6, (1, 1): 0.4}),
    "swap": swap_toy("abC", "abCaa"),
}
REWRITE = TOYS["rewrite, many pieces"]


def exact(toy: Toy, steps: int) -> Floats:
    """(steps,) total variation from the target after 0, 1, ... steps from the start, by powers of the matrix."""
    matrix, target = toy.chain.matrix, toy.target
    # from every state there is a way to every other, or there would be no one law to come to
    assert ((np.linalg.matrix_power(matrix, 200) > 0) | (target == 0) | (target[:, None] == 0)).all()
    law = np.eye(len(target))[toy.states.index(toy.state(toy.start))]
    found = []
    for _ in range(steps):
        found.append(0.5 * np.abs(law - target).sum())
        law = law @ matrix
    return np.array(found)


def violation(bound: Any, truth: Floats) -> float:
    """By how many standard errors the bound falls short of the truth, at its worst.

    A standard error of at least that of 2 late pairs among all: where none was late, the bound knows no better.
    """
    least = math.sqrt(2) / PAIRS
    return float(((truth - bound.value) / np.maximum(bound.standard_error, least)).max())


@cache
def meetings_of(toy: Toy, sampler: Any = None, lag: int = LAG, **arguments: Any) -> Meetings:
    start = toy.batch([toy.states.index(toy.state(toy.start))])
    settings: dict[str, Any] = {"steps": 2000, "seed": 3, "chains": PAIRS, "temperature": toy.temperature}
    return meeting_times(
        toy.objective, sampler or MetropolisHastings(toy.proposal), start, lag=lag, **settings | arguments
    )


@pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS.keys())
def test_bound_is_above_the_exact_distance_and_goes_to_zero(toy: Toy) -> None:
    meetings = meetings_of(toy)
    truth = exact(toy, 400)
    bound = meetings.bound(np.arange(400))
    assert violation(bound, truth) < 5
    assert (np.diff(bound.value) <= 0).all()
    assert meetings.bound(int(meetings.times.max())).value == 0
    # the bound is worth something, and the control: meetings told a lag too early would break it
    assert bound.value[0] < 2
    early = replace(meetings, times=meetings.times - LAG).bound(np.arange(400))
    assert violation(early, truth) > 6.2  # p < 1e-9, one-sided and over 400 steps that fall together


def test_mixing_time_is_where_the_bound_comes_down() -> None:
    meetings = meetings_of(REWRITE)
    warm_up = meetings.mixing_time(0.1)
    assert meetings.bound(warm_up).value <= 0.1 < meetings.bound(warm_up - 1).value


def test_bound_by_hand() -> None:
    times = np.array([7.0, 12.0, 3.0])
    meetings = Meetings(times, np.array([0, 0, 4]), lag=3, steps=50)
    late = [[max(0, math.ceil((tau - 3 - after) / 3)) for tau in times] for after in (0, 1, 9, 12)]
    bound = meetings.bound([0, 1, 9, 12])
    assert bound.value.tolist() == np.mean(late, axis=1).tolist()
    np.testing.assert_allclose(bound.standard_error, np.std(late, axis=1, ddof=1) / math.sqrt(3))
    assert meetings.of(4).bound(0).value == 0
    assert meetings.of(0).bound(0).value == np.mean([2, 3])
    with pytest.raises(ValueError, match=r"input 2 is none of \[0, 4\]"):
        meetings.of(2)
    for steps in (-1, [1, -2], 1.5):
        with pytest.raises(ValueError, match="whole numbers"):
            meetings.bound(steps)
    with pytest.raises(ValueError, match=r"distance=1\.5"):
        meetings.mixing_time(1.5)


def test_the_chain_ahead_is_the_one_that_generate_runs() -> None:
    """Two runs of `generate` side by side, one a lag behind the other, meet when the pairs do."""
    toy, lag = REWRITE, 5
    meetings = meetings_of(toy, lag=lag, chains=20)
    start = toy.batch([toy.states.index(toy.state(toy.start))])
    sampler = MetropolisHastings(toy.proposal)
    last = int(meetings.times.max())
    settings: dict[str, Any] = {"seed": 3, "chains": 20, "temperature": toy.temperature}
    ahead = generate(toy.objective, sampler, start, steps=last, thin=1, **settings)
    behind = generate(toy.objective, Later(sampler, lag), start, steps=last - lag, thin=1, **settings)
    first = [[toy.start] * 20, *behind.samples]
    for pair in range(20):
        met = [step for step in range(lag, last + 1) if ahead.samples[step - 1][pair] == first[step - lag][pair]]
        assert met[0] == meetings.times[pair]
        assert met == list(range(met[0], last + 1))


def test_pairs_do_not_depend_on_the_others() -> None:
    toy = REWRITE
    times = meetings_of(toy, chains=12).times
    assert meetings_of(toy, chains=5).times.tolist() == times[:5].tolist()
    # nor on a second, longer input behind them
    start = [toy.states.index(toy.state(toy.start)), len(toy.states) - 1]
    both = replace(toy.batch(start), inputs=torch.arange(2))
    settings: dict[str, Any] = {"steps": 2000, "seed": 3, "chains": 5, "temperature": toy.temperature}
    two = meeting_times(toy.objective, MetropolisHastings(toy.proposal), both, lag=LAG, **settings)
    assert two.of(0).times.tolist() == times[:5].tolist()
    assert two.of(1).times.tolist() != times[:5].tolist()


def test_chains_that_have_not_met_give_no_bound() -> None:
    meetings = meetings_of(REWRITE, steps=LAG + 1)
    assert 0 < np.isinf(meetings.times).sum() < PAIRS
    with pytest.raises(ValueError, match=r"of 300 pairs had not met within steps=21, .* take more"):
        meetings.bound(0)


def test_exchanges_that_are_all_taken_never_meet() -> None:
    """The limit of common random numbers: a permutation never makes two texts one."""
    vocabulary = letters("abc")
    flat = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")
    meetings = meeting_times(flat, MetropolisHastings(Swap(vocabulary)), ["abc"], lag=1, steps=60, seed=0, chains=50)
    assert np.isinf(meetings.times).all()
    with pytest.raises(ValueError, match=r"50 of 50 pairs had not met .* common random numbers do not"):
        meetings.bound(10)


@dataclass(frozen=True)
class Later:
    """A sampler on the numbers of later steps, on others altogether, or at a temperature that depends on the step."""

    sampler: MetropolisHastings
    lag: int = 0
    streams: Callable[[Rng], Rng] = field(default=lambda rng: rng)
    heat: Callable[[int], float] = field(default=lambda step: 1.0)
    guarantee: Guarantee = Guarantee.EXACT

    @property
    def vocabulary(self) -> Vocabulary:
        return self.sampler.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.sampler.kinds

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return self.sampler.init(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        return self.sampler.step(
            objective, state, self.streams(rng.at(rng.step + self.lag)), temperature * self.heat(rng.step)
        )


def by_row(rng: Rng) -> Rng:
    """The broken twin: numbers of the row in the batch, which the two chains of a pair do not share."""
    return replace(rng, chain=torch.arange(len(rng.chain)))


def test_a_pair_that_parts_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"pair \d+ met after \d+ steps and had parted after \d+: the sampler's step"):
        meetings_of(REWRITE, Later(MetropolisHastings(REWRITE.proposal), streams=by_row))


def test_texts_of_different_energies_have_not_met() -> None:
    """Energies that change with the row would lead the chains of a pair apart again."""
    chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    noisy = FunctionObjective(lambda texts: [1e-9 * row for row in range(len(texts))], name="noisy")
    meetings = meeting_times(noisy, chain, ["ab"], lag=30, steps=60, seed=0, chains=10)
    assert np.isinf(meetings.times).sum() > 5


def test_an_annealed_chain_would_break_the_bound() -> None:
    """The negative control of refusing it: hot chains meet and stay together, far from the target."""
    hot = replace(REWRITE, temperature=50.0)
    law = np.eye(len(REWRITE.target))[REWRITE.states.index(REWRITE.state(REWRITE.start))]
    truth = []
    for _ in range(60):
        truth.append(0.5 * np.abs(law - REWRITE.target).sum())
        law = law @ hot.chain.matrix
    chain = MetropolisHastings(REWRITE.proposal)
    cooling = Later(chain, heat=lambda step: 50.0 if step < 100 else 1.0)
    assert violation(meetings_of(REWRITE, cooling).bound(np.arange(60)), np.array(truth)) > 6.2
    assert violation(meetings_of(REWRITE).bound(np.arange(60)), exact(REWRITE, 60)) < 5


def test_what_has_no_bound_is_refused() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    chain = MetropolisHastings(Replace(model))
    few = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    settings: dict[str, Any] = {"lag": 2, "steps": 10, "seed": 0, "chains": 3}
    with pytest.raises(ValueError, match="SimulatedAnnealing is biased"):
        meeting_times(few, SimulatedAnnealing(chain, geometric(2, 1, 5)), ["ab"], **settings)
    with pytest.raises(ValueError, match="MaskedResampling is biased"):
        meeting_times(few, MaskedResampling(model), ["ab"], **settings)
    ladder: Any = ParallelTempering(chain, (1, 2))
    with pytest.raises(TypeError, match="LadderState"):
        meeting_times(few, ladder, ["ab"], **settings)
    for name, value in (("lag", 0), ("steps", 2), ("chains", 1), ("lag", 1.5), ("chains", True)):
        with pytest.raises(ValueError, match=f"{name}={value} must be"):
            meeting_times(few, chain, ["ab"], **settings | {name: value})
