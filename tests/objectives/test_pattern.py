from __future__ import annotations

import math
import pickle
import re
from typing import Any

import pytest

from objectives.pattern import Pattern
from textsearch.objective import Cost
from textsearch.testing import check_objective, letters

from .laws import ENGLISH, TEXTS, energies

INF = math.inf
SLOW = r"(.*)(.*)(.*)(.*)(.*)[xy]\1"


@pytest.mark.parametrize("objective", [Pattern("^the"), Pattern(r"dogs?\b", forbid=True)])
def test_rows_do_not_mix(objective: Pattern) -> None:
    check_objective(objective, ENGLISH.encode(TEXTS))


@pytest.mark.parametrize("pattern", [r"^the", r"dog\b", r"\bcat\b", r"(\w+) (\w+)! \1 \2", r"", r"^$", r"(?i)THE"])
def test_a_search_in_the_surface_text(pattern: str) -> None:
    texts = ENGLISH.encode(TEXTS).texts()
    wanted = [re.search(pattern, text) is not None for text in texts]
    assert energies(Pattern(pattern)) == [0 if found else INF for found in wanted]
    assert energies(Pattern(pattern, forbid=True)) == [INF if found else 0 for found in wanted]


def test_unicode_properties() -> None:
    batch = letters("今天a").encode(["今天", "今a天"])
    assert Pattern(r"^\p{Han}+$").energy(batch).tolist() == [0, INF]


def test_equal_texts_of_different_tokens_count_alike() -> None:
    batch = ENGLISH.encode(["cat s", "cats", "cats"])
    assert Pattern("cats").energy(batch).tolist() == [INF, 0, 0]


@pytest.mark.parametrize(
    "pattern", [r"^(a+)+$", r"^(\w+\s?)+:$", r"(x+x+)+y", r"^(?=(a|a)*$)(?!(a|aa)*b)", r"(.*a){20}b"]
)
def test_what_is_regular_has_no_clock(pattern: str) -> None:
    """Backtracking would take longer than the world is old."""
    batch = letters("ab").encode(["a" * 300 + "b", "a" * 300])
    quick = [re.search(pattern, text) is not None for text in ("a" * 12 + "b", "a" * 12)]
    if "20" in pattern:
        quick = [True, False]
    assert Pattern(pattern, timeout=1e-9).energy(batch).tolist() == [0 if found else INF for found in quick]


def test_slow_pattern_times_out() -> None:
    batch = letters("ab").encode(["ab", "ab" * 100])
    assert Pattern(SLOW, timeout=5).energy(batch.rows([0])).tolist() == [INF]
    with pytest.raises(TimeoutError, match=r"took longer than timeout=0\.02 s on the text 'abab.*write it") as caught:
        Pattern(SLOW, timeout=0.02).energy(batch)
    assert repr(SLOW) in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [("(a", r"missing \) at position 2"), ("*a", "nothing to repeat at position 0"), ("[a", "at position 2")],
)
def test_bad_expression(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"pattern={re.escape(repr(pattern))} is no regular expression: .*{problem}"):
        Pattern(pattern)


@pytest.mark.parametrize("timeout", [0, -1, INF, math.nan])
def test_bad_timeout(timeout: float) -> None:
    with pytest.raises(ValueError, match=f"timeout={timeout} must be a positive number of seconds"):
        Pattern("a", timeout=timeout)


def test_pattern_must_be_a_string() -> None:
    other: Any = b"a"
    with pytest.raises(TypeError, match="pattern=b'a' is one string; pass a list of regular expressions"):
        Pattern(other)


def test_value() -> None:
    batch = ENGLISH.encode(TEXTS)
    assert Pattern("a") == Pattern("a")
    assert Pattern("a") != Pattern("a", forbid=True)
    assert repr(Pattern("a")) == "Pattern(pattern=('a',), forbid=False, full=False, timeout=0.1)"
    assert pickle.loads(pickle.dumps(Pattern("^the"))).energy(batch).tolist() == energies(Pattern("^the"))
    assert (Pattern("a").name, Pattern("a").cost) == ("pattern", Cost.HARD)


def test_nothing_is_checked_or_frozen() -> None:
    batch = ENGLISH.encode(TEXTS)
    Pattern("zebra").check(batch)
    assert Pattern("dog").freeze(batch) is batch


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("|".join(f"word{number}" for number in range(30_000)), "characters above the limit of 10,000"),
        ("(a{1000}){1000}", "1,001,000 parts"),
        ("((a{100}){100}){1,100}", "1,010,100 parts"),
        ("(?:" * 101 + "a" + ")" * 101, "101 groups within groups above the limit of 100: nest fewer"),
        ("(a{1000,}){1000,}", "1,001,000 parts"),
        ("((){1000}){1000}", "1,001,000 parts"),
        ("a{" + "9" * 5000 + "}", "1,000,000,000 parts"),
    ],
)
def test_an_expression_that_takes_long_to_compile_names_its_limit(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        Pattern(pattern)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "pattern", ["(a{100}){100}", r"\{99999999\}", "[{99999999}]", "a{2,}", "a{,3}", r"x\){2}", "(" * 100 + ")" * 100]
)
def test_what_is_no_large_repeat_is_taken(pattern: str) -> None:
    Pattern(pattern)
