"""Verbatim: phrases that a text holds letter by letter."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from objectives import Keywords, Verbatim
from objectives.verbatim import places_of
from textsearch import FunctionObjective
from textsearch.objective import Objective
from textsearch.testing import LetterVocabulary

LETTERS = LetterVocabulary("abcdefghijklmnopqrstuvwxyzMOPUT.,:/@_-()# 0123456789")

TABLE: list[tuple[str, list[str], bool]] = [
    ("see http://a.b/My now", ["http://a.b/My"], True),
    ("see http://a.b/my now", ["http://a.b/My"], False),
    ("see http: //a.b/My now", ["http://a.b/My"], False),
    ("give me 5 kg", ["5 kg"], True),
    ("give me 15 kg", ["5 kg"], False),
    ("give me 5 kgs", ["5 kg"], False),
    ("give me 1.5", ["5"], False),
    ("give me 5.1", ["5"], False),
    ("give me 5.", ["5"], True),
    ("call to_(), or not_to_()", ["to_()"], True),
    ("call not_to_()", ["to_()"], False),
    ("@mikky and @mikky", ["@mikky", "@mikky"], True),
    ("@mikky and others", ["@mikky", "@mikky"], False),
    # one place serves one phrase
    ("5 kg of it", ["5 kg", "5"], False),
    ("5 of 5 kg", ["5 kg", "5"], True),
    ("anything", [], True),
]
"""A text, phrases, and whether it holds them."""


def told(make: Callable[[list[str]], Objective]) -> list[bool]:
    """Of each line of the table, whether the objective has it right."""
    return [
        bool(make(phrases).energy(LETTERS.encode([text])) == (0.0 if holds else math.inf))
        for text, phrases, holds in TABLE
    ]


def test_what_is_held() -> None:
    assert all(told(lambda phrases: Verbatim([phrases])))


@pytest.mark.parametrize("twin", ["a search for strings", "keywords", "phrases that share their places"])
def test_the_table_tells_what_is_broken(twin: str) -> None:
    def broken(phrases: list[str]) -> Objective:
        if twin == "keywords":
            return Keywords(phrases or ["anything"])

        def energy(text: str) -> float:
            if twin == "a search for strings":
                return 0.0 if all(phrase in text for phrase in phrases) else math.inf
            return 0.0 if all(places_of(text, [phrase]) for phrase in phrases) else math.inf

        return FunctionObjective(lambda texts: [energy(text) for text in texts])

    assert not all(told(broken))


def test_each_input_has_its_phrases() -> None:
    batch = LETTERS.encode(["a dog", "a cat", "a"])
    objective = Verbatim([["dog"], ["cat", "a"], []])
    assert objective.energy(batch).tolist() == [0.0, 0.0, 0.0]
    assert objective.energy(batch.rows([2, 1, 0])).tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="phrases has 3 values"):
        objective.check(LETTERS.encode(["a", "b", "c", "d"]))


def test_other_ways_to_write_a_phrase() -> None:
    batch = LETTERS.encode(["PO PO", "Po PO", "PO TO", "po Po"])
    ways = {"PO": ["Po", "TO"]}
    assert Verbatim(["PO"], ways=ways).energy(batch).tolist() == [0.0, 0.0, 0.0, 0.0]
    # "Po" may be had from "PO", for which another place will do
    found = Verbatim(["PO", "Po"], ways=ways)
    assert found.energy(batch).tolist() == [math.inf, 0.0, math.inf, math.inf]
    frozen = found.freeze(batch).editable
    assert not frozen[1, [0, 1, 3, 4]].any() and frozen[[0, 2, 3]].all()
    # the twin gives each phrase the first place that suits it
    twin = [bool(places_of(text, ["PO", "Po"])) and text[:2] == "PO" and "Po" in text for text in batch.texts()]
    assert twin[1] is False
    for wrong, error, message in (
        ({"TO": ["to"]}, ValueError, "ways has other ways to write 'TO', which is none of the phrases"),
        ({"PO": "po"}, TypeError, r"ways\['PO'\]='po' is one string"),
        ({"PO": [""]}, ValueError, r"ways\['PO'\]='' is empty"),
        (["PO"], TypeError, r"ways=\['PO'\] is no mapping"),
    ):
        with pytest.raises(error, match=message):
            Verbatim(["PO"], ways=wrong)  # type: ignore[arg-type]


def test_the_first_places_are_frozen_and_closed() -> None:
    batch = LETTERS.encode(["a 5 kg 5 kg", "kg"])
    found = Verbatim(["5 kg"]).freeze(batch)
    assert found.editable[0].tolist() == [True, True, *[False] * 4, *[True] * 5]
    assert found.open_slots[0].tolist() == [*[True] * 3, *[False] * 3, *[True] * 6]
    assert found.editable[1].equal(batch.editable[1])
    assert Verbatim(["5 kg"], freeze_tokens=False).freeze(batch) is batch


def test_what_cannot_be_meant() -> None:
    for wrong, error, message in (
        ([], ValueError, "phrases is empty"),
        ("dog", TypeError, "phrases='dog' is one string"),
        ([["a"], [" "]], ValueError, r"phrases\[1\]\[0\]=' ' is empty: leave it out"),
        ([["a"], "b"], TypeError, "mixes phrases"),
    ):
        with pytest.raises(error, match=message):
            Verbatim(wrong)
    assert torch.equal(Verbatim(["a"]).energy(LETTERS.encode([])), torch.zeros(0, dtype=torch.float64))
