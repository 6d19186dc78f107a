"""Ctrl-C and SIGTERM, wherever they fall."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import pytest

from textsearch.cli.signals import Interrupted, heeded


class Dying:
    """Is stopped in its finaliser, where nothing that is raised can be caught."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(10_000))


def wait(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.005)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Python would print of what it ignores."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda said: found.append(said.exc_type))
    return found


def test_a_stop_in_a_finaliser_comes_again(told: list[Any]) -> None:
    with heeded() as stop:
        with pytest.raises(Interrupted):
            one = Dying()
            del one
            wait(5)
        assert stop.signal == signal.SIGINT and stop.exit_code == 130
    assert told == []


def test_python_alone_would_lose_it(told: list[Any]) -> None:
    one = Dying()
    del one
    wait(0.1)
    assert told == [KeyboardInterrupt]


def test_other_troubles_of_finalisers_are_told_as_ever(told: list[Any]) -> None:
    class Broken:
        def __del__(self) -> None:
            raise OSError("gone")

    with heeded():
        one = Broken()
        del one
    assert told == [OSError]


def test_nothing_comes_once_all_is_over(told: list[Any]) -> None:
    with heeded() as stop, stop.held():
        one = Dying()
        del one
    stop._again()
    wait(0.1)
    assert stop.signal == signal.SIGINT and told == []
