"""Surface text: pieces become the sentence that a person would have written, and reading it back changes nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tokenizers import normalizers, pre_tokenizers

from textsearch.language.surface import join_words, proper_names, truecase

_NORMALIZER: Any = normalizers.BertNormalizer(lowercase=True)
_SPLITTER: Any = pre_tokenizers.BertPreTokenizer()


def split(text: str) -> list[str]:
    """Words as a lower-casing BERT tokenizer sees them."""
    return [word for word, _ in _SPLITTER.pre_tokenize_str(_NORMALIZER.normalize_str(text))]


def render(words: list[str]) -> str:
    return join_words(truecase(words))


SENTENCES = [
    "The dog sat on the mat.",
    '"Hello," she said, "come in."',
    'He said "yes" and "no".',
    "Don't you think it's fine? I'm sure they've gone, we'll see, he'd know.",
    "The dogs' owner came; who won?",
    "A well-known, state-of-the-art model.",
    "Pi is 3.14159 and 1,000,000 is big.",
    "The year is 2020. It was bad.",
    "It costs $5.99 (about £4) or 50%.",
    "Wait... What?!",
    "See [1] and {x}: both hold.",
    "From 2001-2005 he was #1 in London & Paris.",
    "Today is sunny – really – and warm — ok.",
    "He said “fine” and ‘ok’…",
    "Mr. Smith met an American on Monday in March.",
    "今天很好。我们走吧！",
    "“你好，”他说：（今天）《书》、「好」。",
    "Cafe naive",
    "?",
    "",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_sentences_come_back_as_written(sentence: str) -> None:
    assert render(split(sentence)) == sentence


ROUGH = [
    "rock 'n' roll",
    "'twas the night",
    "and/or",
    "at 10:30 a.m. on monday, in washington, d.c. today",
    "e-mail me: a@b.com",
    "a - b",
    "in 1999, 2000 people came",
    "1 + 1 = 2 * 1",
    "the u.s. army's `x` and \\n",
    'an "open quote',
    "'quoted' words, '",
    "- a list - of - things -",
    "...",
    "我喜欢 python 和 bert。",
    "私はカタカナです。",
    "it’s fine",
    "안녕하세요 세계",
]


@pytest.mark.parametrize("text", [*SENTENCES, *ROUGH])
def test_rendering_settles(text: str) -> None:
    words = split(text)
    once = render(words)
    assert split(once) == words
    assert render(split(once)) == once
    assert render(words) == once


def test_any_row_of_words_is_read_back_as_it_was() -> None:
    pool = "the dog i s t re london a 12 3 1999 . , ! ? ; : ' \" - ( ) [ ] $ % # & / – “ ” 今 天 。 £ € £5 ß ŉ"
    chance = random.Random(0)
    for _ in range(3000):
        words = chance.choices(pool.split(), k=chance.randint(0, 12))
        text = render(words)
        assert split(text) == words, text


def test_a_rendering_that_forgets_spaces_is_caught() -> None:
    words = split("the dog sat.")
    assert split("".join(words)) != words


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["it", "’", "s", "here"], "it’s here"),
        (["don", "’", "t"], "don’t"),
        (["세계", "는"], "세계 는"),
        (["用", "bert", "。"], "用 bert。"),
    ],
)
def test_marks_beyond_ascii(words: list[str], text: str) -> None:
    assert join_words(words) == text


def test_one_word_and_none() -> None:
    assert join_words([]) == ""
    assert truecase([]) == []
    assert join_words(["dog"]) == "dog"


@pytest.mark.parametrize(
    ("words", "cased"),
    [
        ("i saw london and i ran .", "I saw London and I ran ."),
        ("so ? yes ! no . ok", "So ? Yes ! No . Ok"),
        ('" the dog "', '" The dog "'),
        ("( he . she )", "( He . She )"),
        ("3 dogs ran", "3 dogs ran"),
        ("nasa and the usa in march", "NASA and the USA in March"),
        ("the [MASK] . [MASK] dog", "The [MASK] . [MASK] Dog"),
        ("dog , cat ; mat : tree", "Dog , cat ; mat : tree"),
    ],
)
def test_capitals(words: str, cased: str) -> None:
    assert truecase(words.split()) == cased.split()


def test_truecase_changes_nothing_but_capitals() -> None:
    for sentence in [*SENTENCES, *ROUGH]:
        words = split(sentence)
        cased = truecase(words)
        assert [word.lower() for word in cased] == words
        assert truecase([word.lower() for word in cased]) == cased


def test_names_are_capitalised_forms_of_their_keys() -> None:
    names = proper_names()
    assert len(names) > 1000
    assert all(key == name.lower() and name != key for key, name in names.items())
    assert names["london"] == "London"
    assert not names.keys() & {"the", "dog", "may", "will", "us", "it", "in", "bill", "rose"}
