"""Polarity: what is denied may not change."""

from __future__ import annotations

import pytest

from objectives import Polarity
from objectives.polarity import denials


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        ("Which places should we not miss?", "What shouldn't we miss?", True),
        ("Which places should we not miss?", "Which places should we avoid?", False),
        ("Why can't I sleep?", "How can I sleep?", False),
        ("Nobody told me.", "No one told me.", True),
        ("He never came.", "He didn't come.", False),
        ("It is open.", "It isn't open.", False),
        ("He left without a word.", "He left with a word.", False),
        ("I know.", "I note a knot.", True),
    ],
)
def test_denials(text: str, other: str, same: bool) -> None:
    assert (denials(text) == denials(other)) == same


def test_no_sources() -> None:
    with pytest.raises(ValueError, match="sources is empty"):
        Polarity([])
