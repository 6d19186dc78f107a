"""Every option has the default of the function that it stands for."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import typer.main

from tests.cli import stub
from tests.cli.stub import call
from textsearch import tasks
from textsearch.cli import app

ARGUMENTS = {"infill": "A [MASK].", "write": '{"prefix": "A"}'}


def told(task: str) -> dict[str, Any]:
    """The defaults of a task as Python has them, those of a dataclass one by one."""
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(getattr(tasks, task)).parameters.items():
        if is_dataclass(parameter.default):
            found |= {field.name: getattr(parameter.default, field.name) for field in fields(parameter.default)}
        elif parameter.default is not inspect.Parameter.empty:
            found[name] = parameter.default
    return found


@pytest.mark.parametrize("task", stub.COMMANDS)
def test_options_and_arguments_agree(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is declared, and what the function is given when nothing is said."""
    wanted = told(task)
    options = {option.name: option.default for option in typer.main.get_group(app).commands[task].params}
    shared = options.keys() & wanted.keys()
    assert {"chains", "steps", "seed", "temperature", "causal", "masked"} <= shared
    assert {name: options[name] for name in shared} == {name: wanted[name] for name in shared}
    stub.put_in_place(monkeypatch)
    result = call(task, ARGUMENTS.get(task, "a b"))
    assert result.exit_code == 0, result.output
    ((_, settings),) = stub.calls
    if "weights" in settings:
        weights = settings.pop("weights")
        settings |= {field.name: getattr(weights, field.name) for field in fields(weights)}
    assert settings.pop("progress")  # no option: --quiet says that there is none
    settings.pop("numbers", None)
    assert settings == {name: wanted[name] for name in settings}
