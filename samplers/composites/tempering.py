"""Parallel tempering: chains at several temperatures that exchange their texts.

Geyer, "Markov chain Monte Carlo maximum likelihood", 1991; the order of the exchanges is that of Syed et al.,
"Non-reversible parallel tempering: a scalable highly parallel MCMC scheme", 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import torch
from numpy.typing import NDArray
from torch import Tensor

from samplers.composites.wrapped import Wrapper, plain_start, promised
from textsearch import tree
from textsearch.batch import Batch
from textsearch.checks import floats, keep, reals
from textsearch.objective import Evaluation, Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler


@final
@dataclass(frozen=True, eq=False)
class LadderState:
    """B ladders of R rungs; what a run sees of them is the coldest rung.

    Attributes:
        rungs: the texts and energies of each rung, the coldest first; chain b of each is at row b.
        walkers: (B, R) int64, which of a chain's R texts is at each rung: they go up and down with the exchanges.
    """

    rungs: tuple[ChainState, ...]
    walkers: Tensor

    @property
    def batch(self) -> Batch:
        """B texts of the coldest rung."""
        return self.rungs[0].batch

    @property
    def evaluation(self) -> Evaluation:
        """Their energies."""
        return self.rungs[0].evaluation

    @property
    def energies(self) -> Tensor:
        """(B, R) energies of all rungs, nats."""
        return torch.stack([rung.evaluation.energy for rung in self.rungs], 1)


@final
@dataclass(frozen=True)
class ParallelTempering(Wrapper[ChainState, LadderState]):
    """Run `sampler` at several temperatures at once; neighbours exchange texts, so the cold chains cross barriers.

    Exact if `sampler` is. After each step of all rungs, in one batch, rungs i and i + 1 exchange their texts with
    probability min(1, exp((1 / T_i - 1 / T_(i+1)) (E_i - E_(i+1)))); i is even after even steps and odd after odd ones.
    The rungs leave the product of their laws exp(-E / T) invariant, and the draws of a run are those of the
    coldest. An exchange costs no model pass; R rungs cost R times the passes of `sampler`.

    Every rung starts from the starting text of the chain. To anneal, wrap this sampler, not the one within: exchanges
    use the temperatures given here.

    Attributes:
        sampler: the kernel, such as `MetropolisHastings`, whose state is texts and energies only.
        temperatures: the ladder, 1 first and rising, in units of the temperature of the run.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> # no way from "aaa" to "bbb" but through texts of energy 20
    >>> apart = FunctionObjective(lambda texts: [{"aaa": 1, "bbb": 0}.get(text, 20) for text in texts], name="apart")
    >>> generate(apart, chain, ["aaa"], steps=60, seed=0).best_texts
    ['aaa']
    >>> generate(apart, ParallelTempering(chain, (1, 3, 9, 27)), ["aaa"], steps=60, seed=0).best_texts
    ['bbb']
    """

    sampler: Sampler[ChainState]
    temperatures: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        ladder = reals("temperatures", self.temperatures, "be a number", lambda _: True, "[1, 2, 4]")
        keep(self, temperatures=ladder)
        if len(ladder) < 2:
            raise ValueError(f"temperatures={ladder} needs at least 2 rungs, such as (1, 2, 4)")
        if ladder[0] != 1:
            raise ValueError(
                f"temperatures={ladder} must start at 1, the temperature of the draws; "
                "to draw at another, give that to the run: generate(..., temperature=...)"
            )
        if not all(low < high < math.inf for low, high in pairwise(ladder)):
            raise ValueError(f"temperatures={ladder} must rise from rung to rung and be finite, such as (1, 2, 4)")

    @property
    def guarantee(self) -> Guarantee:
        """Exact if the sampler is, else biased: weights that it records are not those of the coldest rung's texts."""
        return promised([self.sampler])

    def init(self, objective: Objective, batch: Batch) -> LadderState:
        """Every rung at the starting text, whose energy is computed once."""
        start = plain_start(self.sampler, objective, batch, "ParallelTempering")
        rungs = len(self.temperatures)
        return LadderState((start,) * rungs, torch.arange(rungs, device=batch.device).repeat(len(batch), 1))

    def step(
        self, objective: Objective, state: LadderState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[LadderState, Info]:
        """One step of every rung, then the exchanges. The info is that of the coldest rung."""
        width, rungs = state.walkers.shape
        device = rng.chain.device
        relative = torch.tensor(self.temperatures, dtype=torch.float64, device=device)
        own = torch.as_tensor(temperature, dtype=torch.float64, device=device).expand(width)
        temperatures = own[:, None] * relative
        # the rows of the first rung, then those of the second, ...; each rung of each chain has a stream of its own,
        # whatever other chains there are
        order = torch.arange(rungs, device=device)[:, None] + torch.arange(width, device=device) * rungs
        each = rng.fold(0).split(rungs).rows(order.flatten())
        after, info = self.sampler.step(objective, tree.concatenate(state.rungs), each, temperatures.T.flatten())
        source = exchanges(after.evaluation.energy.view(rungs, width).T, temperatures, rng)
        rows = source.T * width + torch.arange(width, device=device)
        moved = LadderState(tuple(after.rows(rung) for rung in rows), state.walkers.gather(1, source))
        recorded = {"rung energies": moved.energies, "rung temperatures": temperatures, "walkers": moved.walkers}
        return moved, Info(info.accepted[:width], info.kind[:width], info.log_ratio[:width], recorded)


def exchanges(energies: Tensor, temperatures: Tensor, rng: Rng) -> Tensor:
    """(B, R) int64, the rung that each rung's next text comes from; energies and temperatures are (B, R)."""
    width, rungs = energies.shape
    low = torch.arange(rungs - 1, device=energies.device)
    turn = (low - rng.steps[:, None]) % 2 == 0
    swapped = turn & (rng.fold(1).uniform(0, rungs - 1).log() < _log_ratio(energies, 1 / temperatures))
    source = torch.arange(rungs, device=energies.device).repeat(width, 1)
    up, down = (torch.nn.functional.pad(swapped.long(), side) for side in ((0, 1), (1, 0)))
    return source + up - down


Recorded = Tensor | NDArray[Any] | Sequence[float]
"""Numbers as tensors, or as the arrays that a result holds."""


def swap_rates(energies: Recorded, temperatures: Recorded) -> Tensor:
    """(R - 1,) mean probability of an exchange between neighbours, from recorded energies (T, B, R) of the rungs.

    A ladder works best where these rates are about even (Syed et al., 2022); `tuned` makes them so.

    Args:
        energies: (T, B, R) nats, as a run of `ParallelTempering` recorded them.
        temperatures: (R,), in units of the energy, or as recorded (T, B, R).

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0), max_length=4))
    >>> ladder = ParallelTempering(chain, (1, 3, 9))
    >>> few_a = FunctionObjective(lambda texts: [2.0 * text.count("a") for text in texts], name="few a")
    >>> result = generate(few_a, ladder, ["aaa"], steps=60, seed=0, chains=50, warm_up=10)
    >>> rates = swap_rates(result.recorded["rung energies"][10:], result.recorded["rung temperatures"][10:])
    >>> [round(rate, 1) for rate in rates.tolist()]
    [0.5, 0.8]
    """
    return _log_ratio(*_recorded(energies, temperatures)).clamp(max=0.0).exp().mean((0, 1))


def log_partition(energies: Recorded, temperatures: Recorded) -> Tensor:
    """(B,) estimates of log Z(T_1) - log Z(T_R), Z(T) the sum of exp(-E / T), from recorded energies (T, B, R).

    Stepping-stone sampling (Xie et al., 2011): each ratio of neighbours is a mean over the hotter one's draws.

    Args:
        energies: (T, B, R) nats, as a run of `ParallelTempering` recorded them.
        temperatures: (R,), in units of the energy, or as recorded (T, B, R) if they stayed.

    >>> import torch
    >>> # one text of energy 2: exp(-2 / 1) over exp(-2 / 4)
    >>> log_partition(torch.full((5, 1, 3), 2.0), (1.0, 2.0, 4.0)).tolist()
    [-1.5]

    Of a run: `log_partition(result.recorded["rung energies"], result.recorded["rung temperatures"])`.
    """
    energies, inverse = _recorded(energies, temperatures)
    exponents = -(inverse[..., :-1] - inverse[..., 1:]) * energies[..., 1:]
    return (exponents.logsumexp(0) - math.log(len(energies))).sum(-1)


def round_trips(walkers: Recorded) -> Tensor:
    """(B,) int64, how often a text went from the coldest rung to the hottest and back, from recorded walkers (T, B, R).

    Args:
        walkers: (T, B, R), which text stood on each rung, as recorded.

    Raises:
        ValueError: an array of another shape than (steps, chains, rungs).

    >>> import torch
    >>> up_and_down = torch.tensor([[0, 1], [1, 0], [0, 1], [1, 0], [0, 1]])
    >>> round_trips(up_and_down[:, None]).tolist()  # text 0 twice; text 1 starts hot and has one trip
    [3]

    Of a run: `round_trips(result.recorded["walkers"])`.
    """
    walkers = _numbers("walkers", walkers).to(torch.int64)
    if walkers.ndim != 3:
        raise ValueError(f"walkers of shape {tuple(walkers.shape)} must be (steps, chains, rungs)")
    steps, width, rungs = walkers.shape
    at_cold, at_hot = walkers[..., 0], walkers[..., -1]  # (T, B), the walker that is there
    done = torch.zeros(width, dtype=torch.int64, device=walkers.device)
    # how far each walker has come: 0 not yet cold, 1 cold last, 2 hot after cold
    phase = torch.zeros(rungs, width, dtype=torch.int64, device=walkers.device)
    for step in range(steps):
        hot, cold = at_hot[step][None], at_cold[step][None]
        was = phase.gather(0, hot)
        phase = phase.scatter(0, hot, torch.where(was == 1, 2, was))
        done = done + (phase.gather(0, cold)[0] == 2).long()
        phase = phase.scatter(0, cold, 1)
    return done


def _numbers(name: str, recorded: Recorded) -> Tensor:
    array = recorded.cpu() if isinstance(recorded, Tensor) else recorded
    return torch.from_numpy(floats(name, array).copy())


def _recorded(energies: Recorded, temperatures: Recorded) -> tuple[Tensor, Tensor]:
    """Energies (T, B, R), and inverse temperatures as (R,) or (T, B, R)."""
    numbers, inverse = _numbers("energies", energies), 1 / _numbers("temperatures", temperatures)
    if numbers.ndim != 3 or len(numbers) == 0 or inverse.shape not in (numbers.shape[2:], numbers.shape):
        raise ValueError(
            f"energies of shape {tuple(numbers.shape)} must be (steps, chains, rungs), one step at least, and "
            f"temperatures, of {inverse.numel()} numbers, one for each rung or of that shape"
        )
    return numbers, inverse


def _log_ratio(energies: Tensor, inverse: Tensor) -> Tensor:
    """(..., B, R - 1) log ratios of the exchanges; energies are (..., B, R), inverse temperatures too, or (R,)."""
    colder, hotter = energies[..., :-1], energies[..., 1:]
    # two forbidden texts (inf - inf) are as good as one another
    gap = (colder - hotter).masked_fill(colder == hotter, 0.0)
    return (inverse[..., :-1] - inverse[..., 1:]) * gap
