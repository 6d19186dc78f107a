"""Preserve: what a text says of who, how many and whether at all stays."""

from __future__ import annotations

import pytest
import torch

from objectives import Preserve
from objectives.preserve import facts
from textsearch import FunctionObjective
from textsearch.testing import LetterVocabulary

LETTERS = LetterVocabulary("abcdefghijklmnopqrstuvwxyzIWY '’,.?0123456789")


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        ("We need 5 kg.", "I need 5 kg.", False),
        ("We need 5 kg.", "We needed 5 kg.", True),
        ("We need 5 kg.", "We need 6 kg.", False),
        ("Young people do enjoy it.", "Young people do not enjoy it.", False),
        ("Young people don't enjoy it.", "Young people do not enjoy it.", True),
        ("I can go.", "I go.", False),
        ("I can go.", "I could go.", True),
        ("I can't go.", "I can go.", False),
        ("Is it you?", "Is it?", False),
        ("I'm here", "I am here", True),
        ("You’re here", "Your here", True),
        ("He saw two dogs", "He saw to dogs", False),
        ("It hardly works", "It works hard", False),
        ("They go", "it goes", True),
        ("This is one way", "This is a way", True),
        ("two dogs", "2 dogs", True),
        ("No money", "Not money", False),
        # a month, and the verb
        ("in may we was there", "In May we were there", True),
        ("we came on may 5", "We came on 5", True),
        ("I was born at may.", "I was born in May.", True),
        ("from may to june", "from May to June", True),
        ("It was 5 may", "It was 5 May.", True),
        ("May I come?", "Can I come?", True),
        ("Those who come early may leave", "Those who come early leave", False),
        ("The house we live in may be sold", "The house we live in is sold", False),
        ("we may come", "we come", False),
        # the same digits, and another number
        ("It costs 1.5.", "It costs 5.1.", False),
        ("at 3:00", "at 3, 00", False),
        ("It is 1,000.5", "it was 1,000.5.", True),
    ],
)
def test_facts(text: str, other: str, same: bool) -> None:
    assert (facts(text) == facts(other)) == same


def test_a_misspelt_word_may_have_been_meant_to_be_any_of_several() -> None:
    batch = LETTERS.encode(["I do not know", "I do note know", "I do not not know", "I do not"])
    assert Preserve("I do nto know", [["not note"]]).energy(batch).tolist() == [0.0, 0.0, 1.0, 0.0]
    # the control: what the source does not say is added, whatever was meant
    assert Preserve("I do nto know").energy(batch).tolist() == [1.0, 0.0, 2.0, 1.0]


def test_what_is_dropped_counts_as_what_is_added() -> None:
    """A twin that sees additions alone lets a denial go."""
    batch = LETTERS.encode(["I do not", "I do", "I do not not"])
    twin = FunctionObjective(lambda texts: [float((facts(text) - facts("I do not")).total()) for text in texts])
    assert Preserve("I do not").energy(batch).tolist() == [0.0, 1.0, 1.0]
    assert twin.energy(batch).tolist() == [0.0, 0.0, 1.0]


def test_each_input_has_its_source() -> None:
    batch = LETTERS.encode(["I go", "you go"])
    assert Preserve(["I go", "I go"]).energy(batch).tolist() == [0.0, 2.0]
    with pytest.raises(ValueError, match="sources has 2 values"):
        Preserve(["I go", "I go"]).check(LETTERS.encode(["a", "b", "c"]))
    assert Preserve("I go", kinds=["number", "denial"]).energy(batch).tolist() == [0.0, 0.0]
    assert Preserve("I go").energy(batch).dtype == torch.float64


def test_what_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="sources is empty"):
        Preserve([])
    with pytest.raises(ValueError, match=r"kinds=\['tense'\] must be some of denial, number"):
        Preserve("a", kinds=["tense"])
    with pytest.raises(ValueError, match="sources has 2 values, but meant has 3"):
        Preserve(["a", "b"], [["c"], [], []])
