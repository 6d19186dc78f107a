from __future__ import annotations

import pytest

from textsearch.language.words import TIGHT, WordVocabulary, apart, attach, bare, gap, join, split

TEXTS = [
    "He doesn't know, does he?",
    'They said: "It\'s 3.50 (or 4,000) -- or so..."',
    "  Two  spaces,\na new line\n",
    "well-known facts can't won't CAN'T I’m",
    "e-mail@x.org 50% $5 #1 [MASK] don'ts doens't",
    "Ünïcode — “quoted” 今天很好。",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_letter_by_letter(text: str) -> None:
    tokens = split(text)
    assert join(tokens) == text
    words = WordVocabulary.of(tokens)
    assert words.encode([text]).texts() == [text]


def test_tokenised_text_comes_back_and_reads_well() -> None:
    line = "`` I do n't , '' he said ( or so ) . She 's \" here \" ."
    tokens = attach(line.split())
    assert apart(tokens) == line
    assert join(tokens) == "``I don't,'' he said (or so). She's \"here\"."


def test_contractions_are_words_of_their_own() -> None:
    assert apart(split("She doesn't, can't, won't, I'm, it's.")) == "She does n't , ca n't , wo n't , I 'm , it 's ."


def test_a_token_of_two_words() -> None:
    tokens = ["I", f"do{TIGHT}n't", "a lot"]
    assert join(tokens) == "I don't a lot"
    assert apart(tokens) == "I do n't a lot"


def test_the_gap_and_the_word() -> None:
    assert [(gap(token), bare(token)) for token in split("a (b)\nc")] == [
        ("", "a"),
        ("", "("),
        (TIGHT, "b"),
        (TIGHT, ")"),
        ("\n", "c"),
    ]


def test_a_word_of_another_text() -> None:
    with pytest.raises(ValueError, match="'there' of 'hello there'"):
        WordVocabulary.of(["hello"]).encode(["hello there"])
