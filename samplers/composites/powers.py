"""Parallel tempering over the powers of one term: p^4 of a language model by way of p^2 and p^1.

Chains that sample p(x)^alpha exp(-other terms) at a high power get stuck, and their proposals fit badly; at power 1 the
model's own draws fit. Only the model's term is raised: all rungs share the others, constraints among them, so that no
rung leaves the language (Geyer, 1991; the order of the exchanges is that of Syed et al., 2022; the target is that of
Karan and Du, "Reasoning with sampling: your base model is smarter than you think", 2025). With F the raised term at its
whole weight and s_i the share of it on rung i, neighbours exchange their texts with probability

    min(1, exp((s_i - s_j) (F(x_i) - F(x_j)) / T)),

for which all is known: an exchange costs no pass, and no term is worked out anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, final

import torch
from torch import Tensor

from samplers.composites.tempering import exchanges
from samplers.composites.wrapped import plain_start, promised, shared
from samplers.unfinished import alike
from textsearch import tree
from textsearch.batch import Batch, Vocabulary
from textsearch.beginnings import Beginnings
from textsearch.checks import keep, reals, string
from textsearch.kinds import SAMPLER
from textsearch.objective import (
    Cost,
    Evaluation,
    Limit,
    Objective,
    Sum,
    allowed_by,
    impossible_by,
    next_allowed_by,
    outline_of,
    term_names,
)
from textsearch.outline import Outline
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler


@final
@dataclass(frozen=True)
class PowerTempering:
    """Run chains at several powers of one term at once; neighbours exchange texts.

    Exact if the samplers are. The rungs leave the product of their laws exp(-(s_i F + others) / T) invariant, and the
    draws of a run are those of the first rung, which has the whole term: with 4 * Fluency(lm) in the objective the
    shares (1, 0.5, 0.25) are p^4, p^2 and p^1. R rungs cost R times the passes of a sampler; exchanges cost none. Every
    rung starts from the starting text of the chain.

    Attributes:
        samplers: the kernels, one for all rungs or one for each, whose state is texts and energies only; such as
            `MetropolisHastings(SuffixResampling(lm, temperature=1 / power))` for each power.
        shares: of the term's weight, 1 first and falling, above 0.
        term: the name of the term that is raised, as results have it.

    >>> from objectives import Fluency
    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import SuffixResampling
    >>> from textsearch import generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("ab"), seed=0)
    >>> rungs = [MetropolisHastings(SuffixResampling(lm, temperature=1 / power, max_length=6)) for power in (4, 2, 1)]
    >>> result = generate(4 * Fluency(lm), PowerTempering(rungs, (1, 0.5, 0.25)), [""], steps=20, seed=0)
    >>> result.recorded["walkers"].shape
    (20, 1, 3)
    """

    samplers: tuple[Sampler[ChainState], ...]
    shares: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25)
    term: str = "fluency"

    def __post_init__(self) -> None:
        given: Any = (self.samplers,) if SAMPLER.of(self.samplers) else self.samplers
        samplers = shared(given, "PowerTempering")
        shares = reals("shares", self.shares, "be a number", lambda _: True, "[1, 0.5, 0.25]")
        if len(shares) < 2 or shares[0] != 1 or not all(high > low > 0 for high, low in pairwise(shares)):
            raise ValueError(f"shares={shares} must begin with 1 and fall from rung to rung, above 0: such as (1, 0.5)")
        if len(samplers) not in (1, len(shares)):
            raise ValueError(f"{len(samplers)} samplers for {len(shares)} shares: pass one for all, or one for each")
        keep(self, samplers=samplers, shares=shares, term=string("term", self.term))

    @property
    def vocabulary(self) -> Vocabulary:
        """The one that all samplers share."""
        return self.samplers[0].vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The moves of the first rung."""
        return self.samplers[0].kinds

    @property
    def guarantee(self) -> Guarantee:
        """Exact if all samplers are, else biased."""
        return promised(self.samplers)

    def init(self, objective: Objective, batch: Batch) -> PowerState:
        """Every rung at the starting text.

        Raises:
            ValueError: the objective has no term of this name.
        """
        rungs, values = [], []
        for rung in range(len(self.shares)):
            law, seen = self._raised(objective, rung)
            rungs.append(plain_start(self._sampler(rung), law, batch, "PowerTempering"))
            values.append(seen.of(rungs[-1].batch))
        walkers = torch.arange(len(rungs), device=batch.device).repeat(len(batch), 1)
        return PowerState(tuple(rungs), walkers, torch.stack(values, 1))

    def step(
        self, objective: Objective, state: PowerState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[PowerState, Info]:
        """One step of every rung, then the exchanges. The info is that of the first rung."""
        width, rungs = state.walkers.shape
        device = rng.chain.device
        each = rng.fold(0).split(rungs)
        chains, values, infos = [], [], []
        for rung, before in enumerate(state.rungs):
            law, seen = self._raised(objective, rung)
            own = each.rows(torch.arange(width, device=device) * rungs + rung)
            after, info = self._sampler(rung).step(law, before, own, temperature)
            same = after.batch.same_text(before.batch)
            chains.append(after)
            infos.append(info)
            values.append(state.values[:, rung].where(same, seen.of(after.batch, ~same)))
        weight = objective.parts[self._column(objective)][0]
        shares = torch.tensor(self.shares, dtype=torch.float64, device=device)
        heat = torch.as_tensor(temperature, dtype=torch.float64, device=device).expand(width)
        value = torch.stack(values, 1)
        source = exchanges(weight * value, heat[:, None] / shares, rng)
        every = tree.concatenate(tuple(chains))
        place = source * width + torch.arange(width, device=device)[:, None]
        moved = PowerState(
            tuple(
                self._on_rung(objective, rung, every.rows(place[:, rung]), value.T.flatten()[place[:, rung]])
                for rung in range(rungs)
            ),
            state.walkers.gather(1, source),
            value.gather(1, source),
        )
        return moved, replace(infos[0], recorded={"rung energies": moved.energies, "walkers": moved.walkers})

    def _sampler(self, rung: int) -> Sampler[ChainState]:
        return self.samplers[rung if len(self.samplers) > 1 else 0]

    def _column(self, objective: Objective) -> int:
        names = term_names(objective)
        if self.term not in names:
            raise ValueError(f"term={self.term!r} is none of the objective's, {', '.join(map(repr, names))}")
        return names.index(self.term)

    def _raised(self, objective: Objective, rung: int) -> tuple[Sum, _Seen]:
        """The energy of a rung, and what remembers the values of the raised term."""
        column = self._column(objective)
        weight, term = objective.parts[column]
        seen = _Seen(term)
        parts = list(objective.parts)
        parts[column] = (weight * self.shares[rung], seen)
        return Sum(tuple(parts)), seen

    def _on_rung(self, objective: Objective, rung: int, chains: ChainState, values: Tensor) -> ChainState:
        """Texts that come to a rung, with the energies that they have there."""
        column = self._column(objective)
        terms = chains.evaluation.terms.clone()
        terms[:, column] = objective.parts[column][0] * self.shares[rung] * values
        # the same sum, in the same order, as where it is worked out anew
        energy = torch.zeros_like(values)
        for place in sorted(range(len(objective.parts)), key=lambda place: objective.parts[place][1].cost):
            energy = energy + terms[:, place]
        forbidden = chains.evaluation.energy == math.inf
        energy = energy.masked_fill(forbidden, math.inf)
        return ChainState(chains.batch, Evaluation(energy, terms))


@final
@dataclass(frozen=True, eq=False)
class PowerState:
    """B ladders of R rungs; what a run sees of them is the first rung.

    Attributes:
        rungs: the texts and energies of each rung, that of the whole term first; chain b of each is at row b.
        walkers: (B, R) int64, which of a chain's R texts is at each rung.
        values: (B, R) float64, the raised term of each text, without its weight.
    """

    rungs: tuple[ChainState, ...]
    walkers: Tensor
    values: Tensor

    @property
    def batch(self) -> Batch:
        """B texts of the first rung."""
        return self.rungs[0].batch

    @property
    def evaluation(self) -> Evaluation:
        """Their energies."""
        return self.rungs[0].evaluation

    @property
    def energies(self) -> Tensor:
        """(B, R) energies, each at its own rung, nats."""
        return torch.stack([rung.evaluation.energy for rung in self.rungs], 1)


@final
class _Seen(Objective):
    """A term whose values are remembered for the length of a step."""

    def __init__(self, term: Objective) -> None:
        self._term = term
        self._found: dict[tuple[int, tuple[int, ...]], float] = {}

    def of(self, batch: Batch, wanted: Tensor | None = None) -> Tensor:
        """(B,) float64 values of the `wanted` rows, nan for those that were not worked out, being forbidden."""
        asked = torch.ones_like(batch.lengths, dtype=torch.bool) if wanted is None else wanted
        places, which = alike(batch)
        found = [self._found.get(key, math.nan) for key in _keys(batch.rows(places))]
        values = torch.tensor(found, dtype=torch.float64, device=batch.device)[which]
        return values.masked_fill(~asked, math.nan)

    @property
    def name(self) -> str:
        return self._term.name

    @property
    def cost(self) -> Cost:
        return self._term.cost

    @property
    def lower_bound(self) -> float:
        return self._term.lower_bound

    def energy(self, batch: Batch) -> Tensor:
        return self._kept(batch, self._term.energy(batch), None)

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        return self._kept(batch, self._term.energy_within(batch, limit), limit.energy)

    def _kept(self, batch: Batch, values: Tensor, most: Tensor | None) -> Tensor:
        # above its limit a value may be any
        sure = torch.ones_like(values, dtype=torch.bool) if most is None else values <= most
        rows = sure.nonzero().squeeze(-1)
        rows = rows[alike(batch.rows(rows))[0]]
        self._found |= dict(zip(_keys(batch.rows(rows)), values[rows].tolist(), strict=True))
        return values

    def check(self, batch: Batch) -> None:
        self._term.check(batch)

    def freeze(self, batch: Batch) -> Batch:
        return self._term.freeze(batch)

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
        return allowed_by(self._term, batch, rows, positions)

    def allowed_next(self, beginnings: Beginnings) -> Tensor | None:
        return next_allowed_by(self._term, beginnings)

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        return impossible_by(self._term, beginnings)

    def outline(self, number: int) -> Outline:
        return outline_of(self._term, number)

    def concerns(self, number: int) -> bool:
        return self._term.concerns(number)


def _keys(batch: Batch) -> list[tuple[int, tuple[int, ...]]]:
    """The input and the tokens of each row."""
    return list(zip(batch.inputs.tolist(), map(tuple, batch.token_lists()), strict=True))
