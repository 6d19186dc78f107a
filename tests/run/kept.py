"""Runs that are kept in a folder: what they are, and whether two of them are the same, bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from samplers.composites.adaptive_temperature import AdaptiveTemperature
from tests.run.toys import INPUTS, TOTAL, WALK
from tests.samplers import test_weighted_rejection
from tests.samplers.fresh_toys import FRESH
from tests.samplers.kernels import KERNELS
from tests.samplers.laws import Case
from tests.samplers.test_annealed_smc import CASES
from textsearch import Generations, generate
from textsearch.batch import Batch
from textsearch.objective import Objective
from textsearch.sampler import Sampler

SETTINGS: dict[str, Any] = {"steps": 14, "seed": 5, "chains": 3, "warm_up": 3, "thin": 2}


@dataclass(frozen=True, eq=False)
class Kept:
    """A run, but for how many steps it takes and where it is kept."""

    objective: Objective
    sampler: Sampler[Any]
    inputs: Any

    def run(self, **changes: Any) -> Generations:
        return generate(self.objective, self.sampler, self.inputs, **(SETTINGS | changes))


ADAPTIVE = Kept(TOTAL, AdaptiveTemperature(WALK, warm_up=10), INPUTS)
"""A run whose state is more than texts and energies."""


def of_kernel(name: str) -> Kept:
    """Of a line of the table of kernels, on its toy."""
    case = KERNELS[name]
    if isinstance(case, Case):
        start: Batch = case.space.begin(case.sampler, case.starts[:2]).batch
        return Kept(case.space.objective, case.sampler, start)
    toys = {
        "importance sampling": FRESH["fill, frozen"].toy,
        "adaptive weighted rejection": test_weighted_rejection.TOY,
    }
    toy = toys.get(name, CASES["Gibbs"].toy)
    return Kept(toy.objective, case.sampler, toy.batch([0, 1]))


def apart(one: Generations, other: Generations) -> list[str]:
    """The fields in which two results differ; what it cost is not compared."""
    return [
        field.name
        for field in fields(Generations)
        if field.name not in ("usage", "seconds") and not _same(getattr(one, field.name), getattr(other, field.name))
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Batch):
        names = ("tokens", "lengths", "editable", "inputs", "closed", "homes")
        return all(bool(getattr(one, name).equal(getattr(other, name))) for name in names)
    if isinstance(one, np.ndarray):
        # bytes: nan equals nan, and 0.0 is not -0.0
        same = one.dtype == other.dtype and one.shape == other.shape
        return same and np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def killed(work: Callable[[], object], seconds: float, number: int = signal.SIGKILL) -> int | None:
    """The exit code of a process that does some work, and gets a signal after so long."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(seconds)
    if process.exitcode is None and process.pid is not None:
        os.kill(process.pid, number)
        process.join(60)
    return process.exitcode


def files(folder: Path) -> list[str]:
    """What lies in it."""
    return sorted(path.name for path in folder.iterdir())
