"""A submission becomes a problem of `textsearch.tasks`: the energy, the texts to start from, the moves."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from importlib import import_module
from operator import add
from typing import TYPE_CHECKING

from textsearch.service.samplers import OWN, SAMPLERS
from textsearch.service.submission import TASKS, Submission

if TYPE_CHECKING:
    from textsearch.objective import Objective
    from textsearch.tasks.problem import MakeSampler, Models, Problem

Build = Callable[[Submission], "Problem"]


def build(submission: Submission, models: Models | None = None) -> Problem:
    """The problem of a submission; loads the models that it needs, which all runs of a process share."""
    from textsearch.tasks.problem import Models

    if submission.task is None:
        return _energy(submission)
    module = import_module(f"textsearch.tasks.{TASKS[submission.task][0]}")
    made: Problem = module.build(list(submission.inputs), submission.task_settings(), models or Models())
    return made


def sampler_of(submission: Submission) -> MakeSampler | None:
    """What makes the sampler of the moves of the problem; None for its own."""
    return None if submission.sampler == OWN else SAMPLERS[submission.sampler].make


def objective_of(submission: Submission) -> Objective:
    """The energy of the terms."""
    from textsearch.service.terms import TERMS

    return reduce(add, [term.weight * TERMS[term.name].make(term.arguments) for term in submission.terms])


def _energy(submission: Submission) -> Problem:
    """As `textsearch.generate(objective, sampler, steps=..., seed=..., chains=...)` does it."""
    from samplers import MetropolisHastings
    from samplers.proposals.usual import EDITS
    from textsearch.run.starts import starts
    from textsearch.tasks.problem import Problem

    assert submission.chains is not None and submission.steps is not None
    objective = objective_of(submission)
    make = sampler_of(submission) or MetropolisHastings
    if submission.start:
        start = EDITS.vocabulary.encode([submission.start])
        objective.check(start)
        start = start.repeat(submission.chains)
    else:
        start = starts(objective, make(EDITS), chains=submission.chains, seed=submission.seed)
    return Problem(
        objective,
        EDITS,
        lambda moves, steps: MetropolisHastings(moves),
        start,
        steps=submission.steps,
        seed=submission.seed,
        temperature=1.0 if submission.temperature is None else submission.temperature,
    )
