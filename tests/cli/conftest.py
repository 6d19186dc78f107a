"""What the tests of the command line share."""

from __future__ import annotations

import pytest

from tests.cli import stub


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No task loads a model."""
    stub.put_in_place(monkeypatch)
