"""Woven drafts: nothing is missing, whatever the model would rather have written."""

from __future__ import annotations

from typing import Any

from samplers.starts.woven import woven
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny

PROMPTS = ["the old", "dog", ""]
WANTED = [["cat", "ran"], ["sat", "old", "red", "dog"], ["and"]]


def missing(text: str, number: int) -> list[str]:
    held = text.rstrip(".").split()
    return [word for word in WANTED[number] if word not in held]


def weave(tiny: Tiny, prompts: list[str] = PROMPTS, **settings: Any) -> list[list[str]]:
    return woven(tiny.words(), prompts, missing, **{"count": 8, "seed": 3, "max_tokens": 24, **settings})


def test_nothing_is_missing(tiny: Tiny) -> None:
    found = weave(tiny)
    # some run into the limit
    assert all(len(texts) >= 7 for texts in found)
    for number, texts in enumerate(found):
        assert not any(missing(text, number) for text in texts)
        assert len(set(texts)) > 1


def test_without_weaving_much_is(tiny: Tiny) -> None:
    assert len(weave(tiny, rounds=1, max_tokens=8)[1]) < 4


def test_nobody_asked_for_anything(tiny: Tiny) -> None:
    found = woven(tiny.words(), [""], lambda text, number: [], count=8, seed=3, max_tokens=12)
    assert len(found[0]) >= 6
    assert found == woven(tiny.words(), [""], lambda text, number: [], count=8, seed=3, max_tokens=12, rounds=1)


def test_the_same_seed_writes_the_same_whoever_is_beside(tiny: Tiny) -> None:
    whole = weave(tiny)
    assert whole == weave(tiny)
    assert whole != weave(tiny, seed=4)
    assert weave(tiny, PROMPTS[:1]) == whole[:1]


def test_what_does_not_fit_is_dropped(tiny: Tiny) -> None:
    assert all(len(text.split()) <= 3 for texts in weave(tiny, max_tokens=3) for text in texts)
    assert not weave(tiny, max_tokens=3)[1]


def test_an_empty_answer_is_no_text(tiny: Tiny) -> None:
    assert weave(tiny, finish=lambda text, number: "") == [[], [], []]


def test_again_keeps_beginnings(tiny: Tiny) -> None:
    first = weave(tiny)
    second = weave(tiny, seed=5, again=[texts[:2] for texts in first])
    for number, texts in enumerate(second):
        assert texts and not any(missing(text, number) for text in texts)
        begins = {text.split()[0] for text in first[number][:2]}
        assert sum(text.split()[0] in begins for text in texts) > len(texts) / 2
    # of an input without texts the drafts are fresh
    assert all(len(texts) >= 7 for texts in weave(tiny, again=[[], [], []]))


def test_the_report_shows_texts_in_which_nothing_is_missing(tiny: Tiny) -> None:
    said: list[str] = []
    found = weave(tiny, report=said.append)
    assert found == weave(tiny)
    assert said[0] == "24 at once" and said[1].startswith("one of 24 is ready: ")
    rounds = [line for line in said if "of 24 found, round" in line]
    assert rounds[0].startswith(f"{rounds[0].split()[0]} of 24 found, round 1 of at most 12")
    shown = [line.partition(": ")[2] for line in said[1:] if ": " in line]
    assert shown and set(shown) <= {text for own in found for text in own}
