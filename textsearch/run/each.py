"""What `generate_each` is told, its inputs as one batch, and its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from textsearch import tree
from textsearch.batch import Batch
from textsearch.objective import FunctionObjective, Objective
from textsearch.result import Generations
from textsearch.run.loop import Rule, starting_batch
from textsearch.run.partial import said
from textsearch.sampler import Sampler, State


@final
@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one input.

    Attributes:
        number: of the input.
        result: its chains alone, as `generate` would have them; None if it was refused. `seconds` and `usage` are its
            share, by chains, of what all that ran beside it took.
        error: why it was refused, or what ended it, else None.
        cause: that error itself.
        partial: its result so far when it ended, if it had begun.
    """

    number: int
    result: Generations | None = None
    error: str | None = None
    cause: Exception | None = None
    partial: Generations | None = None


def refused_answer(number: int, error: Exception, partial: Generations | None = None) -> Answer:
    """The answer of an input that an error kept from its end."""
    return Answer(number, error=said(error), cause=error, partial=partial)


class IndivisibleError(TypeError):
    """Chains of the sampler cannot come and go: the fault of no input."""


@final
@dataclass(frozen=True, eq=False)
class Plan:
    """What is run, and how; see `textsearch.generate_each`."""

    objective: Objective
    sampler: Sampler[Any]
    steps: int
    seed: int
    chains: int
    temperature: float
    warm_up: int
    thin: int | None
    until: Rule | None
    numbers: Sequence[int] | None = None
    checkpoint: Path | None = None
    every: float = 60.0


def encoded(sampler: Sampler[Any], inputs: Batch | Sequence[str]) -> tuple[Batch | None, dict[int, Exception]]:
    """The inputs as one batch, and why some are not in it."""
    try:
        batch = starting_batch(sampler, inputs)
    except ValueError:
        if isinstance(inputs, Batch) or len(inputs) == 0:
            raise
    else:
        return batch, {}
    errors: dict[int, Exception] = {}
    for number, text in enumerate(inputs):
        try:
            starting_batch(sampler, [text])
        except ValueError as error:
            errors[number] = error
    good = [number for number in range(len(inputs)) if number not in errors]
    if not good:
        return None, errors
    batch = starting_batch(sampler, [inputs[number] for number in good])
    return replace(batch, inputs=torch.tensor(good, device=batch.device)), errors


def template_of(plan: Plan, batch: Batch) -> State | None:
    """A state of the sampler, under an energy that costs nothing; an error if its chains cannot come and go."""
    free = FunctionObjective(lambda texts: [0.0] * len(texts), name="free")
    for row in range(len(batch)):
        try:
            with torch.inference_mode():
                return divisible(plan, plan.sampler.init(free, batch.rows([row]).repeat(plan.chains)))
        except ValueError:
            # an input that the sampler refuses tells nothing
            continue
    return None


def divisible(plan: Plan, state: State) -> State:
    """The state, if chains can leave it and join it."""
    try:
        tree.check(state, len(state.batch), f"the state of {type(plan.sampler).__name__}, a {type(state).__name__},")
    except tree.NoTreeError as error:
        raise IndivisibleError(
            f"{error}: its chains cannot enter and leave a batch one input at a time. Run it with generate, a group of "
            "inputs at a time, or make the state a frozen dataclass of tensors with a row for each chain"
        ) from error
    return state
