"""A search without backtracking answers as one by backtracking does, and reads each character once."""

from __future__ import annotations

import pickle
import random
import re
from collections.abc import Iterator

import pytest
import regex

from objectives import linear_search
from objectives.linear_search import LinearSearch, NotRegularError
from objectives.pattern import search_for

# one negated set only: regex 2026.11.19 takes [^a]|[^b] for [^ab]
CHARACTERS = ["a", "b", "A", "é", "\n", " ", "[ab]", "[^a]", "[]a-]", r"[\d\s]", r"\w", r"\d", r"\p{L}", r"\x61", r"\."]
PLACES = ["^", "$", r"\b", r"\B", r"\A", r"\Z", r"\m", r"\M"]
REPEATS = ["*", "+", "?", "{2}", "{1,2}", "{0,2}", "{2,}", "{,2}", "*?", "+?", "??", "{1,2}?"]


def expression(draw: random.Random, depth: int) -> str:
    kind = draw.random()
    if depth == 0 or kind < 0.25:
        return draw.choice([*CHARACTERS, "."] if draw.random() < 0.85 else PLACES)
    if kind < 0.5:
        return "".join(expression(draw, depth - 1) for _ in range(draw.randint(2, 3)))
    if kind < 0.62:
        parts = [expression(draw, depth - 1) if draw.random() < 0.9 else "" for _ in range(draw.randint(2, 3))]
        return "(?:" + "|".join(parts) + ")"
    if kind < 0.85:
        group = draw.choice(["(?:", "(", "(?i:", "(?s:", "(?m:", "(?-i:", "(?s-i:"])
        return group + expression(draw, depth - 1) + ")" + draw.choice(REPEATS)
    return draw.choice(["(?=", "(?!", "(?<=", "(?<!"]) + expression(draw, depth - 1) + ")"


def disagreements(count: int) -> Iterator[tuple[str, str]]:
    """(expression, text) on which the two searches differ, of so many random expressions."""
    draw = random.Random(0)
    for _ in range(count):
        pattern = draw.choice(["", "", "(?i)", "(?s)", "(?m)", "(?a)", "(?im)"]) + expression(draw, draw.randint(1, 4))
        linear = LinearSearch(pattern)
        for _ in range(6):
            text = "".join(draw.choice("aabbAé \n.-1") for _ in range(draw.randint(0, 7)))
            if linear.found(text) != (regex.search(pattern, text) is not None):
                yield pattern, text


def test_answers_are_those_of_backtracking() -> None:
    assert list(disagreements(2500)) == []


def test_a_broken_search_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: lookaheads read forwards, and conditions that hold everywhere."""
    build = linear_search.Automaton
    monkeypatch.setattr(linear_search, "_automaton", lambda pattern, full: build(linear_search.tree_of(pattern)))
    with monkeypatch.context() as broken:
        broken.setattr(linear_search, "Automaton", lambda tree, backwards=False: build(tree))
        assert len(list(disagreements(300))) > 3
    monkeypatch.setattr(linear_search, "_where", lambda condition: lambda text: range(len(text) + 1))
    assert len(list(disagreements(300))) > 30


def test_what_the_module_itself_gets_wrong() -> None:
    assert LinearSearch("[^a]|[^b]").found("a") and re.search("[^a]|[^b]", "a")


@pytest.mark.parametrize(
    "pattern",
    [r"(a)\1", "(?P<n>a)(?P=n)", "(?>a*)a", "a*+a", "a{2}+", "(?|a|b)", "a(?R)?b", "(a)?(?(1)b)", "(a){e<=1}", "a(?i)b",
     "(?x)a b", "(?V1)a", r"\X", r"\R", r"\Ka", r"\G", "[[:alpha:]]", "a{,}", "a{", "(?#a)b"],
)  # fmt: skip
def test_what_is_not_surely_regular_is_left_to_backtracking(pattern: str) -> None:
    with pytest.raises(NotRegularError):
        LinearSearch(pattern)
    for text in ("", "a", "aa", "aab", "b", "ab", "a{", "B"):
        assert search_for(pattern).found(text) == (regex.search(pattern, text) is not None)


def test_each_character_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    move = linear_search.Automaton._move

    def counted(*arguments: object) -> object:
        nonlocal steps
        steps += 1
        return move(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(linear_search.Automaton, "_move", counted)
    text = "ab" * 200 + "c"
    assert not LinearSearch(r"^(?:(?:a|b|ab)+)+$").found(text)
    assert steps <= len(text) + 1
    LinearSearch(r"^(?:(?:a|b|ab)+)+$").found(text)
    assert steps <= len(text) + 1


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_search, "_ROOM", 100)
    linear_search._automaton.cache_clear()
    search, draw = LinearSearch(r"a[ab]{6}b"), random.Random(1)
    for _ in range(50):
        text = "".join(draw.choice("ab") for _ in range(20))
        assert search.found(text) == bool(re.search(r"a[ab]{6}b", text))
        assert len(search._automaton.sets) < 100
    linear_search._automaton.cache_clear()


def test_it_travels() -> None:
    search = pickle.loads(pickle.dumps(LinearSearch("^a(?=b)")))
    assert (search.found("ab"), search.found("ba")) == (True, False)
