"""Finite languages: how far each way of drawing is from the exact law, against the tokens that a draw took.

Samplers run on tables of the real model (`tables.py`): real code, real numbers, and chains enough to see a small
distance. A point is the law of all chains after some steps; the tokens are those that one chain by itself reads, which
began with a draw under the mask. Weighted draws of populations are counted by their weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.grammars import methods
from benchmarks.grammars.distances import divergence, exact_draws, noise, shares, total_variation
from benchmarks.grammars.tables import Truth
from textsearch.batch import Batch

REJECTION = "adaptive rejection"

GOAL = 0.02
"""The distance in law that every exact sampler should come to, above what as many exact draws have by chance."""

ROUNDS = (1, 2, 5, 10, 20, 40)
"""Of adaptive rejection, after which distances are told: the more draws share what was explored, the fewer tokens."""


def numbers_of(truth: Truth, texts: Sequence[str]) -> NDArray[np.int64]:
    """The number of each text among the strings; -1 for others."""
    return np.array([truth.numbers.get(text, -1) for text in texts], dtype=np.int64)


def point(
    truth: Truth, law: NDArray[np.float64], texts: Sequence[str], steps: int, tokens: float, shared: float
) -> dict[str, float]:
    """How far draws of texts are from a law; and the tokens of one, by itself and among all that remember together."""
    numbers = numbers_of(truth, texts)
    own, count = shares(numbers, len(law)), int((numbers >= 0).sum())
    distance = total_variation(own, law) if count else 1.0
    return {
        "steps": steps,
        "tokens": tokens,
        "shared": shared,
        "draws": count,
        "tv": distance,
        "excess": distance - noise(law, max(count, 1)),
        "kl": divergence(own, law) if count else math.inf,
    }


def records(
    truth: Truth, *, chains: int, steps: int, populations: int, power: float, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """The points of every method on one language, and what exact draws would have."""
    law, table = truth.power(power), truth.table
    setting = methods.Setting(table, truth.prompt, truth.constraint, truth.longest, power)
    with table.remembering(Batch.of([[]], table.vocabulary)):
        before = table.usage.tokens
        state, tries = methods.starts(setting, chains, seed)
        begun_shared = (table.usage.tokens - before) / chains
    begun = table.usual * tries
    found: dict[str, Any] = {}
    masked = truth.masked_law
    if power == 1.0:
        inside = masked[:-1] / masked[:-1].sum()
        found["masked decoding"] = {
            "guarantee": "biased",
            "tv": float(total_variation(masked, np.append(law, 0.0))),
            "tv_of_canonical": total_variation(inside, law),
            "kl_of_canonical": divergence(inside, law),
            "not_canonical": float(masked[-1]),
            "points": [point(truth, law, state.batch.texts(), 0, begun, begun_shared)],
        }
        price = methods.rejection_tokens(setting, chains, seed)
        # its draws are the law itself
        found["rejection"] = {"guarantee": "exact", "points": [_exactly(price)]}
    for name, (sampler, own) in methods.exact_samplers(setting, steps).items():
        price = methods.tokens_a_step(setting, sampler, state, seed)
        points: list[dict[str, float]] = []

        def look(
            step: int, batch: Batch, shared: float, points: list[dict[str, float]] = points, price: float = price
        ) -> None:
            points.append(point(truth, law, batch.texts(), step, begun + step * price, begun_shared + shared))

        methods.chain_texts(setting, sampler, state, seed, looks(own), look)
        found[name] = {"guarantee": str(sampler.guarantee), "tokens_a_step": price, "points": points}
        tell(f"{truth.name}, {name}: {points[-1]['excess']:+.3f} after {own} steps, {price:.1f} tokens a step")
    drawn: list[dict[str, float]] = []
    methods.independent_draws(
        setting,
        seed,
        [rounds for rounds in ROUNDS if rounds * methods.INDEPENDENT <= chains],
        lambda texts, price: drawn.append(point(truth, law, texts, 1, price, price)),
    )
    found[REJECTION] = {"guarantee": "exact", "points": drawn}
    tell(f"{truth.name}, {REJECTION}: {drawn[-1]['excess']:+.3f}, {drawn[-1]['tokens']:.1f} tokens a draw")
    batch, weights, tokens = methods.weighted_draws(setting, populations, seed)
    found[f"weighted rejection, {methods.PARTICLES} particles"] = {
        "guarantee": "consistent",
        "points": [weighted(truth, law, batch, weights.numpy(), tokens)],
    }
    return {
        "strings": len(truth.strings),
        "log_mass": truth.log_mass,
        "perplexity": float(np.exp(-(law[law > 0] * np.log(law[law > 0])).sum())),
        "tokens": table.usual,
        "tokens_read": truth.tokens_read,
        "chains": chains,
        "noise": noise(law, chains),
        "exact_10000": exact_draws(law, 10_000, seed),
        "methods": found,
    }


def _exactly(tokens: float) -> dict[str, float]:
    """The point of independent draws from the law."""
    return {"steps": 1, "tokens": tokens, "shared": tokens, "tv": 0.0, "excess": 0.0, "kl": 0.0}


def weighted(
    truth: Truth, law: NDArray[np.float64], batch: Batch, weights: NDArray[np.float64], tokens: float
) -> dict[str, float]:
    """As `point`, of weighted draws; the distance of the law of one draw picked from a population by its weight."""
    numbers = numbers_of(truth, batch.texts())
    table = weights.reshape(-1, methods.PARTICLES)
    sums = table.sum(1, keepdims=True)
    picked = shares(numbers, len(law), (table / np.where(sums > 0, sums, 1.0)).ravel())
    pooled = shares(numbers, len(law), weights)
    size = float(weights.sum() ** 2 / max((weights**2).sum(), 1e-300))
    return {
        "steps": 1,
        "tokens": tokens,
        "shared": tokens,
        "draws": size,
        "tv": total_variation(pooled, law),
        "tv_of_one_picked": total_variation(picked, law),
        "excess": total_variation(pooled, law) - noise(law, max(size, 1.0)),
        "kl": divergence(pooled, law),
        "dead": float((sums == 0).mean()),
    }


def looks(steps: int) -> list[int]:
    """Steps after which distances are told: all of the first four, then 30 % apart, and the last.

    >>> looks(12)
    [1, 2, 3, 4, 6, 8, 11, 12]
    """
    found, at = [], 1
    while at < steps:
        found.append(at)
        at = at + 1 if at < 4 else math.ceil(1.3 * at + 1e-9)
    return [*found, steps]


def merged(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The runs of several seeds as one: means, and of each excess its 95 % interval by Student's t over the seeds.

    >>> one, other = ({"methods": {"a": {"points": [{"tokens": 1.0, "excess": x}]}}} for x in (0.1, 0.3))
    >>> [point] = merged([one, other])["methods"]["a"]["points"]
    >>> round(point["excess"], 3), round(point["excess_low"], 3), round(point["excess_high"], 3)
    (0.2, -1.071, 1.471)
    """
    found: dict[str, Any] = dict(runs[0])
    wide = float(stats.t.ppf(0.975, len(runs) - 1)) / math.sqrt(len(runs)) if len(runs) > 1 else math.nan
    found["methods"] = {}
    for name, first in runs[0]["methods"].items():
        points = []
        for own in zip(*(run["methods"][name]["points"] for run in runs), strict=True):
            one = {key: float(np.mean([each[key] for each in own])) for key in own[0]}
            half = wide * float(np.std([each["excess"] for each in own], ddof=1)) if len(runs) > 1 else math.nan
            points.append(one | {"excess_low": one["excess"] - half, "excess_high": one["excess"] + half})
        found["methods"][name] = {**first, "points": points}
    return found


def goal(points: Sequence[Mapping[str, float]], price: str = "tokens") -> float | None:
    """Tokens (or `price="shared"`) of the first point from which on all are within the goal; None if there is none."""
    met = None
    for one in points:
        if one["excess"] >= GOAL:
            met = None
        elif met is None:
            met = one[price]
    return met
