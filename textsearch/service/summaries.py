"""A run in numbers, of the events of its steps: traces, moves, and how far the chains agree as they grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, final

import numpy as np

from textsearch.result.diagnostics import distinct_n, statistics, unique_rate

_POINTS: Final = 16
_FEWEST: Final = 8  # steps, of which the second half counts

OF_SEVERAL: Final = (
    "chains of several inputs, or of several answers, have no law in common",
    "多个输入或答案的链没有共同的分布",
)
"""Why chains are not compared that draw from different laws: English, Chinese."""


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


@final
class StepCounts:
    """What is counted over all steps of a run, as they come.

    >>> counts = StepCounts()
    >>> chain = {"move": "replace", "accepted": True, "energy": 2.0}
    >>> counts.take([{"search": 0, "step": 1, "chains": [chain, chain]}])
    >>> counts.acceptance(), counts.taken
    ({'replace': {'proposed': 2, 'accepted': 2}}, 1)
    """

    def __init__(self) -> None:
        self.taken = 0
        self._search = 0
        self._proposed: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._energies: list[list[float]] = []
        self._inputs: set[int] = set()

    def take(self, events: Sequence[dict[str, Any]]) -> None:
        """Count more steps."""
        for event in events:
            self.taken += 1
            if event["search"] != self._search:
                # another search has another energy
                self._search, self._energies = event["search"], []
            self._energies.append([_plain(chain["energy"]) for chain in event["chains"]])
            for chain in event["chains"]:
                self._inputs.add(chain.get("input", 0))
                self._proposed[chain["move"]] += 1
                self._accepted[chain["move"]] += chain["accepted"]

    def acceptance(self) -> dict[str, dict[str, int]]:
        """Kind of move -> how often it was proposed and accepted."""
        return {kind: {"proposed": count, "accepted": self._accepted[kind]} for kind, count in self._proposed.items()}

    def convergence(self) -> dict[str, Any]:
        """R-hat and effective draws of the energies, of the second half of the steps so far, at moments of the run.

        Only of the last search, and of finite energies; where there is nothing, it says why, in English and Chinese.

        Raises:
            ImportError: ArviZ is not installed.
        """
        energies = np.array(self._energies)
        if not len(energies):
            return {"points": [], "why": ("no step yet", "还没有步")}
        if energies.shape[1] < 2:
            return {"points": [], "why": ("one chain has no other to be compared with", "只有一条链，无可比较")}
        if len(energies) < _FEWEST:
            return {"points": [], "why": (f"needs {_FEWEST} steps", f"需要 {_FEWEST} 步")}
        if len(self._inputs) > 1:
            return {"points": [], "why": OF_SEVERAL}
        points = []
        before = self.taken - len(energies)
        for end in np.unique(np.linspace(_FEWEST, len(energies), _POINTS).astype(int)).tolist():
            draws = energies[end // 2 : end]
            if not np.isfinite(draws).all():
                continue
            found = statistics(draws.T)
            points.append(
                {
                    "step": before + end,
                    "r_hat": found.r_hat if np.isfinite(found.r_hat) else None,
                    "ess": found.ess_bulk if np.isfinite(found.ess_bulk) else None,
                }
            )
        return {"points": points, "why": ("", "")}


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
