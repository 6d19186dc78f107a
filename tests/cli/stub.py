"""A task of letters in the place of each real one: the command line as it is, without any model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from samplers import MetropolisHastings
from samplers.proposals import Replace
from textsearch import FunctionObjective, Generations, generate, tasks
from textsearch.cli import app
from textsearch.testing import TableMaskedLM, letters

MOVES = Replace(TableMaskedLM.random(letters("abc"), seed=0))
FEW_B = FunctionObjective(lambda texts: [float(text.count("b")) for text in texts], name="b")
COMMANDS = ("ask", "correct", "infill", "keywords", "paraphrase", "sample", "write")

calls: list[tuple[list[Any], dict[str, Any]]] = []
"""What the stub was called with."""


def task(inputs: Sequence[Any], *, seed: int = 0, chains: int = 3, steps: int = 6, **settings: Any) -> Generations:
    """One text of few b for each input, with the input in it; an input with a ! is refused."""
    calls.append((list(inputs), {"seed": seed, "chains": chains, "steps": steps, **settings}))
    for one in inputs:
        if "!" in str(one):
            raise ValueError(f"{one!r} holds a !")
    starts = ["abc"[len(str(one)) % 3] * 3 for one in inputs]
    run = generate(FEW_B, MetropolisHastings(MOVES), starts, steps=min(steps, 6), seed=seed, chains=min(chains, 3))
    texts = [f"{text} {inputs[number]}" for text, number in zip(run.best_texts, run.inputs, strict=True)]
    return replace(run, best_texts=texts, sources=list(map(str, inputs)))


def put_in_place(monkeypatch: pytest.MonkeyPatch, stub: Callable[..., Generations] = task) -> None:
    for command in COMMANDS:
        monkeypatch.setattr(tasks, command, stub)
    calls.clear()


def call(*arguments: str, given: bytes | str | None = None) -> Any:
    return CliRunner().invoke(app, list(arguments), input=given)
