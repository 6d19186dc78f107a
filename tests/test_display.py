"""What is said while a run is prepared."""

from __future__ import annotations

import pytest

from textsearch import waiting
from textsearch.result import display


def test_a_log_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain lines, no bar; nothing where nothing is to be shown, or little time has passed."""

    def said(shown: bool) -> str:
        with waiting.waiting("writing drafts", shown) as say:
            say("round 1 [b]:heart:")
        with display.live():
            pass
        return capsys.readouterr().err

    assert said(True) == ""
    monkeypatch.setattr(waiting, "SELDOM", 0.0)
    assert said(True) == "writing drafts: round 1 [b]:heart:\n"
    with waiting.waiting("writing drafts", False) as say:
        say("round 1")
    assert capsys.readouterr().err == ""
