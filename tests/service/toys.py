"""A service of letters: no model, a step in no time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from samplers import MetropolisHastings
from samplers.proposals import Replace
from textsearch import FunctionObjective
from textsearch.service import Submission
from textsearch.service.running import ServiceRun
from textsearch.tasks.problem import Problem, Stage
from textsearch.testing import TableMaskedLM, letters

MODEL = TableMaskedLM.random(letters("abc"), seed=0)
FEW_A = FunctionObjective(lambda texts: [float(text.count("a")) for text in texts], name="a")
FEW_B = FunctionObjective(lambda texts: [2.0 * text.count("b") for text in texts], name="b")


def build(submission: Submission, wait: float = 0.0) -> Problem:
    """Letters, from the first input; `wait` seconds a step."""

    def slow(texts: list[str]) -> list[float]:
        time.sleep(wait)
        return [float(text.count("a")) for text in texts]

    if any("bad" in str(one) for one in submission.inputs):
        raise ValueError("bad is no text of letters")
    few_a = FunctionObjective(slow, name="a") if wait else FEW_A
    return Problem(
        few_a + FEW_B,
        Replace(MODEL),
        lambda moves, steps: MetropolisHastings(moves),
        MODEL.vocabulary.encode(["aaaa"]).repeat(submission.chains or 2),
        steps=submission.steps or 20,
        seed=submission.seed,
    )


def in_two(submission: Submission) -> Problem:
    """Two searches, of three quarters of the steps and of a quarter."""

    def again(moves: Any, steps: int) -> MetropolisHastings:
        return MetropolisHastings(moves)

    second = Stage("again", FEW_B, again, lambda found: found.batch, Fraction(1, 4))
    return replace(build(submission), after=(second,))


def asked(steps: int = 20, seed: int = 0, **more: Any) -> dict[str, Any]:
    return {"task": "paraphrase", "inputs": ["A text."], "steps": steps, "chains": 2, "seed": seed, **more}


def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.005)


def over(run: ServiceRun) -> ServiceRun:
    until(lambda: not run.live)
    return run
