"""Masks by partial matches: every text that matches can be written under them."""

from __future__ import annotations

import pytest
import torch

from objectives import Pattern, partial_matches
from objectives import pattern as patterns
from textsearch.beginnings import Beginnings
from textsearch.testing import ByteVocabulary

BYTES = ByteVocabulary((b"_", *(bytes([one]) for one in sorted(set("ab- éí中😀".encode())))))
CASES = [
    (r"(é)\1", "éé"),
    (r"(中|a)\1", "中中"),
    (r"(😀)a*\1", "😀a😀"),
    (r"([aé])\1", "éé"),
    (r"(a)\1\Bb", "aab"),
    (r"(-)\1\ba", "--a"),
    (r"(a)\1(?!$)b", "aab"),
    (r"^\b(a|b) \1\b$", "a a"),
    (r"(?(?!b$)b|(-)\1)a", "ba"),
]


def is_writable(pattern: str, text: str) -> bool:
    """Whether the mask lets the text be written, byte by byte, and end."""
    row = [BYTES.token_bytes.index(bytes([one])) for one in text.encode()]
    objective = Pattern(pattern, full=True)
    rows = [row[:size] for size in range(len(row) + 1)]
    told = objective.allowed_next(Beginnings(BYTES, 0, rows, [0] * len(rows)))
    assert told is not None and objective.languages.of(0).accepts(text)
    return bool(told[torch.arange(len(rows)), torch.tensor([*row, 0])].all())


def test_within_a_character_what_must_come_again_is_known() -> None:
    """Of the two characters that the engine lets through one was written."""
    token = BYTES.token_bytes.index
    row = [token(b"\xc3"), token(b"\xa9"), token(b"\xc3")]
    told = Pattern(r"([éí])\1", full=True).allowed_next(Beginnings(BYTES, 0, [row[:1], row], [0, 0]))
    assert told is not None
    assert [[BYTES.token_bytes[one] for one in own.nonzero().squeeze(-1).tolist()] for own in told] == [
        [b"\xa9", b"\xad"],
        [b"\xa9"],
    ]


@pytest.mark.parametrize(("pattern", "text"), CASES)
def test_what_matches_can_be_written(pattern: str, text: str) -> None:
    assert is_writable(pattern, text)


def test_trials_that_take_too_long_together_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_matches, "TOGETHER", -1)
    with pytest.raises(
        TimeoutError, match=r"pattern='\(a\)\\\\1' takes too long for timeout=0.1 s .*or allow more time"
    ):
        is_writable(r"(a)\1", "aa")


def test_a_partial_match_that_takes_a_beginning_for_the_whole_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken twin: expressions with places within are tried, too."""
    monkeypatch.setattr(patterns, "tells_of_beginnings", lambda pattern: True)
    assert not is_writable(r"(a)\1\Bb", "aab")
