"""A run in numbers, of the events of its steps: traces, moves, and how far the chains agree as they grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from textsearch.result.diagnostics import distinct_n, statistics, unique_rate

_POINTS: Final = 16
_FEWEST: Final = 8  # steps, of which the second half counts


def brief(event: dict[str, Any]) -> dict[str, Any]:
    """A step without its texts: what charts are drawn of.

    Attributes of the answer: step, search, seconds and tokens so far; of each chain energy, lowest energy so far,
    length, whether the proposal was accepted and the kind of move; of all texts the share that differ, and distinct-2.
    """
    chains = event["chains"]
    texts = [chain["text"] for chain in chains]
    distinct = distinct_n(texts, 2)
    return {
        "step": event["step"],
        "steps": event["steps"],
        "search": event["search"],
        "seconds": event["seconds"],
        "tokens": event["tokens"],
        "energies": [chain["energy"] for chain in chains],
        "best": [chain["best_energy"] for chain in chains],
        "lengths": [chain["length"] for chain in chains],
        "accepted": [chain["accepted"] for chain in chains],
        "moves": [chain["move"] for chain in chains],
        "unique": unique_rate(texts),
        "distinct": None if distinct != distinct else distinct,
    }


def acceptance(events: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Kind of move -> how often it was proposed and accepted."""
    proposed: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    for event in events:
        for chain in event["chains"]:
            proposed[chain["move"]] += 1
            accepted[chain["move"]] += chain["accepted"]
    return {kind: {"proposed": count, "accepted": accepted[kind]} for kind, count in proposed.items()}


def convergence(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """R-hat and effective draws of the energies, of the second half of the steps so far, at some moments of the run.

    Only of the last search, and of finite energies: others say why there is nothing.

    Raises:
        ImportError: ArviZ is not installed.
    """
    if not events:
        return {"points": [], "why": "no step yet"}
    own = [event for event in events if event["search"] == events[-1]["search"]]
    if len(own[0]["chains"]) < 2:
        return {"points": [], "why": "one chain has no other to be compared with"}
    if len(own) < _FEWEST:
        return {"points": [], "why": f"after {_FEWEST} steps"}
    energies = np.array([[_plain(chain["energy"]) for chain in event["chains"]] for event in own])
    points = []
    for end in np.unique(np.linspace(_FEWEST, len(own), _POINTS).astype(int)).tolist():
        draws = energies[end // 2 : end]
        if not np.isfinite(draws).all():
            continue
        found = statistics(draws.T)
        points.append(
            {
                "step": own[end - 1]["step"],
                "r_hat": found.r_hat if np.isfinite(found.r_hat) else None,
                "ess": found.ess_bulk if np.isfinite(found.ess_bulk) else None,
            }
        )
    return {"points": points, "why": ""}


def table(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The chains after a step as flat rows: of a table, or of a file of values apart by commas."""
    return [
        {
            "chain": number,
            "input": chain["input"],
            "step": event["step"],
            "text": chain["text"],
            "energy": chain["energy"],
            "best_text": chain["best"],
            "best_energy": chain["best_energy"],
            "best_step": chain["best_step"],
        }
        | {f"term {name}": value for name, value in chain["terms"].items()}
        for number, chain in enumerate(event["chains"])
    ]


def _plain(value: float | str | None) -> float:
    return float("nan") if value is None else float(value)
