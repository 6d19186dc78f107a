"""What the draws of a job are worth: valid share, effective number, distance from the exact law, seconds and tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.grammars.distances import noise, shares, total_variation
from benchmarks.grammars.peers.jobs import CHAINS, OURS, REJECTION, THEIRS, Drawn
from benchmarks.grammars.report import table_of
from benchmarks.grammars.tables import Truth
from textsearch.batch import Batch
from textsearch.result.diagnostics import statistics

Rows = Mapping[tuple[str, ...], Mapping[str, Any]]


def record(truth: Truth, vocabulary: Any, method: str, found: Drawn) -> dict[str, Any]:
    """The figures of a job.

    A draw is valid if its end was drawn, its text is of the language and its weight is not 0. The distance is that of
    the texts in canonical rows, for that is the law that is known: peers draw other spellings of a text, too.
    """
    draws = found.draws
    texts = vocabulary.decode(Batch.of([list(draw.tokens) for draw in draws], vocabulary)) if draws else []
    own = vocabulary.encode(texts).token_lists() if draws else []
    inside = np.array([text in truth.numbers for text in texts], dtype=bool)
    alive = np.array([draw.ended and draw.log_weight > -math.inf for draw in draws], dtype=bool)
    canonical = np.array([list(draw.tokens) == row for draw, row in zip(draws, own, strict=True)], dtype=bool)
    valid = inside & alive
    numbers = np.array([truth.numbers.get(text, -1) for text in texts], dtype=np.int64)
    log_weights = np.array([draw.log_weight for draw in draws], dtype=np.float64)
    weights = np.where(valid, np.exp(log_weights - log_weights[valid].max(initial=-math.inf)), 0.0)
    size = effective(method, truth, [draw.group for draw in draws], numbers, weights)
    law = shares(np.where(valid & canonical, numbers, -1), len(truth.law), weights)
    return {
        "draws": len(draws),
        "valid": float(valid.mean()) if len(draws) else 0.0,
        "canonical": float(canonical[valid].mean()) if valid.any() else 0.0,
        "effective": size,
        "tv": total_variation(law, truth.law) if (valid & canonical).any() else None,
        "chance": noise(truth.law, max(size, 1.0)),
        "compiling": found.compiling,
        "first": found.first,
        "seconds": found.seconds,
        "read": found.read,
        **({"stopped": found.trouble} if found.trouble else {}),
        "texts": list(dict.fromkeys(text for text, good in zip(texts, valid, strict=True) if good))[:5],
    }


def effective(
    method: str, truth: Truth, groups: Sequence[int], numbers: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """How many independent draws those of a method are worth: chains by the autocorrelation of log p, others by Kish.

    Relatives of a population count as strangers, so that populations are worth less than this. A quarter of a chain is
    its warm-up.
    """
    if not weights.any():
        return 0.0
    if method != CHAINS:
        return float(weights.sum() ** 2 / (weights**2).sum())
    steps = max(groups) + 1
    energies = truth.log_probs[numbers].reshape(steps, -1).T
    kept = energies[:, steps // 4 :]
    size = statistics(kept).ess_bulk if kept.shape[1] >= 4 else kept.shape[0]
    return float(min(size, kept.size))


def tables(languages: Sequence[str], known: Rows) -> list[Table]:
    """Every job; then ours beside the best of the peers."""
    every = table_of(
        "ours and the peers on the model itself", "language", "method", "guarantee", "draws", "valid", "canonical",
        "effective", "compiling, s", "seconds", "s an effective draw", "tokens", "TV", "by chance", ""
    )  # fmt: skip
    best = table_of("effective draws a second", "language", *OURS, *THEIRS, "adaptive rejection over the best peer")
    for language in languages:
        rates: dict[str, float] = {}
        for method, guarantee in (OURS | THEIRS).items():
            row = known.get((language, method))
            if row is None:
                continue
            size = row["effective"]
            rates[method] = size / row["seconds"] if row["seconds"] else 0.0
            every.add_row(
                language, method, guarantee, str(row["draws"]), f"{row['valid']:.2f}", f"{row['canonical']:.2f}",
                f"{size:.1f}", f"{row['compiling']:.1f}", f"{row['seconds']:.1f}",
                f"{row['seconds'] / size:.4f}" if size else "", f"{row['read'] / size:.1f}" if size else "",
                "" if row["tv"] is None else f"{row['tv']:.3f}", f"{row['chance']:.3f}", row.get("stopped", "")[:40],
            )  # fmt: skip
        rival = max((rates.get(name, 0.0) for name, law in THEIRS.items() if law != "biased"), default=0.0)
        gain = f"{rates[REJECTION] / rival:.1f} x" if rival and REJECTION in rates else ""
        best.add_row(language, *(f"{rates[m]:.2f}" if m in rates else "" for m in (*OURS, *THEIRS)), gain)
    best.caption = "of the peers those that are consistent; draws of masks are valid, and of another law"
    return [every, best]
