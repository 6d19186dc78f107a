"""Runs as they lie in folders, read by whoever watches: those of a service, and checkpoints of any other run.

Nothing is written, no lock is taken, and no model is loaded but the packaged one, for the words of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, final

import numpy as np

from textsearch.files import DamagedError, unsealed
from textsearch.service.events import EventLog, number

OVER: Final = ("done", "stopped", "failed")
"""States in which nothing more will happen."""


@final
@dataclass(frozen=True)
class View:
    """How a run stands: what it is, in one line, its state, its error if it failed, and an event for each step."""

    title: str
    state: str
    error: str
    events: list[dict[str, Any]]


class Source(Protocol):
    """A run that can be looked at, again and again."""

    def view(self) -> View:
        """How it stands now."""


def source(folder: Path) -> Source:
    """The run in a folder: of a service, or of `generate(..., checkpoint=folder)`; of several the newest.

    Raises:
        ValueError: there is none.
    """
    found = [path for name in ("submission.json", "run.json") for path in folder.rglob(name)]
    # the checkpoints of a run of a service lie within it, and its events say more
    own = [path for path in found if path.name == "submission.json"]
    if not found:
        raise ValueError(
            f"{folder} holds no run: name a folder of checkpoints, or one where textsearch studio keeps runs"
        )
    newest = max(own or found, key=lambda path: _changed(path.parent))
    return Served(newest.parent) if newest.name == "submission.json" else Kept(newest.parent)


def _changed(folder: Path) -> float:
    """When something in it was last written; files beside those that are being replaced are gone in a moment."""
    return max(one.stat().st_mtime for one in folder.iterdir() if not one.name.startswith("."))


@final
class Served:
    """A run of a service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = EventLog(folder / "events.jsonl", ours=False)
        self._events: list[dict[str, Any]] = []
        self._seen: tuple[object, View] | None = None

    def view(self) -> View:
        """How it stands now; the same object while nothing happened."""
        told = unsealed(self._folder / "submission.json")["submission"]
        status = unsealed(self._folder / "status.json")
        what = told["task"] or " + ".join(f"{term['weight']:g} {term['name']}" for term in told["terms"])
        self._log.refresh()
        self._events += self._log.read(len(self._events))
        title = f"{self._folder.name}  {what}  {told['sampler']}  seed {told['seed']}"
        now = status["state"], status.get("error") or "", len(self._events)
        if self._seen is None or self._seen[0] != now:
            self._seen = now, View(title, *now[:2], self._events)
        return self._seen[1]


@final
class Kept:
    """The checkpoints of a run: energies, terms, lengths and acceptance of all steps, texts of the last one written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[float, View] | None = None

    def view(self) -> View:
        """How it stands now; the same object while no checkpoint was written."""
        changed = _changed(self._folder)
        if self._seen is None or self._seen[0] != changed:
            self._seen = changed, self._read()
        return self._seen[1]

    def _read(self) -> View:
        from textsearch.run.checkpoint import Checkpoint

        checkpoint = Checkpoint(self._folder)
        plan, saved = checkpoint.plan(), checkpoint.latest()
        settings, told = plan["settings"], plan["fingerprint"]
        title = f"{self._folder}  {told.get('sampler', '')}  seed {settings['seed']}"
        if saved is None or not saved.steps:
            return View(title, "running", "", [])
        names = _terms(told)
        columns = saved.stored.columns
        energies, terms, lengths = (np.asarray(columns[name].read()) for name in ("energy", "terms", "lengths"))
        accepted = np.asarray(columns["recorded accepted"].read()) if "recorded accepted" in columns else None
        if len(names) != terms.shape[-1]:
            names = [f"term {place + 1}" for place in range(terms.shape[-1])]
        lowest = np.minimum.accumulate(energies, 0)
        texts = _texts(saved.tensors, "run.chains", told, energies.shape[1])
        best = _texts(saved.tensors, "run.best", told, energies.shape[1])
        seconds, steps = float(saved.told["seconds"]), len(energies)
        tokens = sum(counts[2] for counts in saved.told["usage"].values())
        events = [
            {
                "kind": "step",
                "search": 0,
                "step": step + 1,
                "steps": plan["steps"],
                # what single steps took was not written down
                "seconds": seconds * (step + 1) / steps,
                "tokens": tokens * (step + 1) / steps,
                "chains": [
                    {
                        "text": texts[row] if step + 1 == steps else "",
                        "energy": number(energies[step, row]),
                        "terms": {name: number(terms[step, row, place]) for place, name in enumerate(names)},
                        "length": int(lengths[step, row]),
                        "accepted": bool(accepted[step, row]) if accepted is not None else False,
                        "move": "all moves",
                        "log_ratio": None,
                        "before": None,
                        "proposals": [],
                        "best": best[row] if step + 1 == steps else "",
                        "best_energy": number(lowest[step, row]),
                    }
                    for row in range(energies.shape[1])
                ],
            }
            for step in range(steps)
        ]
        return View(title, "done" if saved.steps >= plan["steps"] else "running", "", events)


def _terms(told: Mapping[str, str]) -> list[str]:
    """Names of the terms, of the fingerprint of a run."""
    count = sum(path.startswith("objective.terms[") and path.endswith("].weight") for path in told)
    paths = [f"objective.terms[{place}]" for place in range(count)] or ["objective"]
    return [told.get(f"{path}.label", told.get(path, "")).strip("'").lower() for path in paths]


def _texts(tensors: Mapping[str, Any], state: str, told: Mapping[str, str], chains: int) -> list[str]:
    """Texts of a state, if they are in the words of the packaged masked model; else how many tokens they have."""
    from textsearch.batch import Batch
    from textsearch.models.defaults import default_masked_lm
    from textsearch.run.fingerprint import fingerprint

    prefix = f"{state}.batch."
    parts = {path.removeprefix(prefix): each for path, each in tensors.items() if path.startswith(prefix)}
    if "tokens" not in parts or len(parts["tokens"]) != chains:
        return ["(not in the state)"] * chains
    try:
        vocabulary = default_masked_lm().vocabulary
        known = set(fingerprint(vocabulary=vocabulary).values())
        if known <= set(told.values()) or any("DefaultMaskedLM" in value for value in told.values()):
            return Batch(**parts, vocabulary=vocabulary).texts()
    except (TypeError, ValueError, IndexError, OSError, ImportError, DamagedError):
        pass
    return [f"({length} tokens of another vocabulary)" for length in parts["lengths"].tolist()]
