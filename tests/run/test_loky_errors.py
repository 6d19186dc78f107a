"""Errors of threads, told and not."""

from __future__ import annotations

import threading

import pytest
from joblib.externals.loky import process_executor

from textsearch.run.loky_errors import hush_ended


def test_only_the_end_of_loky_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    hush_ended.cache_clear()
    hush_ended()

    def die(kind: type[threading.Thread], error: Exception) -> None:
        thread = kind.__new__(kind)
        threading.Thread.__init__(thread)

        def run() -> None:
            raise error

        monkeypatch.setattr(thread, "run", run)
        thread.start()
        thread.join()

    manager = process_executor._ExecutorManagerThread
    die(manager, KeyError(5))
    assert told == []
    die(manager, OSError())
    die(threading.Thread, KeyError(5))
    assert told == [OSError, KeyError]
