"""Languages that nobody can list, on the real model: valid share, tokens and seconds of a valid draw, KL of masking.

With w = p(x) / q(x) of the valid draws x of masked decoding, the law of these is KL = log E[w] - E[log w] away from the
exact one, as far as the draws tell: few draws see few of the heavy texts, so it is a lower bound rather than a value.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.grammars import methods
from textsearch.batch import Batch
from textsearch.objective import evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState

MASKED, CHAINS = "masked decoding", "suffix MH, uniform cuts"


@torch.inference_mode()
def masked(setting: methods.Setting, draws: int, seed: int) -> tuple[dict[str, Any], ChainState]:
    """Figures of masked decoding, and its valid texts."""
    own = replace(setting, lm=setting.lm.forgetful())
    began = time.perf_counter()
    batch, log_q = own.masked().draw(
        Batch.of([[]] * draws, own.lm.vocabulary), Rng.start(seed, draws, purpose="grammars infinite 1")
    )
    evaluation = evaluate(own.objective, batch, wanted=log_q < math.inf)
    seconds = time.perf_counter() - began
    valid = evaluation.energy < math.inf
    log_weights = (-evaluation.energy - log_q)[valid].numpy()
    found = figures(batch.rows(valid.nonzero().squeeze(-1)).texts(), draws, seconds, own.lm.usage.tokens)
    if len(log_weights) > 1:
        found["kl"] = float(np.logaddexp.reduce(log_weights) - math.log(len(log_weights)) - log_weights.mean())
    found["energy"] = float(evaluation.energy[valid].mean()) if bool(valid.any()) else None
    # texts that came to their end and that the truth refused: the mask was too wide, or their row is not canonical
    found["refused"] = int(((log_q < math.inf) & ~valid).sum())
    rows = valid.nonzero().squeeze(-1)
    return found, ChainState(batch.rows(rows), evaluation.rows(rows))


@torch.inference_mode()
def chains(setting: methods.Setting, begun: ChainState, draws: int, steps: int, seed: int) -> dict[str, Any]:
    """Figures of chains that go on from valid texts, one draw a chain."""
    own = replace(setting, lm=setting.lm.forgetful())
    sampler = own.suffix("uniform")
    rows = torch.arange(draws) % len(begun.batch)
    began = time.perf_counter()
    state = sampler.init(own.objective, replace(begun.batch.rows(rows), inputs=torch.zeros(draws, dtype=torch.int64)))
    rng, taken = Rng.start(seed, draws, purpose="grammars infinite 2"), 0.0
    for step in range(steps):
        state, info = sampler.step(own.objective, state, rng.at(step))
        taken += float(info.accepted.double().mean()) / steps
    texts = state.batch.texts()
    found = figures(texts, draws, time.perf_counter() - began, own.lm.usage.tokens)
    # the truth once more, from the text alone
    again = own.constraint.energy(own.lm.vocabulary.encode(texts))
    return found | {
        "valid": float((again < math.inf).double().mean()),
        "steps": steps,
        "accepted": taken,
        "energy": float(state.evaluation.energy.mean()),
    }


def figures(valid: list[str], draws: int, seconds: float, tokens: int) -> dict[str, Any]:
    """Of valid texts among draws."""
    return {
        "draws": draws,
        "valid": len(valid) / draws,
        "distinct": len(set(valid)) / len(valid) if valid else 0.0,
        "seconds_a_draw": seconds / len(valid) if valid else None,
        "tokens_a_draw": tokens / len(valid) if valid else None,
        "texts": valid[:8],
        "all": valid,
    }
