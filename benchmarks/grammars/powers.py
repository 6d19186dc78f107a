"""p^4: finite languages where it is known, and a long text of the real model, with what a move reads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.grammars import truth as finite
from benchmarks.grammars.languages import LANGUAGES
from benchmarks.grammars.tables import Truth
from objectives import Fluency
from samplers import MetropolisHastings, ParticleGibbs
from samplers.proposals import FromLeft, SuffixResampling
from textsearch.batch import Batch
from textsearch.models.causal import TransformersCausalLM
from textsearch.rng import Rng
from textsearch.sampler import Sampler

POWER = 4.0
TOYS = ("cities",)
REQUEST = "A farmer has 17 sheep and all but 9 run away. How many are left? Think step by step."


def toys(
    lm: TransformersCausalLM, *, chains: int, steps: int, populations: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Distances from p^4 over finite languages."""
    found = {}
    for language in LANGUAGES:
        if language.name in TOYS:
            known = Truth.of(language, lm, (1.0, 1.0 / POWER))
            found[language.name] = finite.records(
                known, chains=chains, steps=steps, populations=populations, power=POWER, seed=seed, tell=tell
            )
    return found


@torch.inference_mode()
def long_text(
    lm: TransformersCausalLM, *, tokens: int, chains: int, steps: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """What a move reads, with and without what was read before, on answers of up to so many tokens."""
    prompt = lm.ask(REQUEST)
    found = {}
    for name in ("suffix MH, uniform cuts", "suffix MH, restart", "particle Gibbs, 4 particles"):
        own = lm.forgetful()
        sampler = _sampler(name, own, prompt, tokens)
        objective = POWER * Fluency(own, prompt)
        rng = Rng.start(seed, chains, purpose="grammars powers 9")
        start, _ = FromLeft(own, prompt, temperature=1.0 / POWER, max_length=tokens).draw(
            Batch.of([[]] * chains, own.vocabulary), Rng.start(seed, chains, purpose="grammars powers 10")
        )
        state = sampler.init(objective, start)
        first = float(state.evaluation.energy.mean())
        began, read, reused, taken = time.perf_counter(), own.usage.tokens, own.usage.reused, 0.0
        for step in range(steps):
            state, info = sampler.step(objective, state, rng.at(step))
            taken += float(info.accepted.double().mean()) / steps
        read, reused = own.usage.tokens - read, own.usage.reused - reused
        found[name] = {
            "tokens_a_move": read / (chains * steps),
            "tokens_a_move_without_reuse": (read + reused) / (chains * steps),
            "seconds_a_move": (time.perf_counter() - began) / (chains * steps),
            "accepted": taken,
            "energy_at_start": first,
            "energy_at_end": float(state.evaluation.energy.mean()),
            "length": float(state.batch.lengths.double().mean()),
            "text": state.batch.texts()[0],
        }
        tell(f"{name}: {found[name]['tokens_a_move']:.1f} tokens a move")
    return found


def _sampler(name: str, lm: TransformersCausalLM, prompt: str, tokens: int) -> Sampler[Any]:
    """One of those that are compared."""
    if name.startswith("particle Gibbs"):
        return ParticleGibbs(lm, prompt, particles=4, power=POWER, max_length=tokens, ancestors=False)
    cuts = "restart" if name.endswith("restart") else "uniform"
    return MetropolisHastings(SuffixResampling(lm, prompt, temperature=1.0 / POWER, max_length=tokens, cuts=cuts))
