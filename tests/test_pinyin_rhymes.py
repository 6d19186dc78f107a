"""Chinese rhymes, alone and as an objective."""

from __future__ import annotations

import math

import pytest

from objectives import Rhyme
from textsearch.language.characters import CharacterVocabulary

pytest.importorskip("pypinyin")


def test_a_line_rhymes_by_its_last_character() -> None:
    texts = ["春天的花。", "这是我的家。", "他到了树下", "花在家里。", "公园"]
    batch = CharacterVocabulary.of("".join(texts)).encode(texts)
    # a character does not rhyme with itself
    assert Rhyme("看花").energy(batch).tolist() == [math.inf, 0.0, 0.0, math.inf, math.inf]
    assert Rhyme("天").energy(batch).tolist() == [math.inf, math.inf, math.inf, math.inf, 0.0]
