"""One law over all tasks: settings, functions and options of the command line have the same names and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib import import_module
from typing import Any, ClassVar

import pytest
import typer
import typer.main

from tests.cli import stub
from tests.cli.stub import call
from textsearch import tasks
from textsearch.cli import app
from textsearch.cli.building import settings_options, told_of, words_of
from textsearch.tasks import (
    Asking,
    Correction,
    Infilling,
    KeywordSentences,
    Paraphrasing,
    Sampling,
    Weights,
    Writing,
    solve,
)
from textsearch.tasks.settings import KEYWORD_PRESETS, RunSettings, Settings

RUN = {name: one.default for name, one in inspect.signature(solve).parameters.items()}
"""What every task takes alike, with its default; and the numbers of its inputs."""
RUN = {name: RUN[name] for name in RUN if name not in ("problem", "steps", "seed")} | {"numbers": None}

MODELS = {"causal", "masked", "encoder", "classifier"}


@dataclass(frozen=True)
class Case:
    """A task, and what of its settings the command line leaves out."""

    settings: type[RunSettings]
    module: str
    left_out: Collection[str] = ()
    argument: str = "a b"
    more: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Any] = None  # type: ignore[assignment]


CASES = {
    "ask": Case(Asking, "asking", {"drafts"}, others={"answer": "a", "answers": 2, "weight": 1.0, "drafts": 3}),
    "correct": Case(
        Correction,
        "correction",
        {"confusions"},
        others={"strictness": 2.0, "keep": False, "lang": "zh", "script": "none", "listed": ("未末",), "chains": 2},
    ),
    "infill": Case(
        Infilling,
        "infilling",
        argument="A [MASK].",
        others={"gap": "??", "marks": True, "lang": "zh", "script": "none", "seed": 3},
    ),
    "keywords": Case(
        KeywordSentences,
        "keyword_sentences",
        others={
            "inflections": False,
            "in_order": True,
            "lang": "zh",
            "script": "none",
            "drafts": 3,
            "sentences": ("A.",),
        },
    ),
    "paraphrase": Case(
        Paraphrasing,
        "paraphrasing",
        {"pool", "fluency", "preservation", "consensus", "brevity", "polarity", "roles", "numbers"},
        others={
            "weights": Weights(fluency=9.0),
            "keep": False,
            "meaning": False,
            "pool": 3,
            "lang": "zh",
            "script": "traditional",
            "temperature": 2.0,
        },
    ),
    "sample": Case(
        Sampling,
        "sampling",
        {"constraint"},
        more={"choices": "a,b"},
        others={
            "regex": "a+",
            "draws": 3,
            "power": 2.0,
            "chat": False,
            "max_length": 9,
            "method": "chains",
            "steps": 2,
        },
    ),
    "write": Case(
        Writing,
        "writing",
        {"coherence_weight"},
        '{"prefix": "A"}',
        others={"label_weight": 1.0, "topic_weight": 2.0, "coherence_weight": 3.0, "lang": "zh", "script": "hongkong"},
    ),
}


def disagreements(
    settings: type[RunSettings], function: Callable[..., Any], options: Mapping[str, Any], left_out: Collection[str]
) -> list[str]:
    """What settings, function and options do not agree on, in words."""
    told = {field.name: field.default for field in fields(settings)}
    flat = {
        name: value
        for field in fields(settings)
        for name, value in (
            {one.name: one.default for one in fields(field.default)}
            if is_dataclass(field.default)
            else {field.name: field.default}
        ).items()
        if name not in left_out
    }
    _, *parameters = inspect.signature(function).parameters.values()
    taken = {one.name: one.default for one in parameters}
    rest = {name: default for name, default in taken.items() if name not in told and name not in MODELS}
    found = [
        f"the function's {name} is {taken.get(name, 'missing')!r}" for name in told if taken.get(name) != told[name]
    ]
    found += [f"the function's {one.name} has a place" for one in parameters if one.kind is not one.KEYWORD_ONLY]
    found += [f"a run's {name} is {rest.get(name)!r}" for name in {*rest, *RUN} if rest.get(name, "") != RUN.get(name)]
    found += [f"the option {name} is {options.get(name)!r}" for name in flat if options.get(name, "") != flat[name]]
    found += [f"{name} has no words of help" for name in flat if not words_of(settings).get(name) and name in told]
    return found + [f"the option {name} is left out" for name in left_out if name in options]


def options_of(task: str) -> dict[str, Any]:
    return {option.name: option.default for option in typer.main.get_group(app).commands[task].params}


@pytest.mark.parametrize("task", CASES)
def test_settings_functions_and_options_agree(task: str) -> None:
    case = CASES[task]
    assert disagreements(case.settings, getattr(tasks, task), options_of(task), case.left_out) == []


def test_a_disagreement_is_found() -> None:
    """The control: another default, a parameter too few, one too many, an option that has gone astray."""
    case, function, options = CASES["infill"], tasks.infill, options_of("infill")

    @dataclass(frozen=True, kw_only=True)
    class More(Infilling):  # type: ignore[misc]
        """Attributes as those of the other; one more has no word."""

        tries: int = 3

    def less(texts: Any, *, chains: int = Infilling.chains, **more: Any) -> None:
        """A function that says little of what it takes."""

    assert disagreements(Correction, function, options, ()) != []
    assert len(disagreements(More, function, options, ())) == 3
    assert disagreements(case.settings, less, options, ()) != []
    assert disagreements(case.settings, function, options | {"chains": 7}, ()) == ["the option chains is 7"]
    without = {name: value for name, value in options.items() if name != "lang"}
    assert disagreements(case.settings, function, without, ()) == ["the option lang is None"]
    assert disagreements(case.settings, function, options, {"gap"}) == ["the option gap is left out"]


@pytest.mark.parametrize("task", CASES)
def test_what_is_said_arrives(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the function in the settings, and from the command line in the function."""
    case = CASES[task]
    seen: list[RunSettings] = []
    with monkeypatch.context() as patch:
        patch.setattr(
            import_module(f"textsearch.tasks.{case.module}"),
            "answer",
            lambda build, inputs, settings, models, **run: seen.append(settings),
        )
        getattr(tasks, task)(["a"])
        getattr(tasks, task)(["a"], **case.others)
    assert seen == [case.settings(), case.settings(**case.others)]
    stub.put_in_place(monkeypatch)
    result = call(task, case.argument, *(word for name, value in case.more.items() for word in (f"--{name}", value)))
    assert result.exit_code == 0, result.output
    ((_, settings),) = stub.calls
    assert settings.pop("progress")  # no option: --quiet says that there is none
    settings.pop("numbers", None)
    if "chains" not in {one.name for one in fields(case.settings)}:
        settings.pop("chains")  # the stub's own
    found = {name: value for name, value in settings.items() if name not in MODELS}
    assert {name: value for name, value in found.items() if name not in case.more} == {
        field.name: field.default for field in fields(case.settings) if field.name not in {*case.left_out, *case.more}
    }
    assert all(found[name] is not None for name in case.more)


def test_an_option_says_what_its_setting_says() -> None:
    @dataclass(frozen=True)
    class Own(Settings):
        """Of a task that nobody has written yet.

        Attributes:
            width: how wide, of all that there is,
                which may be a lot.
            loud: whether it shouts.
        """

        width: float = 2.0
        loud: bool = False
        weights: Weights = Paraphrasing.weights
        odd: ClassVar[int] = 3

        def __post_init__(self) -> None:
            if self.width > 5:
                raise ValueError(f"width={self.width} must be at most 5")

    assert words_of(Own)["width"] == "How wide, of all that there is, which may be a lot."
    assert words_of(Own)["steps"] == words_of(Infilling)["steps"]
    found = settings_options(Own)
    assert {*found} == {"chains", "steps", "seed", "temperature", "width", "loud"} | {
        one.name for one in fields(Weights)
    }
    (option,) = found["width"][0].__metadata__
    assert option.callback(4.0) == 4.0
    with pytest.raises(typer.BadParameter, match="--width 6 must be at most 5"):
        option.callback(6)
    said = {name: default for name, (_, default) in found.items()} | {"width": 3.0, "fluency": 2.0}
    assert Own(**told_of(Own, said)) == replace(Own(), width=3.0, weights=Weights(fluency=2.0))
    with pytest.raises(TypeError, match=r"Correction\.confusions is a Confusions \| None, which no option can be"):
        settings_options(Correction)


@pytest.mark.parametrize("preset", KEYWORD_PRESETS)
def test_a_preset_stands_for_settings(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.put_in_place(monkeypatch)
    assert call("keywords", "a b", f"--{preset}", "--seed", "3").exit_code == 0
    ((_, settings),) = stub.calls
    own = KEYWORD_PRESETS[preset]
    assert own.items() <= settings.items() and settings["seed"] == 3
    assert any(getattr(KeywordSentences, key) != value for key, value in own.items())
    # both say what they stand for, and neither takes back what was said beside it
    assert f"steps {own['steps']}" in " ".join(call("keywords", "--help").stdout.replace("│", " ").split())
    refused = call("keywords", "a b", f"--{preset}", "--steps", "7")
    assert refused.exit_code == 2 and f"--{preset} stands for steps {own['steps']}" in refused.stderr
    refused = call("keywords", "a b", "--fast", "--better")
    assert refused.exit_code == 2 and "are two presets" in refused.stderr
    assert len(stub.calls) == 1
