"""p^4 of an answer of the real model: what a move reads, with and without reuse, and how far chains come for so much.

Chains begin with draws of the model itself, p^1, that come to an end, the same for all methods. Each method takes moves
until it has read its tokens. The law is not known: what is told is where chains stand, and how many moves were taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.intervals import interval, mean_of
from objectives import Fluency
from samplers import AdaptiveWeightedRejection, BlockPower, MetropolisHastings, ParticleGibbs, PowerTempering
from samplers.proposals import FromLeft, SuffixResampling
from samplers.weights import LOG_WEIGHTS
from textsearch.batch import Batch
from textsearch.models.causal import TransformersCausalLM
from textsearch.objective import evaluate
from textsearch.rng import Rng
from textsearch.sampler import Sampler

POWER = 4.0
REQUEST = "In two sentences, why is the sky blue?"
BLOCK = 16


@torch.inference_mode()
def records(
    lm: TransformersCausalLM, *, longest: int, chains: int, budget: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Every method from the same texts, with as many tokens.

    Args:
        lm: the model.
        longest: tokens of a text.
        chains: side by side; the particles of a population.
        budget: tokens of a chain: no move begins once they are read, and there is one at least.
        seed: of starts and chains.
        tell: is told what is done.
    """
    prompt = lm.ask(REQUEST)
    start = _starts(lm, prompt, longest, chains, seed)
    first = float(POWER * evaluate(Fluency(lm, prompt), start).energy.mean())
    found: dict[str, Any] = {}
    for name, own, sampler in _samplers(lm, prompt, longest):
        objective = POWER * Fluency(own, prompt)
        rng = Rng.start(seed, chains, purpose="grammars long text 2")
        state = sampler.init(objective, start)
        read, reused, began = own.usage.tokens, own.usage.reused, time.process_time()
        steps, taken = 0, 0.0
        while not steps or own.usage.tokens - read < budget * chains:
            state, info = sampler.step(objective, state, rng.at(steps))
            taken += float(info.accepted.double().mean())
            steps += 1
        seconds = time.process_time() - began
        read, reused = own.usage.tokens - read, own.usage.reused - reused
        # the particles of a population count by their weights
        shares = info.recorded.get(LOG_WEIGHTS, torch.zeros(chains)).softmax(0).numpy()
        energies = state.evaluation.energy.numpy()
        kept = shares > 0
        _, low, high = interval(chains, mean_of(energies), seed) if kept.all() else (0.0, math.nan, math.nan)
        found[name] = {
            "guarantee": str(sampler.guarantee),
            "moves": steps,
            "tokens_a_move": read / (chains * steps),
            "tokens_a_move_without_reuse": (read + reused) / (chains * steps),
            "seconds_a_move": seconds / (chains * steps),
            "accepted": taken / steps,
            "energy_at_start": first,
            "energy_at_end": float(shares[kept] @ energies[kept]),
            "low": low,
            "high": high,
            "length": float(shares @ state.batch.lengths.double().numpy()),
            "text": state.batch.texts()[int(energies.argmin())],
        }
        tell(f"{name}: {read / chains:.0f} tokens a chain, {found[name]['energy_at_end']:.0f} nats")
    return found


def _starts(lm: TransformersCausalLM, prompt: str, longest: int, chains: int, seed: int) -> Batch:
    """Draws of the model that come to their end within `longest` tokens."""
    proposal, found = FromLeft(lm, prompt, max_length=longest), list[list[int]]()
    rng, attempt = Rng.start(seed, chains, purpose="grammars long text 1"), 0
    while len(found) < chains:
        drawn, log_q = proposal.draw(Batch.of([[]] * chains, lm.vocabulary), rng.at(attempt))
        found += drawn.rows((log_q < math.inf).nonzero().squeeze(-1)).token_lists()
        attempt += 1
    return Batch.of(found[:chains], lm.vocabulary)


def _samplers(
    lm: TransformersCausalLM, prompt: str, longest: int
) -> Iterator[tuple[str, TransformersCausalLM, Sampler[Any]]]:
    """Names, models of their own that have read nothing yet, and samplers."""

    def suffix(own: TransformersCausalLM, power: float, cuts: str = "uniform") -> MetropolisHastings:
        return MetropolisHastings(SuffixResampling(own, prompt, temperature=1 / power, max_length=longest, cuts=cuts))

    def each() -> Iterator[tuple[str, Callable[[TransformersCausalLM], Sampler[Any]]]]:
        yield "suffix MH, restart", lambda own: suffix(own, POWER, "restart")
        yield "suffix MH, uniform cuts", lambda own: suffix(own, POWER)
        yield "suffix MH, cuts by entropy", lambda own: suffix(own, POWER, "entropy")
        rungs = (4.0, 2.0, 1.0)
        yield (
            "tempering over powers 4, 2, 1",
            lambda own: PowerTempering(
                tuple(suffix(own, power) for power in rungs), tuple(power / POWER for power in rungs)
            ),
        )
        yield (
            "particle Gibbs, 4 particles",
            lambda own: ParticleGibbs(own, prompt, particles=4, power=POWER, max_length=longest),
        )
        yield (
            "weighted SMC, one population",
            lambda own: AdaptiveWeightedRejection(own, prompt, power=POWER, max_length=longest),
        )
        yield (
            "block rule, 10 moves a block",
            lambda own: BlockPower(own, prompt, power=POWER, block=BLOCK, moves=10, max_length=longest),
        )

    for name, make in each():
        own = lm.forgetful()
        yield name, own, make(own)
