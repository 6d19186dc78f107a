"""Every way of drawing from a language that is compared, on a table or on a real model, under one name each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from benchmarks.grammars.tables import InLanguage, Table
from objectives import Fluency
from samplers import AdaptiveRejection, AdaptiveWeightedRejection, MetropolisHastings, ParticleGibbs
from samplers.proposals import FromLeft, SuffixResampling
from samplers.weights import LOG_WEIGHTS
from textsearch.batch import Batch
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Sampler

RESTART = "suffix MH, restart"
"""What all others are compared with: the published sampler in its simplest form."""

PARTICLES = 64
"""Of a population of weighted draws."""

SWEEP = 8
"""Of a sweep of particle Gibbs."""

SWEEPS = 4
"""Steps of other chains for one sweep: it reads more and comes further."""

INDEPENDENT = 100
"""Draws of adaptive rejection side by side."""


@final
@dataclass(frozen=True, eq=False)
class Setting:
    """A language for samplers to draw from.

    Attributes:
        lm: the model, or a table of it.
        prompt: what it reads first.
        constraint: the language.
        max_length: tokens of the longest text.
        power: of the model's law.
    """

    lm: Any
    prompt: str
    constraint: Objective
    max_length: int
    power: float = 1.0

    @property
    def objective(self) -> Objective:
        """The energy of p^power over the language."""
        return self.power * Fluency(self.lm, self.prompt) + self.constraint

    def suffix(self, cuts: str, free: float = 0.05) -> MetropolisHastings:
        """Suffixes under the mask, drawn from the tempered model where there is a power."""
        return MetropolisHastings(
            SuffixResampling(
                self.lm,
                self.prompt,
                temperature=1.0 / self.power,
                max_length=self.max_length,
                constraint=self.constraint,
                free=free,
                cuts=cuts,
            )
        )

    def masked(self) -> FromLeft:
        """Whole texts under the mask."""
        return FromLeft(
            self.lm,
            self.prompt,
            temperature=1.0 / self.power,
            max_length=self.max_length,
            constraint=self.constraint,
            free=0.0,
        )


def exact_samplers(setting: Setting, steps: int = SWEEPS) -> dict[str, tuple[Sampler[Any], int]]:
    """Kernels that leave the law of the language invariant, and how many of `steps` each takes."""
    gibbs = ParticleGibbs(
        setting.lm, setting.prompt, particles=SWEEP, power=setting.power, max_length=setting.max_length
    )
    return {
        RESTART: (setting.suffix("restart"), steps),
        "suffix MH, uniform cuts": (setting.suffix("uniform"), steps),
        "suffix MH, cuts by entropy": (setting.suffix("entropy"), steps),
        f"particle Gibbs, {SWEEP} particles": (gibbs, steps // SWEEPS),
    }


@torch.inference_mode()
def starts(setting: Setting, chains: int, seed: int, most: int = 2000) -> tuple[ChainState, float]:
    """Valid texts, one for each chain, drawn under the mask until one is valid; and the draws that a text took."""
    proposal, objective = setting.masked(), setting.objective
    rng = Rng.start(seed, chains, purpose="grammars methods 3")
    batch = Batch.of([[]] * chains, setting.lm.vocabulary)
    state = ChainState(batch, evaluate(objective, batch, wanted=torch.zeros(chains, dtype=torch.bool)))
    waiting, tries = torch.arange(chains), 0
    for attempt in range(most):
        if not len(waiting):
            break
        drawn, log_q = proposal.draw(state.batch.rows(waiting), rng.rows(waiting).at(attempt))
        found = ChainState(drawn, evaluate(objective, drawn, wanted=log_q < math.inf))
        tries += len(waiting)
        good = found.evaluation.energy < math.inf
        source = torch.zeros(chains, dtype=torch.int64)
        source[waiting] = torch.arange(len(waiting))
        taken = torch.zeros(chains, dtype=torch.bool)
        taken[waiting[good]] = True
        state = state.where(taken, found.rows(source))
        waiting = waiting[~good]
    if len(waiting):
        raise RuntimeError(f"{len(waiting)} of {chains} chains found no valid text in {most} draws under the mask")
    return state, tries / chains


@torch.inference_mode()
def tokens_a_step(setting: Setting, sampler: Sampler[Any], state: ChainState, seed: int, steps: int = 3) -> float:
    """Tokens that one chain by itself reads in a step on a table, on average over some chains that share nothing.

    What stands there when a step begins has been read; nothing older is remembered.
    """
    table: Table = setting.lm
    before, chains = table.usage.tokens, min(40, len(state.batch))
    for row in range(chains):
        own = sampler.init(setting.objective, state.batch.rows([row]))
        rng = Rng.start(seed, chains, purpose="grammars methods 4").rows([row])
        for step in range(steps):
            with table.remembering(own.batch):
                own, _ = sampler.step(setting.objective, own, rng.at(step))
    return (table.usage.tokens - before) / (chains * steps)


@torch.inference_mode()
def chain_texts(
    setting: Setting,
    sampler: Sampler[Any],
    state: ChainState,
    seed: int,
    looks: Sequence[int],
    look: Callable[[int, Batch, float], None],
) -> None:
    """Run chains from `state` to the last of the steps `looks`.

    After each of these hand over the step, the texts, and what a chain has read if all remember what any of them read.
    """
    rng = Rng.start(seed, len(state.batch), purpose="grammars methods 5")
    own, table = sampler.init(setting.objective, state.batch), setting.lm
    before = table.usage.tokens
    with table.remembering(own.batch):
        for step in range(looks[-1]):
            own, _ = sampler.step(setting.objective, own, rng.at(step))
            if step + 1 in looks:
                look(step + 1, own.batch, (table.usage.tokens - before) / len(own.batch))


@torch.inference_mode()
def independent_draws(
    setting: Setting, seed: int, looks: Sequence[int], look: Callable[[Sequence[str], float], None]
) -> None:
    """Draw by adaptive rejection, `INDEPENDENT` at a time.

    After each number of rounds in `looks` hand over all texts, and the tokens that each took, exploring among them.
    """
    sampler = AdaptiveRejection(setting.lm, setting.prompt, max_length=setting.max_length, power=setting.power)
    table, empty = setting.lm, Batch.of([[]] * INDEPENDENT, setting.lm.vocabulary)
    start = replace(empty, inputs=torch.zeros(INDEPENDENT, dtype=torch.int64))  # so that all share what is explored
    state, before = sampler.init(setting.objective, start), setting.lm.usage.tokens
    rng = Rng.start(seed, INDEPENDENT, purpose="grammars methods 6")
    texts: list[str] = []
    with table.remembering(start):
        for step in range(looks[-1]):
            state, info = sampler.step(setting.objective, state, rng.at(step))
            texts += state.batch.rows(info.accepted.nonzero().squeeze(-1)).texts()
            if step + 1 in looks:
                look(texts, (table.usage.tokens - before) / max(1, len(texts)))


@torch.inference_mode()
def weighted_draws(setting: Setting, populations: int, seed: int) -> tuple[Batch, Tensor, float]:
    """Particles of adaptive weighted rejection, their weights (B,) and the tokens that one of them took."""
    sampler = AdaptiveWeightedRejection(setting.lm, setting.prompt, power=setting.power, max_length=setting.max_length)
    count = populations * PARTICLES
    batch = replace(
        Batch.of([[]] * count, setting.lm.vocabulary), inputs=torch.arange(count, dtype=torch.int64) // PARTICLES
    )
    rng = Rng.of(seed, batch.inputs, purpose="grammars methods 7")
    state, info = sampler.step(setting.objective, sampler.init(setting.objective, batch), rng)
    log_weights = info.recorded[LOG_WEIGHTS]
    weights = (log_weights - log_weights.max()).exp() if bool((log_weights > -math.inf).any()) else log_weights.exp()
    return state.batch, weights, float(state.batch.lengths.double().mean())


@torch.inference_mode()
def rejection_tokens(setting: Setting, draws: int, seed: int) -> float:
    """Tokens of a text that rejection keeps: those of a draw without a mask, over the share that is kept.

    The share is that of the texts of the language, all of which the table knows.
    """
    proposal = FromLeft(setting.lm, setting.prompt, max_length=setting.max_length)
    table: Table = setting.lm
    before = table.usage.tokens
    proposal.draw(Batch.of([[]] * draws, table.vocabulary), Rng.start(seed, draws, purpose="grammars methods 8"))
    language: InLanguage = setting.constraint  # type: ignore[assignment]
    kept = float(proposal.log_prob(table.vocabulary.encode(language.strings)).exp().sum())
    return float((table.usage.tokens - before) / draws / kept)
