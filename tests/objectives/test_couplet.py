"""Couplets: the second line to a first one."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from objectives import Couplet, ParallelSpeech
from textsearch.language.characters import CharacterVocabulary
from textsearch.language.couplets import speech, tones
from textsearch.tasks.prompts import COUPLETS
from textsearch.tasks.request import Request

pytest.importorskip("pypinyin")

PAIRS = [*COUPLETS.examples, ("春风又绿江南岸", "明月何时照我还。")]
BROKEN: dict[str, Callable[[str, str], str]] = {
    "a character of the first line": lambda first, second: first[0] + second[1:],
    "one more": lambda first, second: "一" + second,
    "one less": lambda first, second: second[1:],
    "the tones of the first line": lambda first, second: second[0] + first[1] + second[2:],
    "its last tone": lambda first, second: second[:-2] + first[-1] + "。",
    "a character twice": lambda first, second: second[2] + second[1:],
    "another mark": lambda first, second: second[:2] + "、" + second[2:],
}


def energy(first: str, second: str) -> float:
    return float(Couplet(first).energy(CharacterVocabulary.of(second).encode([second])))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_couplets_that_people_wrote(first: str, second: str) -> None:
    assert energy(first, second) == 0.0
    assert energy(second, first) == 0.0  # the form has no order


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_rule_is_told(broken: Callable[[str, str], str]) -> None:
    for first, second in PAIRS:
        assert energy(first, broken(first, second)) == math.inf, second


def test_what_comes_again_comes_again() -> None:
    assert energy("山山水", "天天好") == math.inf  # tones
    assert energy("处处水", "天天来") == 0.0
    assert energy("处处水", "天人来") == energy("处事水", "天天来") == math.inf


def test_tones_are_those_of_the_commonest_reading() -> None:
    assert [sorted(tones(one)) for one in "中重好"] == [["level"], ["oblique"], ["oblique"]]
    with pytest.raises(ValueError, match="holds 'a', which has no tone that is known"):
        Couplet("春a")


def test_parallel_parts_of_speech() -> None:
    """Of whole sayings the parts count, and not that they are sayings."""
    assert speech("春风吹") == ["noun", "-noun", "verb"]
    assert len(speech("海阔凭鱼跃")) == 5 and speech("百花齐放")[:2] != speech("万紫千红")[:2]
    batch = CharacterVocabulary.of("细雨落。跑很红").encode(["细雨落。", "跑很红。"])
    assert ParallelSpeech("春风吹").energy(batch).tolist() == [0.0, 3.0]


def test_requests_for_couplets() -> None:
    asked = Request(couplet="海内存知己，天涯若比邻")
    assert asked.restated().template == "*{5}，*{5}。" and asked.restated().restated() == asked.restated()
    assert Request(couplet="春回大地", forbidden=["的"]).restated().forbidden == ("的",)
    with pytest.raises(ValueError, match=r"couplet='春回大地' lays out the whole line: leave template out"):
        Request(couplet="春回大地", template="花*")
    with pytest.raises(ValueError, match="holds 'dog', which has no tone"):
        Request(couplet="dog")
