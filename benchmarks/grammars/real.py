"""The same languages on the real model, ours and the peers': seconds and tokens of a valid draw, and how good it is.

Ours draws many chains side by side, from a model that has read nothing; a draw is a text after as many steps as the
table of the language said that its law needs. Peers draw in a process of their own (`peers/`), with the same model
folder, prompts and languages. A particle counts by its weight: what is told is the effective number of draws.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.grammars import methods
from benchmarks.grammars.distances import exact_draws, shares, total_variation
from benchmarks.grammars.languages import Language
from benchmarks.grammars.peers import jobs
from benchmarks.grammars.tables import Truth
from benchmarks.grammars.truth import numbers_of
from objectives import Choices
from textsearch.batch import Batch
from textsearch.models.causal import TransformersCausalLM


def ours(
    truth: Truth, lm: TransformersCausalLM, steps: dict[str, int], *, chains: int, seed: int, only: Sequence[str] = ()
) -> dict[str, Any]:
    """Texts after `steps` of each sampler, begun under the mask; a fresh model for each, so that nothing is shared."""
    found: dict[str, Any] = {}
    for name, count in {"masked decoding": 0, **steps}.items():
        if only and not any(part in name for part in only):
            continue
        own = lm.forgetful()
        setting = methods.Setting(own, truth.prompt, Choices(truth.strings), truth.longest)
        began = time.perf_counter()
        state, _ = methods.starts(setting, chains, seed)
        if count:
            sampler = methods.exact_samplers(setting)[name]
            texts = methods.last_texts(setting, sampler, state, seed, count)
        else:
            texts = state.batch.texts()
        found[name] = summary(truth, texts, None, time.perf_counter() - began, own.usage.tokens, seed)
        found[name] |= {"steps": count, "reused": own.usage.reused}
    own = lm.forgetful()
    setting = methods.Setting(own, truth.prompt, Choices(truth.strings), truth.longest)
    began = time.perf_counter()
    texts, _ = methods.independent_draws(setting, chains, seed)
    found["adaptive rejection"] = summary(truth, texts, None, time.perf_counter() - began, own.usage.tokens, seed)
    return found


def summary(
    truth: Truth, texts: Sequence[str], weights: Sequence[float] | None, seconds: float, tokens: int, seed: int
) -> dict[str, Any]:
    """Figures of draws: valid share, effective draws, distance from the exact law, tokens and seconds of a draw."""
    numbers = numbers_of(truth, texts)
    worth = np.ones(len(texts)) if weights is None else np.asarray(weights, dtype=np.float64)
    valid = (numbers >= 0) & (worth > 0)
    inside = worth[valid]
    size = float(inside.sum() ** 2 / (inside**2).sum()) if len(inside) else 0.0
    law = shares(np.where(valid, numbers, -1), len(truth.law), worth)
    return {
        "draws": len(texts),
        "valid": float(valid.mean()) if len(texts) else 0.0,
        "effective": size,
        "tv": total_variation(law, truth.law) if len(inside) else None,
        "tv_of_exact": exact_draws(truth.law, max(1, round(size)), seed)["tv"],
        "seconds": seconds,
        "tokens": tokens,
        "seconds_a_draw": seconds / size if size else None,
        "tokens_a_draw": tokens / size if size else None,
        "texts": list(dict.fromkeys(texts))[:5],
    }


def asked_of_peers(
    language: Language, truth: Truth, *, draws: int, particles: int, seconds: float, seed: int
) -> list[jobs.Job]:
    """A job for each method of the peers."""
    return [
        jobs.Job(
            language.name,
            method,
            truth.prompt,
            {"regex": language.pattern},
            draws,
            particles,
            truth.longest + 1,
            seconds,
            seed,
        )
        for method in jobs.METHODS
    ]


def theirs(truth: Truth, lm: TransformersCausalLM, answer: jobs.Answer, seed: int) -> dict[str, Any]:
    """Figures of a peer's draws; texts in canonical rows only, so that their law is the one that is compared with."""
    if answer.error:
        return {"error": answer.error}
    rows = [list(draw.tokens) for draw in answer.draws]
    texts = lm.vocabulary.decode(Batch.of(rows, lm.vocabulary))
    own = [lm.vocabulary.encode([text]).token_lists()[0] if text else [] for text in texts]
    good = [draw.ended and row == again for draw, row, again in zip(answer.draws, rows, own, strict=True)]
    top = max((draw.log_weight for draw in answer.draws), default=0.0)
    weights = [
        math.exp(draw.log_weight - top) if fine and draw.log_weight > -math.inf else 0.0
        for draw, fine in zip(answer.draws, good, strict=True)
    ]
    spelt = [text if fine else "" for text, fine in zip(texts, good, strict=True)]
    found = summary(truth, spelt, weights, answer.seconds, answer.tokens, seed)
    inside = [draw.ended and text in truth.numbers for draw, text in zip(answer.draws, texts, strict=True)]
    found["not_canonical"] = float(np.mean([one and not fine for one, fine in zip(inside, good, strict=True)]))
    found["populations"] = len({draw.population for draw in answer.draws})
    found["compiling"] = answer.compiling
    found["valid"] = float(np.mean([a and d.log_weight > -math.inf for a, d in zip(inside, answer.draws, strict=True)]))
    found["texts"] = list(dict.fromkeys(texts))[:5]
    return found


def peers(
    python: Path, folder: Path, model: Path, asked: Sequence[jobs.Job], seconds: float, tell: Callable[[str], None]
) -> list[jobs.Answer]:
    """All jobs, in one process of the peers."""
    tell(f"{len(asked)} jobs for the peers, {seconds:g} s at most")
    return jobs.run(python, folder, model, asked, seconds)
