"""What the tests of the command line share."""

from __future__ import annotations

import inspect

import pytest

from tests.cli import contract, stub
from textsearch import tasks


@pytest.fixture(autouse=True)
def agreed_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream of the package, where it takes the numbers of inputs."""
    if "numbers" not in inspect.signature(tasks.stream).parameters:
        monkeypatch.setattr(tasks, "stream", contract.stream)


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No task loads a model."""
    stub.put_in_place(monkeypatch)
