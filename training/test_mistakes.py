"""Mistakes put into good sentences: as often as they are said to be, of words that stay words, by the seed alone."""

from __future__ import annotations

from random import Random

from textsearch.language.confusions import EnglishConfusions
from textsearch.language.words import bare, split
from training.corrector import batches
from training.mistakes import KINDS, UNTOUCHED, mistaken, slip

ENGLISH = EnglishConfusions()
TEXT = "She went to the school in Lodz because the children's teacher, Mr. Nowak, had asked them to read a long book."


def test_mistakes_are_as_many_as_is_said_and_rest_on_the_seed() -> None:
    found = [mistaken(TEXT, Random(seed), ENGLISH) for seed in range(400)]
    untouched = sum(text == TEXT for text in found) / len(found)
    assert abs(untouched - UNTOUCHED) < 0.08
    assert found[:20] == [mistaken(TEXT, Random(seed), ENGLISH) for seed in range(20)]
    # most of a text stays: a model learns to copy it
    own = [bare(token) for token in split(TEXT)]
    stayed = [sum(bare(token) in own for token in split(text)) / len(own) for text in found]
    assert 0.75 < sum(stayed) / len(stayed) < 0.97
    assert all("Lodz" in text or "lodz" in text or "Lodzb" in text for text in found[:100])


def test_each_kind_changes_something_where_it_finds_a_place() -> None:
    for number, kind in enumerate(KINDS):
        changed = 0
        for seed in range(40):
            tokens = split(TEXT)
            done = kind(tokens, Random(1000 * number + seed), ENGLISH)
            assert done or tokens == split(TEXT)
            changed += tokens != split(TEXT)
        assert changed > 3, kind
    assert all(slip("receive", Random(seed))[0] == "r" for seed in range(50))


def test_rows_of_one_length_stand_together_and_only_answers_are_told() -> None:
    rows = [([1] * n, n // 2) for n in (3, 9, 4, 8, 5)]
    found = batches(rows, 12, Random(0))
    assert all(tokens.numel() <= 12 for tokens, _ in found)
    assert sum(int(told.sum()) for _, told in found) == sum(len(row) - begins for row, begins in rows)
    assert sum(len(tokens) for tokens, _ in found) == len(rows)
