"""p^4 of a toy model all of whose texts are known: exact samplers, and the block rule with more and more moves."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.grammars.distances import divergence, noise, shares, total_variation
from objectives import Fluency, LengthBetween
from samplers import AdaptiveRejection, BlockPower, MetropolisHastings, ParticleGibbs, PowerTempering
from samplers.proposals import SuffixResampling
from textsearch.batch import Batch
from textsearch.rng import Rng
from textsearch.sampler import Sampler
from textsearch.testing import TableCausalLM, letters

POWER = 4.0
LETTERS, LONGEST = "abc", 6


@torch.inference_mode()
def records(*, chains: int, steps: int, seed: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Distances from p^4 of the texts at which chains stand after their last step, and seconds of a step.

    Args:
        chains: of samplers that move, from draws of the model's own law; a fifth of them of those that draw afresh.
        steps: of samplers that move; the others take one.
        seed: of the chains; the model is always the same.
        tell: is told what is done.
    """
    lm = _model()
    rows = [list(row) for size in range(LONGEST + 1) for row in itertools.product((1, 2, 3), repeat=size)]
    numbers = {tuple(row): number for number, row in enumerate(rows)}
    log_p = lm.score(Batch.of(rows, lm.vocabulary)).log_prob
    law = (POWER * (log_p - log_p.max())).exp().numpy()
    law = law / law.sum()
    plain = log_p.exp().numpy()
    begun = np.random.default_rng(seed).choice(len(rows), size=chains, p=plain / plain.sum())
    objective = POWER * Fluency(lm) + LengthBetween(0, LONGEST)
    found: dict[str, Any] = {}
    for name, sampler, own in _samplers(lm, steps):
        moves = own > 1
        start = [rows[number] for number in begun[: chains if moves else chains // 5]]
        state = sampler.init(objective, Batch.of(start, lm.vocabulary))
        rng = Rng.start(seed, len(start), purpose="grammars every text 1")
        drawn = torch.full((len(start),), moves)
        began, read = time.perf_counter(), lm.usage.tokens
        for step in range(own):
            state, info = sampler.step(objective, state, rng.at(step))
            drawn |= info.accepted
        texts = state.batch.rows(drawn.nonzero().squeeze(-1)).token_lists()
        count = len(texts)
        part = shares([numbers[tuple(row)] for row in texts], len(law))
        found[name] = {
            "guarantee": str(sampler.guarantee),
            "steps": own,
            "draws": count,
            "tv": total_variation(part, law),
            "excess": total_variation(part, law) - noise(law, count),
            "kl": divergence(part, law),
            "tokens_a_step": (lm.usage.tokens - read) / len(start) / own,
            "seconds": time.perf_counter() - began,
        }
        tell(f"every text, {name}: {found[name]['excess']:.3f} above chance after {own} steps")
    return {"texts": len(law), "effective": float(np.exp(-(law * np.log(law)).sum())), "methods": found}


def _model() -> TableCausalLM:
    """Random conditionals; texts seldom end at once, and hardly ever go on after their fifth token."""
    lm = TableCausalLM.random(letters(LETTERS), seed=3, scale=0.5)
    by_place = lm.by_place.clone()
    by_place[:3, lm.eos] -= 1.5
    by_place[4:, lm.eos] += 3.0
    return replace(lm, by_place=by_place)


def _samplers(lm: TableCausalLM, steps: int) -> list[tuple[str, Sampler[Any], int]]:
    """Names, samplers, and how many steps each takes."""

    def suffix(power: float) -> MetropolisHastings:
        return MetropolisHastings(SuffixResampling(lm, temperature=1 / power, max_length=LONGEST))

    ladder = tuple(suffix(power) for power in (4.0, 2.0, 1.0))
    blocks = [
        (f"block rule, {moves} moves a block", BlockPower(lm, power=POWER, block=2, moves=moves, max_length=LONGEST), 1)
        for moves in (0, 2, 10, 50)
    ]
    return [
        ("suffix MH", suffix(POWER), steps),
        ("suffix MH, written at power 1", suffix(1.0), steps),
        ("tempering over powers 4, 2, 1", PowerTempering(ladder, (1.0, 0.5, 0.25)), steps),
        ("particle Gibbs, 8 particles", ParticleGibbs(lm, particles=8, power=POWER, max_length=LONGEST), steps // 8),
        ("adaptive rejection", AdaptiveRejection(lm, power=POWER, max_length=LONGEST), 1),
        *blocks,
    ]
