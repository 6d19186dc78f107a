"""Tasks that workers are given in tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from samplers import MetropolisHastings
from samplers.proposals import Replace
from textsearch import FunctionObjective, Generations, generate
from textsearch.testing import TableMaskedLM, letters

MOVES = Replace(TableMaskedLM.random(letters("abc"), seed=0))
FEW_B = FunctionObjective(lambda texts: [float(text.count("b")) for text in texts], name="b")
MANY = ["abc"[i % 3] * (1 + i % 4) for i in range(1000)]


def few_b(texts: Sequence[str], *, seed: int = 0, numbers: Sequence[int] | None = None, steps: int = 6) -> Generations:
    """Fewer b; a text with an x is refused."""
    for text in texts:
        if "x" in text:
            raise ValueError(f"{text!r} holds an x")
    return generate(FEW_B, MetropolisHastings(MOVES), texts, steps=steps, seed=seed, chains=2, numbers=numbers)


def deadly(texts: Sequence[str], *, seed: int = 0, numbers: Sequence[int] | None = None) -> Generations:
    """The same; "k" kills its process."""
    if "k" in texts:
        os.kill(os.getpid(), signal.SIGKILL)
    return few_b(texts, seed=seed, numbers=numbers)


def process(texts: Sequence[str], *, seed: int = 0, numbers: Sequence[int] | None = None) -> Generations:
    """Refuses every text with the number of its process and of its threads."""
    import torch

    raise ValueError(f"{os.getpid()} {torch.get_num_threads()}")
