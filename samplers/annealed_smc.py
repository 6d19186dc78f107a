"""Annealed sequential Monte Carlo: a population of texts led from a proposal to the target through hot ones.

Del Moral, Doucet and Jasra, "Sequential Monte Carlo samplers", 2006. Without resampling it is annealed importance
sampling (Neal, 2001); temperatures are chosen on the way by the conditional effective sample size (Zhou, Johansen and
Aston, 2016).

With inverse temperatures 0 < b_1 < ... < b_n = 1, N particles x ~ q, and w the weight of each, a step is

    weigh     w = exp(-b_1 E(x) / T) / q(x) at the first step,  w exp((b_(t-1) - b_t) E(x) / T) at the others,
    resample  N texts in proportion to w, if the weights have become uneven; each then has the mean weight,
    move      x ~ K_t(x, .), a kernel that leaves exp(-b_t E / T) as it is.

The weights are those of the texts before the move: K_t mends the texts, and the weights already make them a sample of
exp(-b_t E / T). At each t, for any f,

    E[mean of w f(x)] = sum over x of exp(-b_t E(x) / T) f(x),

so with f = 1 the mean weight is an unbiased estimate of Z_t = sum of exp(-b_t E / T): exactly so for temperatures
that were given, in the limit of many particles for those that the particles choose themselves.

The mean is over all that may happen, and among that are populations whose draws are all forbidden: their weights are 0,
and so is their estimate of Z. Were they left out, those that remain would give Z too high, on average by one over the
share of populations that live.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers import independent_draws
from samplers.composites.wrapped import Wrapper, plain_start
from samplers.populations import Populations, check_alike, effective_share, log_sum, systematic
from textsearch.batch import Batch
from textsearch.checks import keep, real, reals
from textsearch.kinds import INDEPENDENT, instance
from textsearch.objective import Evaluation, Objective, evaluate
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng, StepsApartError
from textsearch.sampler import ChainState, Guarantee, Info, Sampler

_DRAW, _RESAMPLE, _MOVE = range(3)  # streams
_GRID = 48  # inverse temperatures to start from, half octaves down from 1
_HALVINGS = 40


@final
@dataclass(frozen=True, eq=False)
class AnnealedState:
    """Populations on their way.

    Attributes:
        batch: the particles; before the first step, the texts that were given.
        evaluation: their energies; +inf before the first step, whose texts are no draws.
        log_weights: (B,) float64, nats; the mean weight of a population is its estimate of Z.
        inverse_temperature: (B,) float64, b, that of a particle's population; 0 before the first step.
        log_partition: (B,) float64, estimate of log Z of exp(-b E / T), that of a particle's population.
        stage: (B,) int64, steps taken so far.
    """

    batch: Batch
    evaluation: Evaluation
    log_weights: Tensor
    inverse_temperature: Tensor
    log_partition: Tensor
    stage: Tensor

    def common_stage(self) -> int:
        """The one stage of all populations.

        Raises:
            StepsApartError: there is none; run those of one stage at a time.
        """
        first = int(self.stage[0])
        if bool((self.stage != first).any()):
            raise StepsApartError("the populations have come apart: some have taken more steps than others")
        return first


@final
@dataclass(frozen=True)
class AnnealedSMC(Wrapper[ChainState, AnnealedState]):
    """Lead a population of texts from an easy law to exp(-E / T), weighing, resampling and moving them.

    Consistent: as populations grow, the texts at b = 1 become draws from exp(-E / T), and the estimate of Z the sum of
    exp(-E / T) over all texts that `proposal` can draw. With given `inverse_temperatures` the estimate of Z,
    though not that of log Z, is unbiased for populations of any size.

    The chains of one input are the particles of its population, so give many: `generate(..., chains=64)`. Populations
    do not look at one another. The given text is only what `proposal` makes of it, a template or nothing.

    A step takes a population one temperature on and moves it once, at the cost of a step of `sampler`; it has arrived
    when b = 1. With given `inverse_temperatures` that takes as many steps as there are of them. Else nobody knows
    beforehand: look whether `recorded["inverse temperature"][-1]` is 1, and if not, take more steps, for the texts are
    those of a hotter law. Steps after arrival move the texts at b = 1. On arrival a population is resampled in any
    case, so its final texts all weigh the same: draws, though not independent ones, some being copies that parted late,
    and with N particles off the target by some 1 / N. Several populations for one target are put together with weights
    Z, which mends that.

    A population whose draws are all forbidden is dead: its log Z is -inf, its weights are 0, and its texts stay as they
    were drawn, of energy +inf. Without it the estimate of Z would have a bias; a warning tells of it.

    Recorded at each step, (B,): "log weights", which belong to the step's texts, "inverse temperature" b,
    "log partition", the estimate of log Z at b, and "effective sample size" before resampling, in particles.

    Attributes:
        proposal: draws the first texts; it must be able to draw any text that `sampler` can reach.
        sampler: the moves, an exact kernel such as `MetropolisHastings`, whose state is texts and energies and nothing
            else. It should be able to move any draw, which `Gibbs` on few candidates is not.
        ess: a population whose effective sample size is below this share of its particles is resampled; at 0 only on
            arrival, or when a draw had weight 0.
        inverse_temperatures: b, rising to 1; None to choose them on the way, each population its own.
            Draws from a `proposal` close to the target had better start close to 1: hotter laws are further from it.
        keep: then the share of particles that are to be effective after each change of temperature, if all were so
            before; the nearer to 1, the more steps. The first b is the largest with that share of the draws that are
            not forbidden, or if there is none, the one with the largest share.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from samplers.proposals.uniform import Uniform
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [3.0 * text.count("a") for text in texts], name="few a")
    >>> result = generate(few_a, AnnealedSMC(Uniform(chain.vocabulary), chain), ["___"], steps=8, seed=0, chains=200)
    >>> bool((result.recorded["inverse temperature"][-1] == 1).all())
    True
    >>> log_z = 3 * math.log(1 + math.exp(-3))
    >>> bool(abs(result.recorded["log partition"][-1, 0] - log_z) < 0.1)
    True
    """

    proposal: IndependentProposal
    sampler: Sampler[ChainState]
    ess: float = 0.5
    inverse_temperatures: tuple[float, ...] | None = None
    keep: float = 0.9

    guarantee: ClassVar = Guarantee.CONSISTENT

    def __post_init__(self) -> None:
        super().__post_init__()
        instance("proposal", self.proposal, INDEPENDENT)
        if self.proposal.vocabulary is not self.sampler.vocabulary:
            raise ValueError(
                "proposal and sampler write the tokens of two vocabularies: make both from the same one, such as "
                "sampler.vocabulary"
            )
        if self.sampler.guarantee is not Guarantee.EXACT:
            raise ValueError(
                f"sampler={type(self.sampler).__name__} is {self.sampler.guarantee}: the moves must leave exp(-E / T) "
                "as it is; take an exact one, such as MetropolisHastings"
            )
        share = "be a share of the particles"
        keep(
            self,
            ess=real("ess", self.ess, f"{share}, from 0 (never resample) to 1", lambda x: 0 <= x <= 1),
            keep=real("keep", self.keep, f"{share} between 0 and 1, such as 0.9", lambda x: 0 < x < 1),
        )
        if self.inverse_temperatures is not None:
            given = self.inverse_temperatures
            ladder = reals("inverse_temperatures", given, "be a number", lambda _: True, "[0.1, 0.3, 1]")
            keep(self, inverse_temperatures=ladder)
            if not ladder or ladder[-1] != 1:
                raise ValueError(
                    f"inverse_temperatures={ladder} must end at 1, the target, and be below 1 before it, where it is "
                    "hotter, such as (0.1, 0.3, 1)"
                )
            if not all(low < high for low, high in pairwise((0.0, *ladder))):
                raise ValueError(f"inverse_temperatures={ladder} must rise and be above 0, such as (0.1, 0.3, 1)")

    def init(self, objective: Objective, batch: Batch) -> AnnealedState:
        """The given texts, of which nothing is drawn yet; runs no model."""
        self.proposal.check(batch)
        self._check(batch)
        plain_start(self.sampler, objective, batch.rows([]), "AnnealedSMC")
        zero = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        # what was given is no draw, and must not become the best text of the run
        nothing = evaluate(objective, batch, wanted=zero > 0)
        return AnnealedState(batch, nothing, zero, zero, zero, torch.zeros_like(batch.lengths))

    def step(
        self, objective: Objective, state: AnnealedState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[AnnealedState, Info]:
        """Every population one temperature on; `temperature`, or (B,) one a population, must not change on the way."""
        stage = state.common_stage()
        populations = Populations.of(state.batch.inputs, rng.chain)
        heat = torch.as_tensor(temperature, dtype=torch.float64, device=state.batch.device).expand(len(state.batch))
        chains, log_draw = ChainState(state.batch, state.evaluation), torch.zeros_like(state.log_weights)
        if stage == 0:
            chains, log_draw = self._draw(objective, state.batch, populations, rng.fold(_DRAW))

        # a forbidden text, or none at all, has weight 0 and no say in the temperatures
        alive = chains.evaluation.energy < math.inf
        before = populations.table(state.log_weights.where(alive, -math.inf), -math.inf)
        offset = populations.table(-log_draw.where(alive, 0.0), 0.0)
        height = populations.table(chains.evaluation.energy.where(alive, 0.0) / heat, 0.0)
        old = populations.table(state.inverse_temperature, 0.0)[:, 0]
        dead = ~populations.table(alive, False).any(1)

        def change(inverse: Tensor) -> Tensor:
            """(P, N) what going on to `inverse` (P,) adds to the log-weights."""
            return offset - (inverse - old)[:, None] * height

        # weights of 0 have nothing to choose a temperature by: as though they were even
        new = self._next(before.where(~dead[:, None], populations.even), change, old, stage)
        log_weights = before + change(new)
        log_partition = (log_sum(log_weights) - populations.size.log()).masked_fill(dead, -math.inf)
        effective = (populations.size * effective_share(populations.even, log_weights)).masked_fill(dead, 0.0)

        # no kernel shall have to move a text of weight 0
        hopeless = ~populations.table(alive, True).all(1)
        arrived = (new == 1) & (old < 1)
        resampled = ((effective < self.ess * populations.size) | hopeless | arrived) & ~dead
        uniform = rng.fold(_RESAMPLE).rows(populations.rows[:, 0]).uniform(0)
        ancestor = systematic(log_weights.where(~dead[:, None], populations.even), uniform, populations.size)
        source = populations.rows.where(~resampled[:, None], populations.rows.gather(1, ancestor))
        log_weights = log_weights.where(~resampled[:, None], log_partition[:, None])

        inverse = new[populations.number]
        chains = chains.rows(populations.each(source))
        chains, info = self._moved(objective, chains, rng.fold(_MOVE), heat / inverse, dead[populations.number])
        after = AnnealedState(
            chains.batch,
            chains.evaluation,
            populations.each(log_weights),
            inverse,
            log_partition[populations.number],
            state.stage + 1,
        )
        recorded = {
            "log weights": after.log_weights,
            "inverse temperature": after.inverse_temperature,
            "log partition": after.log_partition,
            "effective sample size": effective[populations.number],
        }
        return after, Info(info.accepted, info.kind, info.log_ratio, {**info.recorded, **recorded})

    def _draw(
        self, objective: Objective, batch: Batch, populations: Populations, rng: Rng
    ) -> tuple[ChainState, Tensor]:
        """The first texts, and (B,) log q of each."""
        drawn, log_draw = independent_draws.draw_texts(self.proposal, batch, rng)
        evaluation = evaluate(objective, drawn, wanted=log_draw < math.inf)
        possible = populations.table(evaluation.energy < math.inf, False).any(1)
        if not bool(possible.all()):
            row = int(populations.rows[~possible][0, 0])
            warnings.warn(
                f"input {int(batch.inputs[row])}, {batch.rows([row]).texts()[0]!r}: all "
                f"{int(populations.size[~possible][0])} draws from {type(self.proposal).__name__} are forbidden, the "
                f"first is {drawn.rows([row]).texts()[0]!r}; its log Z is -inf, as is that of "
                f"{int((~possible).sum())} of {len(possible)} populations in all. Give them more chains, a proposal "
                "that meets the constraints, or freeze what they ask for",
                RuntimeWarning,
                stacklevel=3,
            )
        return ChainState(drawn, evaluation), log_draw

    def _moved(
        self, objective: Objective, chains: ChainState, rng: Rng, heat: Tensor, dead: Tensor
    ) -> tuple[ChainState, Info]:
        """One step of the kernel; the rows of `dead` (B,) populations stay."""
        if bool(dead.all()):
            nothing = torch.full_like(chains.evaluation.energy, -math.inf)
            return chains, Info(torch.zeros_like(dead), torch.zeros_like(chains.batch.lengths), nothing)
        # no kernel has to start from a forbidden text: it gets a living one, and what becomes of that is not used
        living = int((~dead).to(torch.int64).argmax())
        source = torch.arange(len(dead), device=dead.device).masked_fill(dead, living)
        moved, info = self.sampler.step(objective, chains.rows(source), rng, heat)
        log_ratio = info.log_ratio.masked_fill(dead, -math.inf)
        return moved.where(dead, chains), Info(info.accepted & ~dead, info.kind, log_ratio, info.recorded)

    def _next(self, before: Tensor, change: Callable[[Tensor], Tensor], old: Tensor, stage: int) -> Tensor:
        """(P,) the inverse temperatures to go on to, from `old` (P,)."""
        if self.inverse_temperatures is not None:
            return torch.full_like(old, self.inverse_temperatures[min(stage, len(self.inverse_temperatures) - 1)])

        def enough(inverse: Tensor) -> Tensor:
            return effective_share(before, change(inverse)) >= self.keep

        low, high = old, torch.ones_like(old)
        if stage == 0:
            # draws from q may be uneven draws of the uniform law, b = 0, and even ones further on: no bisection yet
            grid = torch.exp2(-0.5 * torch.arange(_GRID, dtype=torch.float64, device=old.device))
            shares = torch.stack([effective_share(before, change(b.expand_as(old))) for b in grid], 1)
            fits = shares >= self.keep
            # the coldest that will do; or else the one at which most particles count
            best = torch.where(fits.any(1), fits.to(torch.int64).argmax(1), shares.argmax(1))
            low, high = grid[best], grid[torch.where(fits.any(1), (best - 1).clamp(min=0), best)]
        low = low.where(~enough(high), high)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            far_enough = enough(middle)
            low, high = middle.where(far_enough, low), high.where(far_enough, middle)
        return high  # not `low`, which might never leave `old`

    def _check(self, batch: Batch) -> None:
        """Refuse populations whose particles start from different texts, or that are too small to choose by."""
        check_alike(batch)
        populations = Populations.of(batch.inputs, torch.arange(len(batch), device=batch.device))
        if self.inverse_temperatures is None and bool((populations.size < 2).any()):
            row = int(populations.rows[populations.size < 2][0, 0])
            raise ValueError(
                f"input {int(batch.inputs[row])} has 1 chain: particles choose the temperatures by comparison, so "
                "give it more, generate(..., chains=64), or give inverse_temperatures"
            )
