"""Requests as they come from JSON: a request, or one sentence that says what is wrong, at once."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from objectives.keywords import _disjoint, _phrase_places_scarce_first, _Steps
from samplers.proposals import SpanEdit
from textsearch.checks import MAX_TOKENS
from textsearch.tasks import keyword_sentences
from textsearch.tasks.request import Request
from textsearch.tasks.room import check_request, check_texts
from textsearch.testing import TableMaskedLM, letters


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"words": [12, 6]}, "exchange them"),
        ({"words": [0, 0]}, "leaves room for no text"),
        ({"words": "12"}, "must be a whole number, or a pair"),
        ({"words": [1, 200000000]}, "limit of 400 words"),
        ({"template": "a *{999999}"}, "limit of 400"),
        ({"prefix": "word " * 3000}, "limit of"),
        ({"required": ["dog"] * 1200}, "limit of 100"),
        ({"prefx": "a"}, "did you mean 'prefix'"),
        (None, "is no request"),
    ],
)
def test_a_wrong_request_is_one_sentence(given: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        Request.of(given)
    assert len(str(caught.value)) < 500


def test_random_requests_are_made_or_refused() -> None:
    rng = random.Random(0)
    names = ["prefix", "suffix", "template", "required", "forbidden", "words", "characters", "acrostic", "regex"]
    values = [None, True, 5, -1, 1.5, float("nan"), "", "a b", "* a *{2}", "(", [], [1, 2], [2, 1], [None], {"a": 1}]
    for _ in range(300):
        given = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(1, 4))}
        try:
            Request.of(given)
        except (ValueError, TypeError) as error:
            assert str(error)


def test_numbers_of_numpy_will_do() -> None:
    assert Request.of({"words": [np.int64(5), None]}).words == (5, None)


def test_many_equal_keywords_are_told_at_once() -> None:
    assert _disjoint([list(range(0, 26, 2))] * 14, [2] * 14) is None
    assert sorted(_disjoint([list(range(1200))] * 1200, [1] * 1200) or []) == list(range(1200))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"words": [100, 120]}, r"words=\(100, 120\) takes 100 words or more, above the limit of 63"),
        ({"prefix": "the dog ran " * 30}, "takes 90 words or more, above the limit of 63"),
        ({"characters": [1000, 2000]}, "takes 1000 characters or more, above the limit of 512"),
        ({"acrostic": "a" * 70}, "takes 70 words or more, above the limit of 63"),
        ({"acrostic": "A1"}, "acrostic='A1' holds '1', with which no word begins"),
        ({"acrostic": "A11", "required": ["1"]}, "acrostic='A11' holds '1'"),
    ],
)
def test_what_no_text_has_room_for(given: Any, message: str) -> None:
    """A text may grow to so many tokens, and each word has one or more."""
    assert SpanEdit(TableMaskedLM.random(letters("ab"), seed=0), {(1, 1): 1.0}).max_length == MAX_TOKENS
    with pytest.raises(ValueError, match=message) as caught:
        Request.of(given)
    assert len(str(caught.value)) < 500


def test_digits_of_an_acrostic_may_be_given() -> None:
    assert Request.of({"acrostic": "A1", "required": ["10"]}).acrostic == "A1"


def test_what_the_vocabulary_cannot_write_is_named() -> None:
    vocabulary = letters("abc ☃.")
    with pytest.raises(ValueError, match="suffix='d' cannot be written"):
        check_request(Request(suffix="d"), vocabulary)
    with pytest.raises(ValueError, match="takes 70 tokens or more, above the limit of 64"):
        check_request(Request(prefix="a" * 40, suffix="b" * 29), vocabulary)
    with pytest.raises(ValueError, match="takes 65 tokens, above the limit of 64"):
        check_texts(["a" * 64, "a" * 65], vocabulary)
    check_request(Request(prefix="a" * 30, template="a" * 30 + " *", required=("b",)), vocabulary)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (["dog"] * 1200, "1,200 phrases, above the limit of 100"),
        (["a b"] * 32, "64 words, above the limit of 63"),
        (["x" * 5000], "5,000 characters, above the limit of 4,000"),
    ],
)
def test_too_many_keywords_are_refused_before_a_model(
    keywords: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("textsearch.tasks.resolve.masked", loaded)
    with pytest.raises(ValueError, match=message):
        keyword_sentences.keywords([keywords])


def test_phrases_that_overlap() -> None:
    """Against every choice there is; a search that is too long ends, and never finds what is not there."""
    rng = random.Random(0)
    for _ in range(300):
        sizes = [rng.choice([1, 1, 2, 3]) for _ in range(rng.randrange(1, 6))]
        starts = [sorted(rng.sample(range(8), rng.randrange(1, 5))) for _ in sizes]
        if rng.random() < 0.3:
            starts[-1], sizes[-1] = starts[0], sizes[0]
        ways = [one for one in itertools.product(*starts) if _apart(one, sizes)]
        found = _disjoint(starts, sizes)
        assert (found is None) == (not ways)
        assert found is None or tuple(found) in ways
        scarce = _phrase_places_scarce_first(list(zip(starts, sizes, strict=True)), _Steps())
        assert set(map(tuple, scarce)) <= set(ways)
    pairs = [f"{a} {b}" for a in "abcdefg" for b in "abcdefg" if a != b]
    chosen = rng.sample(pairs, 25)
    text = " ".join(rng.sample(chosen, 25)).split()
    options = [[at for at in range(len(text) - 1) if text[at : at + 2] == one.split()] for one in chosen]
    assert (found := _disjoint(options, [2] * 25)) is not None and _apart(found, [2] * 25)
    # thirty phrases of two words and room for two less: exponential for a plain search
    assert _disjoint([list(range(57))] * 15 + [list(range(56))] * 15, [2] * 30) is None


def _apart(starts: Sequence[int], sizes: Sequence[int]) -> bool:
    spans = sorted((start, start + size) for start, size in zip(starts, sizes, strict=True))
    return all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
