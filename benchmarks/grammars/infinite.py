"""Languages that nobody can list, on the real model: each method under one limit, by its valid texts and their cost.

Every method wants a few valid draws and may try a few texts for each. With w = p(x) / q(x) of the valid draws x of
masked decoding, the law of these is KL = log E[w] - E[log w] away from the exact one, as far as the draws tell: few
draws see few of the heavy texts, so it is a lower bound rather than a value.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from benchmarks.grammars import methods
from benchmarks.grammars.rows import OverTimeError, within
from samplers import AdaptiveRejection, AdaptiveWeightedRejection
from samplers.weights import LOG_WEIGHTS
from textsearch.batch import Batch
from textsearch.objective import evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState

MASKED, CHAINS = "masked decoding", "suffix MH, uniform cuts"
REJECTION, WEIGHTED = "adaptive rejection", "weighted rejection (AWRS)"


ATTEMPTS = 32
"""Attempts of adaptive rejection that count as one try: most end at their first token, which has been read before."""


@final
@dataclass(frozen=True)
class Effort:
    """What a method may take for one language.

    Attributes:
        draws: that are wanted, and rows that are written side by side.
        tries: texts that may be written for each of them.
        steps: moves of a chain.
        seconds: of processor time, in case all that is not limit enough.
    """

    draws: int
    tries: int
    steps: int
    seconds: float


def _masked_texts(setting: methods.Setting, effort: Effort, seed: int) -> tuple[ChainState, Tensor, dict[str, int]]:
    """Valid texts of masked decoding, as many as are wanted if there are; (K,) their log q; and what became of all."""
    parts: list[tuple[ChainState, Tensor]] = []
    count = {"written": 0, "without end": 0, "refused": 0}
    for attempt in range(effort.tries):
        batch, log_q = setting.masked().draw(
            Batch.of([[]] * effort.draws, setting.lm.vocabulary),
            Rng.start(seed, effort.draws, purpose="grammars infinite 1").at(attempt),
        )
        evaluation = evaluate(setting.objective, batch, wanted=log_q < math.inf)
        valid = evaluation.energy < math.inf
        count["written"] += effort.draws
        count["without end"] += int((log_q == math.inf).sum())
        # texts at their end that the truth refused: the mask was too wide, or their row is not canonical
        count["refused"] += int(((log_q < math.inf) & ~valid).sum())
        rows = valid.nonzero().squeeze(-1)
        parts.append((ChainState(batch.rows(rows), evaluation.rows(rows)), log_q[rows]))
        if sum(len(log) for _, log in parts) >= effort.draws:
            break
    some = [one for one in parts if len(one[1])]
    if not some:
        return *parts[0], count
    joined = ChainState(
        Batch.of([row for state, _ in some for row in state.batch.token_lists()], setting.lm.vocabulary),
        replace(
            some[0][0].evaluation,
            energy=torch.cat([state.evaluation.energy for state, _ in some]),
            terms=torch.cat([state.evaluation.terms for state, _ in some]),
        ),
    )
    return joined, torch.cat([log for _, log in some]), count


def masked(setting: methods.Setting, effort: Effort, seed: int) -> tuple[list[str], dict[str, Any]]:
    """Token by token under the mask."""
    state, log_q, count = _masked_texts(setting, effort, seed)
    found: dict[str, Any] = dict(count)
    log_weights = (-state.evaluation.energy - log_q).numpy()
    if len(log_weights) > 1:
        found["kl"] = float(np.logaddexp.reduce(log_weights) - math.log(len(log_weights)) - log_weights.mean())
    return state.batch.texts(), found


def chains(setting: methods.Setting, effort: Effort, seed: int) -> tuple[list[str], dict[str, Any]]:
    """Chains from valid texts of masked decoding, whose cost is counted, one draw a chain."""
    begun, _, count = _masked_texts(setting, effort, seed)
    if not len(begun.batch):
        return [], count
    sampler = setting.suffix("uniform")
    rows = torch.arange(effort.draws) % len(begun.batch)
    batch = replace(begun.batch.rows(rows), inputs=torch.zeros(effort.draws, dtype=torch.int64))
    state = sampler.init(setting.objective, batch)
    rng, taken = Rng.start(seed, effort.draws, purpose="grammars infinite 2"), 0.0
    for step in range(effort.steps):
        state, info = sampler.step(setting.objective, state, rng.at(step))
        taken += float(info.accepted.double().mean()) / effort.steps
    return state.batch.texts(), {**count, "accepted": taken}


def rejection(setting: methods.Setting, effort: Effort, seed: int) -> tuple[list[str], dict[str, Any]]:
    """Independent draws, the exploring among the tries of all."""
    sampler = AdaptiveRejection(
        setting.lm,
        setting.prompt,
        max_length=setting.max_length,
        power=setting.power,
        max_attempts=ATTEMPTS * effort.tries,
    )
    start = _of_one_input(effort.draws, setting)
    state, info = sampler.step(
        setting.objective,
        sampler.init(setting.objective, start),
        Rng.start(seed, effort.draws, purpose="grammars infinite 3"),
    )
    texts = state.batch.rows(info.accepted.nonzero().squeeze(-1)).texts()
    return texts, {"written": int(info.recorded["attempts"].sum())}


def weighted(setting: methods.Setting, effort: Effort, seed: int) -> tuple[list[str], dict[str, Any]]:
    """One population of as many particles as draws are wanted, again as often as none is alive."""
    sampler = AdaptiveWeightedRejection(setting.lm, setting.prompt, power=setting.power, max_length=setting.max_length)
    state = sampler.init(setting.objective, _of_one_input(effort.draws, setting))
    for attempt in range(effort.tries):
        rng = Rng.start(seed, effort.draws, purpose="grammars infinite 4").at(attempt)
        state, info = sampler.step(setting.objective, state, rng)
        alive = (info.recorded[LOG_WEIGHTS] > -math.inf).nonzero().squeeze(-1)
        if len(alive):
            effective = float(info.recorded["effective sample size"][0])
            found = {"written": (attempt + 1) * effort.draws, "effective": effective}
            return state.batch.rows(alive).texts(), found
    return [], {"written": effort.tries * effort.draws}


def _of_one_input(count: int, setting: methods.Setting) -> Batch:
    """Empty texts for one input."""
    batch = Batch.of([[]] * count, setting.lm.vocabulary)
    return replace(batch, inputs=torch.zeros(count, dtype=torch.int64))


METHODS: dict[str, Callable[[methods.Setting, Effort, int], tuple[list[str], dict[str, Any]]]] = {
    MASKED: masked,
    CHAINS: chains,
    REJECTION: rejection,
    WEIGHTED: weighted,
}
"""What is compared; each gives valid texts, and what else there is to say."""


@torch.inference_mode()
def record(method: str, setting: methods.Setting, effort: Effort, seed: int) -> dict[str, Any]:
    """The figures of a method on one language; with "error" or "stopped" if it came to no end."""
    own = replace(setting, lm=setting.lm.forgetful())
    texts: list[str] = []
    found: dict[str, Any] = {}
    began = time.process_time()
    try:
        with within(effort.seconds):
            texts, found = METHODS[method](own, effort, seed)
    except TimeoutError as error:
        # a search for an expression that explodes
        found = {"error": str(error)}
    except OverTimeError as error:
        found = {"stopped": str(error)}
    seconds = time.process_time() - began
    # the truth once more, from the text alone
    good = [text for text in texts if bool(own.constraint.energy(own.lm.vocabulary.encode([text])) < math.inf)]
    return {
        "texts": texts,
        "valid": len(good),
        "distinct": len(set(good)),
        "seconds": seconds,
        "tokens": own.lm.usage.tokens,
        **found,
    }
