"""What is asked of a service: a task with its inputs, or an energy built of terms; plain data, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, final

from textsearch.checks import keep, positive, seed_of, string, whole
from textsearch.kinds import shown
from textsearch.service.limits import Limits
from textsearch.service.samplers import OWN, SAMPLERS
from textsearch.service.terms import TERMS
from textsearch.tasks.settings import (
    Asking,
    Correction,
    Infilling,
    KeywordSentences,
    Paraphrasing,
    RunSettings,
    Sampling,
    Writing,
)

TASKS: Final[Mapping[str, tuple[str, type[RunSettings]]]] = {
    "keywords": ("keyword_sentences", KeywordSentences),
    "paraphrase": ("paraphrasing", Paraphrasing),
    "correct": ("correction", Correction),
    "infill": ("infilling", Infilling),
    "write": ("writing", Writing),
    "sample": ("sampling", Sampling),
    "ask": ("asking", Asking),
}
"""Task -> the module of `textsearch.tasks` that builds it, and its settings."""

RUN: Final = ("steps", "chains", "seed", "temperature")
"""Settings that a submission has in fields of its own."""

PYTHON_ONLY: Final = ("confusions", "constraint")
"""Settings that no plain data can tell."""

ENERGY_STEPS, ENERGY_CHAINS = 200, 4


@final
@dataclass(frozen=True)
class Term:
    """One term of an energy: its name in `textsearch.service.terms.TERMS`, its weight and what it is told."""

    name: str
    weight: float = 1.0
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in TERMS:
            raise ValueError(f"there is no term {shown(self.name)}: choose from {', '.join(TERMS)}")
        if not isinstance(self.arguments, Mapping):
            raise ValueError(f"arguments={shown(self.arguments)} of {self.name} must be a mapping of names to values")
        weight = positive(f"weight of {self.name}", self.weight, remedy="; leave the term out instead")
        keep(self, weight=weight, arguments=TERMS[self.name].read(self.arguments))

    @staticmethod
    def of(given: Any) -> Term:
        """From plain data, as JSON has it.

        Raises:
            ValueError: it is no term; the message says what it lacks.
        """
        known = [one.name for one in fields(Term)]
        if not isinstance(given, Mapping) or "name" not in given:
            raise ValueError(
                f"{shown(given)} is no term: write {{'name': 'Length', 'arguments': {{'mean': 8, 'sd': 2}}}}"
            )
        if strange := [name for name in given if name not in known]:
            raise ValueError(f"a term has no {shown(strange[0])}: choose from {', '.join(known)}")
        return Term(**given)


@final
@dataclass(frozen=True, kw_only=True)
class Submission:
    """A run that somebody asks for.

    Attributes:
        task: one of `TASKS`; None for an energy of `terms`.
        inputs: of the task: texts, prompts, sets of keywords, requests.
        settings: of the task, besides the four below.
        terms: of the energy, in place of a task.
        start: the text that chains of an energy start from; empty for one that the terms allow.
        sampler: one of `SAMPLERS`, or "own".
        steps: of every chain; None for the task's default, as for the next two.
        chains: for each input; for `sample` its draws.
        temperature: of the draws.
        seed: the same seed gives the same texts.

    >>> Submission(task="keywords", inputs=["dog park"]).plain()["inputs"]
    [['dog', 'park']]
    >>> Submission(terms=[Term("Fluency"), Term("Keywords", 1.0, {"keywords": "dog, park"})]).steps
    200
    """

    task: str | None = None
    inputs: Sequence[Any] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    terms: Sequence[Term] = ()
    start: str = ""
    sampler: str = OWN
    steps: int | None = None
    chains: int | None = None
    temperature: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task is not None and self.task not in TASKS:
            raise ValueError(f"there is no task {shown(self.task)}: choose from {', '.join(TASKS)}")
        if (self.task is None) != bool(self.terms):
            raise ValueError("name a task, or terms of an energy: one of the two")
        if self.sampler != OWN and self.sampler not in SAMPLERS:
            raise ValueError(f"there is no sampler {shown(self.sampler)}: choose from {OWN}, {', '.join(SAMPLERS)}")
        if self.task == "sample" and self.sampler != OWN:
            raise ValueError(f"sampler={self.sampler!r}: the draws of sample are independent, and take its own sampler")
        keep(self, terms=tuple(self.terms), start=string("start", self.start), seed=seed_of(self.seed))
        for name in ("steps", "chains"):
            if (value := getattr(self, name)) is not None:
                keep(self, **{name: whole(name, value, 1 if name == "chains" else 0)})
        if self.temperature is not None:
            keep(self, temperature=positive("temperature", self.temperature))
        if not isinstance(self.settings, Mapping):
            raise ValueError(f"settings={shown(self.settings)} must be a mapping of names to values")
        if self.task is None:
            if self.inputs or self.settings:
                raise ValueError("inputs and settings are a task's: an energy has terms, and a text to start from")
            steps = ENERGY_STEPS if self.steps is None else self.steps
            chains = ENERGY_CHAINS if self.chains is None else self.chains
            keep(self, inputs=(), settings={}, steps=steps, chains=chains)
            return
        if not listed("inputs", self.inputs):
            raise ValueError(f"inputs={shown(self.inputs)} is empty: give a list with at least one input")
        keep(self, inputs=tuple(_input(self.task, one) for one in self.inputs))
        self.task_settings()

    @staticmethod
    def of(given: Mapping[str, Any]) -> Submission:
        """From plain data, as JSON has it.

        Raises:
            ValueError: it holds something that cannot be meant; the message says what.
        """
        if not isinstance(given, Mapping):
            raise ValueError(f"{shown(given)} is no submission: pass a mapping such as {{'task': 'keywords', ...}}")
        known = {one.name for one in fields(Submission)}
        if strange := [name for name in given if name not in known]:
            raise ValueError(f"a submission has no {shown(strange[0])}: choose from {', '.join(sorted(known))}")
        terms = [one if isinstance(one, Term) else Term.of(one) for one in listed("terms", given.get("terms") or ())]
        try:
            told = {str(name): value for name, value in given.items() if name != "terms" and value is not None}
            return Submission(**told, terms=terms)
        except (TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error

    def plain(self) -> dict[str, Any]:
        """As JSON has it; `of` reads it again."""
        terms = [{"name": one.name, "weight": one.weight, "arguments": dict(one.arguments)} for one in self.terms]
        inputs = [list(one) if isinstance(one, tuple) else one for one in self.inputs]
        return {one.name: getattr(self, one.name) for one in fields(self)} | {
            "terms": terms,
            "inputs": inputs,
            "settings": dict(self.settings),
        }

    def task_settings(self) -> RunSettings:
        """The settings of the task, checked by the task's own dataclass."""
        assert self.task is not None
        own = (*RUN, "lang", "script", *(["draws"] if self.task == "sample" else []))
        return settings_of(self.task, self.settings, but=own, more=self.run_settings())

    def run_settings(self) -> dict[str, Any]:
        """Those of steps, chains, temperature and seed that were given, by the task's own names for them."""
        told = {name: getattr(self, name) for name in RUN if getattr(self, name) is not None}
        if self.task == "sample" and "chains" in told:
            told["draws"] = told.pop("chains")
        return told

    def check(self, limits: Limits) -> None:
        """Refuse what is above the limits of a service, or has no limit of its steps.

        Raises:
            ValueError: the message names the value, and the limit.
        """
        settings = vars(self) if self.task is None else vars(self.task_settings())
        given = [self.inputs, self.start, self.settings, *(term.arguments for term in self.terms)]
        limits.check(len(self.inputs), settings, given)
        limits.refuse("terms", len(self.terms), limits.terms)
        for expression in self._expressions():
            _check_steps(expression)

    def _expressions(self) -> list[str]:
        """Regular expressions that this asks for."""
        found = [term.arguments["pattern"] for term in self.terms if "pattern" in term.arguments]
        found += [one["regex"] for one in self.inputs if isinstance(one, Mapping) and "regex" in one]
        found += [self.settings["regex"]] if "regex" in self.settings else []
        return [one for one in found if isinstance(one, str)] + list(_patterns(self.settings.get("json_schema")))


def listed(name: str, given: Any) -> Sequence[Any]:
    """A list, as JSON has it.

    Raises:
        ValueError: it is none.
    """
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        raise ValueError(f"{name}={shown(given)} must be a list, also of one")
    return given


def settings_of(
    task: str, told: Mapping[str, Any], *, but: Collection[str] = (), more: Mapping[str, Any] | None = None
) -> RunSettings:
    """The settings of a task from plain data, checked by the task's own dataclass.

    Args:
        task: one of `TASKS`.
        told: setting -> its value, as JSON has it.
        but: settings that it may not have.
        more: settings besides, which need no reading.

    Raises:
        ValueError: it holds something that cannot be meant; the message says what.
    """
    kind = TASKS[task][1]
    known = {one.name: one for one in fields(kind) if one.name not in (*but, *PYTHON_ONLY)}
    read = dict(told)
    for name, value in read.items():
        if name not in known:
            raise ValueError(f"{task} has no setting {shown(name)}: choose from {', '.join(known)}")
        default: Any = known[name].default
        if is_dataclass(default) and isinstance(value, Mapping):
            inner: Any = type(default)
            read[name] = inner(**value)
    lists = (("keep", "true, false or a list of words"), ("listed", "a list of lines"), ("sentences", "a list"))
    for name, what in lists:
        if isinstance(read.get(name), str):
            raise ValueError(f"{name}={shown(read[name])} must be {what}: no files are read here")
    try:
        return kind(**read, **(more or {}))
    except TypeError as error:
        raise ValueError(str(error)) from error


def _input(task: str, given: Any) -> Any:
    """One input of a task, as a form or JSON has it."""
    if task == "keywords":
        if isinstance(given, str):
            from textsearch.tasks.languages import ENGLISH

            given = ENGLISH.split(given)
        if not isinstance(given, list | tuple) or not given or not all(isinstance(one, str) for one in given):
            raise ValueError(f"{shown(given)} must be words to hold, such as 'dog frisbee park'")
        return tuple(given)
    if task == "write":
        from textsearch.tasks.request import Request

        if not isinstance(given, Mapping):
            raise ValueError(f"{shown(given)} is no request: write {{'prefix': 'The book'}}")
        try:
            Request.of(given)
        except TypeError as error:
            raise ValueError(str(error)) from error
        return dict(given)
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"{shown(given)} must be a text to {task}")
    return given


def _patterns(schema: Any) -> list[str]:
    """Regular expressions within a JSON schema."""
    if isinstance(schema, str):
        import json

        try:
            schema = json.loads(schema)
        except ValueError:
            return []
    if isinstance(schema, list):
        return [one for part in schema for one in _patterns(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
    own += list(schema["patternProperties"]) if isinstance(schema.get("patternProperties"), dict) else []
    return own + [one for part in schema.values() if isinstance(part, dict | list) for one in _patterns(part)]


def _check_steps(expression: str) -> None:
    """Refuse an expression that only backtracking can search for: its steps have no limit, and a clock is none."""
    from objectives.pattern import Backtracking, search_for

    if isinstance(search_for(expression), Backtracking):
        raise ValueError(
            f"{shown(expression)} can only be searched for by backtracking, whose steps may be without end: write it "
            "without backreferences, atomic groups and possessive repeats"
        )
