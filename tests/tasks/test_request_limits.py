"""Requests as they come from JSON: a request, or one sentence that says what is wrong, at once."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from objectives.keywords import _disjoint
from textsearch.tasks.request import Request


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
