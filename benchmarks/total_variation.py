"""How far the law of a sampler's draws is from the target, against what it has asked of the models.

All chains start from one sentence far from the target, so the law after t steps is that of the chains at step t. An
importance sampler has no chain: its draw after t steps is picked from t weighted ones in proportion to their weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from benchmarks.enumerated import Space
from objectives import PseudoLikelihood
from samplers import (
    AnnealedSMC,
    Cycle,
    DelayedAcceptance,
    Gibbs,
    ImportanceSampling,
    IteratedResampling,
    MaskedResampling,
    MetropolisHastings,
    MultipleTry,
    ParallelTempering,
    QuasiRejection,
    Rejection,
)
from samplers.proposals import (
    AllSites,
    BlockInfill,
    Fill,
    LocallyBalanced,
    MetropolisedGibbs,
    Mixture,
    PathAuxiliary,
    SpanEdit,
)
from samplers.weights import LOG_WEIGHTS
from textsearch.models.usage import charged_to, ledger
from textsearch.rng import Rng, categorical
from textsearch.sampler import Guarantee, Sampler

GOAL = 0.02
"""The distance that every exact sampler should come to."""

SINGLE = "Metropolis-Hastings, one word"
"""What all others are compared with."""

PARTICLES = 64


def samplers(space: Space) -> Mapping[str, Sampler[Any]]:
    """Every sampler that a template with gaps allows, in forms that suit three gaps."""
    model = space.masked
    one, all_three = (SpanEdit(model, {(size, size): 1.0}, (1.0,), max_length=3) for size in (1, 3))
    blocks = Mixture({one: 1.0, BlockInfill(model, words=(2, 3), pieces=(1.0,), max_length=3): 1.0})
    fill = Fill(model)
    log_bound = bound(space)
    return {
        SINGLE: MetropolisHastings(one),
        "Metropolis-Hastings, all three": MetropolisHastings(all_three),
        "Metropolis-Hastings, mixture of blocks": MetropolisHastings(blocks),
        "multiple-try, 4 of one word": MultipleTry(one, 4),
        "multiple-try, 4 of the mixture": MultipleTry(blocks, 4),
        "delayed acceptance, mixture": DelayedAcceptance(blocks, PseudoLikelihood(model)),
        "Gibbs, 6 candidates": Gibbs(model, 6),
        "Gibbs, 3 candidates, in turn with one word": Cycle([Gibbs(model, 3), MetropolisHastings(one)]),
        "block Gibbs, 2 x 6 candidates": Gibbs(model, 6, block=2),
        "metropolised Gibbs": MetropolisHastings(MetropolisedGibbs(model)),
        "locally balanced": MetropolisHastings(LocallyBalanced(model)),
        "path-auxiliary, 2 sites": MetropolisHastings(PathAuxiliary(model, sites=2)),
        "all sites at once": MetropolisHastings(AllSites(model, step_size=1.0)),
        "parallel tempering, 4 rungs": ParallelTempering(MetropolisHastings(one), (1.0, 1.6, 2.5, 4.0)),
        "iterated resampling, 8 draws": IteratedResampling(fill, 8),
        "rejection": Rejection(fill, log_bound),
        "importance sampling": ImportanceSampling(fill),
        f"annealed SMC, {PARTICLES} particles": AnnealedSMC(fill, MetropolisHastings(blocks)),
        "quasi-rejection, a tenth of the bound": QuasiRejection(fill, log_bound - math.log(10.0)),
        "uncorrected resampling": MaskedResampling(model),
    }


def bound(space: Space) -> float:
    """The largest log of exp(-E) / q over all sentences: the bound for rejection, by enumeration."""
    rows = space.gaps.every()
    whole = rows.rows((rows.tokens > 0).all(1))
    return float((-space.fluency.energy(whole) - Fill(space.masked).log_prob(whole)).max())


@final
@dataclass(frozen=True)
class Point:
    """How far a sampler was after some steps.

    Attributes:
        steps: taken.
        masked: texts read by the masked model so far, for each chain.
        causal: the same of the causal model.
        distance: total variation between the chains' law and the target.
        error: its standard error.
    """

    steps: int
    masked: float
    causal: float
    distance: float
    error: float

    @property
    def rows(self) -> float:
        """Texts read by both models."""
        return self.masked + self.causal


@torch.inference_mode()
def curve(space: Space, sampler: Sampler[Any], *, chains: int, max_rows: float, seed: int) -> list[Point]:
    """Distances at steps 1, 2, ... and then 15 % apart, until the goal is met or a chain's budget is spent."""
    batch = space.gaps.encode([space.start]).repeat(chains)
    if isinstance(sampler, AnnealedSMC):
        batch = replace(batch, inputs=torch.arange(chains) // PARTICLES)
    rng = Rng.start(seed, chains, purpose="distances")
    points: list[Point] = []
    drawn: list[tuple[Tensor, Tensor]] = []
    with ledger() as usage, charged_to("moves"):
        state = sampler.init(space.fluency, batch)
        steps, look = 0, 1
        while not points or (points[-1].rows < max_rows and points[-1].distance >= GOAL):
            state, info = sampler.step(space.fluency, state, rng.at(steps))
            steps += 1
            numbers = space.gaps.number(state.batch)
            if isinstance(sampler, ImportanceSampling):
                drawn.append((numbers, info.recorded[LOG_WEIGHTS]))
            if steps < look:
                continue
            look = math.ceil(1.15 * steps + 1e-9) if steps > 6 else steps + 1
            if drawn:
                numbers = _picked(drawn, rng.at(steps))
            distance, error = space.distance(numbers.numpy())
            asked = {name: spent.rows / chains for name, spent in usage.items()}
            causal = asked.get(space.fluency.name, 0.0)
            points.append(Point(steps, sum(asked.values()) - causal, causal, distance, error))
    return points


def _picked(drawn: list[tuple[Tensor, Tensor]], rng: Rng) -> Tensor:
    """(B,) one of the numbers of each chain's draws, in proportion to its weight."""
    numbers = torch.stack([number for number, _ in drawn], 1)
    log_weights = torch.stack([log_weight for _, log_weight in drawn], 1)
    choice = categorical(log_weights, rng.fold(1).uniform(0))
    return numbers.gather(1, choice[:, None])[:, 0]


def at_budget(points: list[Point], rows: float) -> Point | None:
    """The last point within a budget; the last of all for a sampler that had met the goal before."""
    within = [point for point in points if point.rows <= rows]
    return within[-1] if within else None


def goal(points: list[Point]) -> Point | None:
    """The first point at the goal, if it was met."""
    return points[-1] if points[-1].distance < GOAL else None


def seconds(space: Space, point: Point) -> float:
    """What a chain's passes take on this machine, at the measured rates of the two models."""
    return point.masked / space.rows_per_second["masked"] + point.causal / space.rows_per_second["causal"]


def records(
    space: Space, *, chains: int, max_rows: float, seed: int, only: Sequence[str], tell: Callable[[str], None]
) -> dict[str, Any]:
    """The points of every sampler, or of those that are named; one that is biased goes on for a tenth of the budget."""
    found = {}
    for name, sampler in samplers(space).items():
        if only and not any(part in name for part in only):
            continue
        budget = max_rows / 10 if sampler.guarantee is Guarantee.BIASED else max_rows
        points = curve(space, sampler, chains=chains, max_rows=budget, seed=seed)
        met = goal(points)
        tell(f"{name}: {points[-1].distance:.3f} after {points[-1].steps} steps, {points[-1].rows:.0f} passes a chain")
        found[name] = {
            "guarantee": str(sampler.guarantee),
            "points": [vars(point) for point in points],
            "steps_to_goal": met.steps if met else None,
            "rows_to_goal": met.rows if met else None,
            "seconds_to_goal": seconds(space, met) if met else None,
        }
    return {
        "samplers": found,
        "words": space.gaps.words,
        "chains": chains,
        "noise": space.noise(chains),
        "rows_per_second": space.rows_per_second,
    }
