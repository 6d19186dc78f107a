"""A kept run takes no more memory the longer it is: what it records goes to its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Evaluation, Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info
from textsearch.testing import letters

LETTERS = letters("ab")

PROGRAM = """
import json, sys, time
from tests.run.memory import peak
from tests.run.test_memory import FLIP, Letter
from textsearch import generate

folder, steps = sys.argv[1] or None, int(sys.argv[2])
began = time.perf_counter()
result = generate(Letter(), FLIP, ["a"], steps=steps, seed=0, chains=64, thin=100, checkpoint=folder, every=2.0)
seconds = time.perf_counter() - began
assert result.trace.shape == (steps, 64) and len(result.samples) == steps // 100
print(json.dumps({"peak": peak(), "seconds": seconds}))
"""


class Letter(Objective):
    """The number of the letter."""

    def energy(self, batch: Batch) -> Tensor:
        return batch.tokens[:, 0].double()


@dataclass(frozen=True)
class Flip:
    """A letter at random at each step: a step costs as little as it can, and all that a run keeps changes."""

    vocabulary: Vocabulary = LETTERS
    kinds: ClassVar = ("flip",)
    guarantee: ClassVar = Guarantee.BIASED

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState.start(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        tokens = state.batch.tokens.clone()
        tokens[:, 0] = (rng.uniform(0) < 0.5) + 1
        energy = tokens[:, 0].double()
        zero = torch.zeros_like(energy)
        after = ChainState(replace(state.batch, tokens=tokens), Evaluation(energy, energy[:, None]))
        return after, Info(zero == 0, zero.long(), zero)


FLIP = Flip()


class Cost(NamedTuple):
    """Of a run in a process of its own: MB of memory at its peak, seconds, MB on disk."""

    peak: float
    seconds: float
    disk: float


def cost(steps: int, folder: Path | None) -> Cost:
    root = str(Path(__file__).parents[2])
    told: dict[str, Any] = json.loads(
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder or ""), str(steps)],
            stdout=subprocess.PIPE,
            check=True,
            timeout=900,
            cwd=root,
            env=os.environ | {"PYTHONPATH": root},
        ).stdout
    )
    disk = 0 if folder is None else sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    return Cost(**told, disk=disk)


@pytest.mark.reliability
def test_memory_does_not_grow_with_the_steps(tmp_path: Path) -> None:
    short, long = cost(20_000, tmp_path / "short"), cost(100_000, tmp_path / "long")
    print(f"20,000 steps: {short}; 100,000 steps: {long}")
    assert abs(long.peak - short.peak) < 40
    assert 4 < long.disk / short.disk < 6
    # the control: kept in memory, it does
    memory = cost(20_000, None)
    print(f"20,000 steps in memory: {memory}")
    assert memory.peak > short.peak + 60
