"""Words for gaps, on tiny random models: nonsense in the gaps, and around them what was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch.tasks import infill
from textsearch.tasks.gaps import parts_of

TEXTS = [
    "NASA's iPhone [MASK] costs $5.00 at 3:00pm, OK?",
    "See https://www.Example.com/My-Page for <mask>.",
    "The café in São Paulo is ___.",
    "if (x is not None) [mask] (x>1)",
    "I love this [MASK] 😀!",
    "the  old\t[MASK] [MASK]\nran\u00a0home, _____ 你好.  ",
    "the dog\n[MASK] ran",
    "[MASK]",
    '("[MASK]")',
]


def fillings(text: str, parts: Sequence[str]) -> list[str]:
    """What stands in the gaps of a text; fails where anything around them is another."""
    assert text.startswith(parts[0])
    rest, found = text[len(parts[0]) :], []
    for part in parts[1:]:
        at = rest.find(part, 1) if part else len(rest)
        assert at > 0, (text, parts)
        found.append(rest[:at])
        rest = rest[at + len(part) :]
    assert rest == "", (text, parts)
    return found


def test_all_but_the_gaps_is_as_it_was_written(tiny: Tiny) -> None:
    result = infill(TEXTS, chains=4, steps=6, causal=tiny.causal(), masked=tiny.masked(), seed=0)
    assert result.sources == TEXTS
    texts = result.texts
    assert len(texts) == 4 * len(TEXTS)
    for row, text in enumerate(texts):
        for filling in fillings(text, parts_of(TEXTS[row // 4]).parts):
            # a word, no mark: they are refused as beginnings of words
            assert filling[0].isalnum() and filling == filling.strip()
    assert len(set(texts)) > 2 * len(TEXTS)


def test_marks_when_they_are_asked_for(tiny: Tiny) -> None:
    settings: dict[str, Any] = {"chains": 40, "steps": 0, "causal": tiny.causal(), "masked": tiny.masked()}
    with_marks = infill(["the dog [MASK] ran"], marks=True, **settings)
    without = infill(["the dog [MASK] ran"], **settings)
    assert any(not text[8].isalnum() for text in with_marks.texts)
    assert all(text[8].isalnum() for text in without.texts)


def test_a_gap_of_the_user_s_own(tiny: Tiny) -> None:
    settings: dict[str, Any] = {"chains": 2, "steps": 2, "causal": tiny.causal(), "masked": tiny.masked()}
    for text in infill(["The ?? said ___ twice."], gap="??", **settings).texts:
        assert len(fillings(text, ["The ", " said ___ twice."])) == 1


@pytest.mark.parametrize(
    ("text", "gap", "message"),
    [
        ("nothing", None, r"'nothing' has no gap: write \[MASK\], \[mask\], <mask> or ___ for each word"),
        ("a __ b", None, "has no gap"),
        ("a [MASK] b", "??", r"has no gap: write \?\? for each word"),
        ("a [MASK] b", " ", "gap=' ' must be what stands for a gap"),
        ("a [MASK] b", 3, "gap=3 must be what stands for a gap"),
    ],
)
def test_what_cannot_be_meant(text: str, gap: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        infill([text], gap=gap, causal="no/such/model", masked="no/such/model")
