"""A task as a value: a problem that can be looked at, solved, solved again, and solved by another sampler.

A task is three things. Its settings are a frozen dataclass, the only place of its defaults. Its function
`build(inputs, settings, models)` makes a `Problem` of them: the energy, the texts that chains start from, the moves.
`solve` runs a problem, whatever the task. The functions of `textsearch.tasks` do the three in one call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypeVar, final

import torch

from objectives import ngram_likeness
from samplers import Ensemble
from textsearch import Generations, generate
from textsearch.batch import Batch
from textsearch.checks import flag, function, functions, keep, positive, real, run_of, seed_of, string, whole
from textsearch.kinds import BATCH, CLASSIFIER, OBJECTIVE, instance, nature, shown
from textsearch.models.classifier import TextClassifier
from textsearch.objective import Objective
from textsearch.rng import Rng, input_numbers
from textsearch.run.loop import Callback, Rule
from textsearch.run.partial import carry, gathered, viewed
from textsearch.sampler import Sampler
from textsearch.tasks import resolve as given
from textsearch.tasks.settings import RunSettings
from textsearch.watching import Search, tell

MakeSampler = Callable[[Any], Sampler[Any]]
"""moves -> a sampler: `MetropolisHastings`, or a function such as `lambda moves: MultipleTry(moves, 4)`."""

OwnSampler = Callable[[Any, int], Sampler[Any]]
"""(moves, steps) -> the sampler that a task has of its own, for a search of so many steps."""


@final
@dataclass(frozen=True, eq=False)
class Models:
    """The models of a task: loaded, by the name or folder of one, or None for the default.

    Attributes:
        causal: judges, writes drafts and proposes; by default SmolLM2-135M-Instruct.
        masked: proposes; by default the one that comes with textsearch.
        encoder: compares meanings; by default all-MiniLM-L6-v2.
        classifier: judges labels; there is no default.
    """

    causal: given.Causal = None
    masked: given.Masked = None
    encoder: given.Encoder = None
    classifier: TextClassifier | given.Name | None = None

    def __post_init__(self) -> None:
        given.check(causal=self.causal, masked=self.masked, encoder=self.encoder)
        if not isinstance(self.classifier, str | PathLike | None):
            instance("classifier", self.classifier, CLASSIFIER)


@final
@dataclass(frozen=True, eq=False)
class Stage:
    """A search that goes on from what the one before it found.

    Attributes:
        name: its random numbers rest on it.
        objective: the energy, which may be another than before.
        sampler: of the moves of the problem, for so many steps.
        start: of what was found before, the texts to start from, one row a chain.
        share: of the problem's steps.
    """

    name: str
    objective: Objective
    sampler: OwnSampler
    start: Callable[[Generations], Batch]
    share: Fraction

    def __post_init__(self) -> None:
        string("name", self.name)
        instance("objective", self.objective, OBJECTIVE)
        if not 0 < self.share < 1:
            raise ValueError(f"share={self.share} must lie between 0 and 1: the first search has a share too")


def unchanged(result: Generations) -> Generations:
    """The result as it is."""
    return result


@final
@dataclass(frozen=True, eq=False)
class Problem:
    """What a task comes down to: texts to start from, an energy, and moves.

    Solving it changes nothing in it: the same seed gives the same answer again.

    Attributes:
        objective: the energy.
        moves: a proposal, of which samplers are made.
        sampler: (moves, steps) -> the sampler that the task has of its own.
        start: the texts to start from, one row a chain.
        steps: of every chain, over all stages.
        seed: of the chains.
        temperature: in units of which the own sampler cools; of the draws of another one.
        numbers: of the inputs among all that there are, on which random numbers rest; by default 0, 1, 2, ...
        finish: shows the result as the task promises it: texts without a mark that was added for the run, sources as
            they were given, ...
        different: nats that two texts of an input cost if they share all their words: its chains are then members of an
            `Ensemble`. 0 lets each go its own way.
        thin: keep the texts after every so many steps, for a `finish` that looks at them.
        after: searches that follow one another on the first; the last one's result is the problem's.
        until: ends each search early, besides the rule that `solve` is given.
    """

    objective: Objective
    moves: Any
    sampler: OwnSampler
    start: Batch
    steps: int
    seed: int
    temperature: float = 1.0
    numbers: Sequence[int] | None = None
    finish: Callable[[Generations], Generations] = unchanged
    different: float = 0.0
    thin: int | None = None
    after: tuple[Stage, ...] = ()
    until: Rule | None = None

    def __post_init__(self) -> None:
        instance("objective", self.objective, OBJECTIVE)
        instance("start", self.start, BATCH)
        function("sampler", self.sampler, "a maker of samplers", "lambda moves, steps: MetropolisHastings(moves)")
        function("finish", self.finish, "a function of a result", "one")
        told = run_of(steps=self.steps, seed=self.seed, chains=1, temperature=self.temperature)
        numbers = None if self.numbers is None else tuple(self.numbers)
        input_numbers(numbers, int(self.start.inputs.max()) + 1 if len(self.start) else 0)
        keep(self, steps=told.steps, seed=told.seed, temperature=told.temperature, numbers=numbers)
        must = "be a number of nats of at least 0"
        keep(self, different=real("different", self.different, must, lambda x: 0 <= x < math.inf))
        keep(self, after=tuple(self.after), thin=None if self.thin is None else whole("thin", self.thin, 1))
        if self.until is not None:
            function("until", self.until, "a rule of when to stop", "one of textsearch.run.until")

    def stages(self, steps: int) -> list[tuple[Stage, int]]:
        """The stages behind the first search, with how many of all steps each takes."""
        return [(stage, int(steps * stage.share)) for stage in self.after]


def solve(
    problem: Problem,
    *,
    sampler: MakeSampler | None = None,
    steps: int | None = None,
    seed: int | None = None,
    until: Rule | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    every: float = 60.0,
) -> Generations:
    """Run a problem: what `textsearch.generate` is to an objective, a sampler and texts.

    Args:
        problem: what a task's `build` has made, or a `Problem` of your own.
        sampler: made of the problem's moves, in place of the problem's own.
        steps: of every chain, in place of the problem's.
        seed: of the chains, in place of the problem's. Texts that `build` drew stay as they are.
        until: stop early; see `textsearch.run.until`. Where a problem has several searches, each ends by it.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True. Where a
            problem has several searches, each counts its own steps.
        progress: show what is being done on standard error.
        checkpoint: a folder that keeps the run, so that the same call goes on after it was broken off; see
            `textsearch.generate`. Several searches have a folder each in it.
        every: seconds between two checkpoints.

    Returns:
        The texts as the task promises them. Ctrl-C returns what it has so far.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> model = TableMaskedLM.random(letters("ab"), seed=0)
    >>> problem = Problem(
    ...     FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a"),
    ...     Replace(model),
    ...     lambda moves, steps: MetropolisHastings(moves),
    ...     model.vocabulary.encode(["aaa", "ab"]),
    ...     steps=30,
    ...     seed=0,
    ... )
    >>> solve(problem).best_texts
    ['bbb', 'bb']
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem={shown(problem)} is {nature(problem)}: pass a Problem, such as a task's build makes")
    check_run(sampler=sampler, until=until, callbacks=callbacks, progress=progress, checkpoint=checkpoint, every=every)
    total = problem.steps if steps is None else whole("steps", steps)
    key = problem.seed if seed is None else seed_of(seed)
    stages = problem.stages(total)

    rules = [rule for rule in (problem.until, until) if rule is not None]

    def made(own: OwnSampler, steps: int) -> Sampler[Any]:
        one = own(problem.moves, steps) if sampler is None else sampler(problem.moves)
        return Ensemble(one, ngram_likeness, problem.different) if problem.different else one

    def search(
        objective: Objective, own: OwnSampler, start: Batch, steps: int, seed: int, folder: Path | None
    ) -> Generations:
        return generate(
            objective,
            made(own, steps),
            start,
            steps=steps,
            seed=seed,
            temperature=problem.temperature,
            thin=problem.thin,
            until=(lambda progress: any(rule(progress) for rule in rules)) if rules else None,
            progress=progress,
            callbacks=callbacks,
            numbers=problem.numbers,
            checkpoint=folder,
            every=every,
        )

    def folder(number: int) -> Path | None:
        """Of the checkpoints of a search."""
        if checkpoint is None:
            return None
        return Path(checkpoint) / f"search-{number}" if stages else Path(checkpoint)

    def all_searches() -> Generations:
        first = total - sum(steps for _, steps in stages)
        tell(Search(0))
        found = search(problem.objective, problem.sampler, problem.start, first, key, folder(0))
        for number, (stage, steps) in enumerate(stages, 1):
            found = gathered(lambda cut: go_on(stage, found, steps, number, cut), found.interrupted)  # noqa: B023
        return found

    def go_on(stage: Stage, found: Generations, steps: int, number: int, cut: bool) -> Generations:
        """The next search; of one that was cut off, what it had as this one's energy judges it."""
        try:
            with torch.inference_mode():
                start = stage.start(found)
        except Exception as error:
            carry(error, replace(found, interrupted=True))
            raise
        own_seed = Rng.start(key, 0, purpose=stage.name).key
        tell(Search(number))
        where = None if cut else folder(number)
        result = search(stage.objective, stage.sampler, start, 0 if cut else steps, own_seed, where)
        return replace(result, interrupted=result.interrupted or cut)

    return viewed(all_searches, problem.finish)


Told = TypeVar("Told", bound=RunSettings, contravariant=True)
Input = TypeVar("Input", contravariant=True)


class Build(Protocol[Input, Told]):
    """Makes a problem of inputs, the settings of a task, and models."""

    def __call__(
        self,
        inputs: Sequence[Input],
        settings: Told,
        models: Models,
        /,
        *,
        numbers: Sequence[int] | None = None,
        progress: bool = False,
    ) -> Problem:
        """The problem; `numbers` and `progress` are those of `answer`."""


def answer(
    build: Build[Input, Told],
    inputs: Sequence[Input],
    settings: Told,
    models: Models,
    *,
    sampler: MakeSampler | None,
    until: Rule | None,
    callbacks: Sequence[Callback],
    progress: bool,
    checkpoint: str | PathLike[str] | None,
    every: float,
    numbers: Sequence[int] | None,
) -> Generations:
    """Build a problem and solve it: what the function of every task does."""
    callbacks = functions("callbacks", callbacks)
    # what cannot be meant is told before a model is loaded
    check_run(sampler=sampler, until=until, callbacks=callbacks, progress=progress, checkpoint=checkpoint, every=every)
    problem = build(inputs, settings, models, numbers=numbers, progress=progress)
    return solve(
        problem,
        sampler=sampler,
        until=until,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
    )


def check_run(
    *,
    sampler: MakeSampler | None,
    until: Rule | None,
    callbacks: Sequence[Callback],
    progress: bool,
    checkpoint: str | PathLike[str] | None,
    every: float,
) -> None:
    """Refuse what no run can be told."""
    given.moves_to_sampler(sampler)
    if until is not None:
        function("until", until, "a rule of when to stop", "one of textsearch.run.until, such as Budget(rows=10_000)")
    functions("callbacks", callbacks)
    flag("progress", progress)
    if checkpoint is not None and not isinstance(checkpoint, str | PathLike):
        raise TypeError(f"checkpoint={shown(checkpoint)} is {nature(checkpoint)}: pass the name of a folder")
    positive("every", every, "number of seconds")
