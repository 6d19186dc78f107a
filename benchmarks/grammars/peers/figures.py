"""What the draws of a job are worth: valid share, effective number, distance from the exact law, seconds and tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.grammars.distances import noise, shares, total_variation, worth
from benchmarks.grammars.peers.jobs import CHAINS, OURS, THEIRS, Drawn
from benchmarks.grammars.report import table_of
from benchmarks.grammars.tables import Truth
from textsearch.batch import Batch
from textsearch.result.diagnostics import statistics

Rows = Mapping[tuple[str, ...], Mapping[str, Any]]


def record(truth: Truth, vocabulary: Any, method: str, found: Drawn) -> dict[str, Any]:
    """The figures of a job.

    A draw is valid if its end was drawn, its text is of the language and its weight is not 0. Distance and worth are
    those of the texts in canonical rows, for that is the law that is known: peers draw other spellings of a text, too.
    `effective` is what the draws say of themselves; `worth` is how many exact draws are as far from the law.
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
        "worth": worth(law, truth.law) if (valid & canonical).any() else 0.0,
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
        "effective", "worth", "compiling, s", "first, s", "seconds", "tokens", "TV", ""
    )  # fmt: skip
    rates: dict[str, Callable[[Mapping[str, Any]], float]] = {
        "valid draws a second": lambda row: row["valid"] * row["draws"],
        "exact draws a second that they are worth": lambda row: row["worth"],
    }
    best = {
        title: table_of(title, "language", *OURS, *THEIRS, "best exact of ours over best consistent peer")
        for title in rates
    }
    for language in languages:
        rows = {method: known[language, method] for method in OURS | THEIRS if (language, method) in known}
        for method, row in rows.items():
            every.add_row(
                language, method, (OURS | THEIRS)[method], str(row["draws"]), f"{row['valid']:.2f}",
                f"{row['canonical']:.2f}", f"{row['effective']:.1f}", f"{row['worth']:.1f}", f"{row['compiling']:.1f}",
                f"{row['first']:.1f}", f"{row['seconds']:.1f}", f"{row['read'] / max(1, row['draws']):.1f}",
                "" if row["tv"] is None else f"{row['tv']:.3f}", row.get("stopped", "")[:40],
            )  # fmt: skip
        for title, rate in rates.items():
            found = {method: rate(row) / row["seconds"] if row["seconds"] else 0.0 for method, row in rows.items()}
            own = max((found.get(method, 0.0) for method, law in OURS.items() if law == "exact"), default=0.0)
            rival = max((found.get(method, 0.0) for method, law in THEIRS.items() if law != "biased"), default=0.0)
            cells = (f"{found[method]:.2f}" if method in found else "" for method in (*OURS, *THEIRS))
            best[title].add_row(language, *cells, f"{own / rival:.1f} x" if rival else "")
    return [every, *best.values()]
