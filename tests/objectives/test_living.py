"""Tokens that patterns and choices prove to lead to no text, against all short texts, as `regex` matches them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import regex
import torch

from objectives import Choices, Grammar, Pattern, partial_search, reading
from objectives.language import LanguageObjective
from objectives.partial_search import PartialSearch, Without
from objectives.reading import Reading
from textsearch.beginnings import Beginnings
from textsearch.living import living_by
from textsearch.objective import Objective
from textsearch.testing import ByteVocabulary, LawBroken, check_beginnings, every_row

PIECES = ByteVocabulary((b"_", b"a", b"b", b"ab", b"ba", b"(", b")"))
SPLIT = ByteVocabulary((b"_", b"a", b"b\xc3", b"\xc3", b"\xa9", b"\xa9a", "aé".encode(), b"\n", b" b"))
LONG = ByteVocabulary((b"_", b"a", b"\xe2", b"\x82", b"\xac", b"\xe2\x82", b"\xf0\x9f", b"\x98\x80"))
TEXTS = ["".join(text) for size in range(5) for text in itertools.product("abé\n ", repeat=size)]
ATOMS = [
    *("a", "b", "é", ".", r"\n", r"\w", "[^a]", "a?", "b*", "(?s:.)", "$", "^", r"\Z", r"\A", "(?m:^)", "(?m:$)"),
    *(r"\b", r"\B", r"\m", r"\M", "(?!b)", "(?=a)", "(?<=a)", "(?<!b)", "(?!.*b)", r"(?=.*\b)", r"(?<=(?!a)\w)"),
    *("(?<!(?=b)a)", "(?!(?=a)..)", "(?!$)", "(?<!^)", "(?a:\\w)", "(?i:A)", r"(a|b)\1", "(?>a|ab)", "a++"),
]


def expression(rng: random.Random, depth: int = 3) -> str:
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(ATOMS)
    part, other = expression(rng, depth - 1), expression(rng, depth - 1)
    every = ["{0}{1}", "{0}{1}", "(?:{0}|{1})", "(?:{0})*", "(?={0})", "(?!{0})", "(?<={0})", "(?<!{0})", "(?>{0})"]
    return rng.choice(every).format(part, other)


def expressions(seed: int, count: int) -> Iterator[tuple[Pattern, set[bytes]]]:
    """Patterns of which something is proven, and the short texts that they allow, by backtracking."""
    rng, first = random.Random(seed), ["(?m:^)ba", r"(?=\n)(?m:^)"]
    while count:
        source, full, forbid = expression(rng), rng.random() < 0.5, rng.random() < 0.5
        if first:
            source, full, forbid = first.pop(), False, False
        try:
            compiled, pattern = regex.compile(source), Pattern(source, full=full, forbid=forbid)
        except (regex.error, ValueError):
            continue
        if pattern.languages.of(0).reading is None:
            continue
        count -= 1
        found = compiled.fullmatch if full else compiled.search
        yield pattern, {text.encode() for text in TEXTS if (found(text) is None) == forbid}


def check_living(seed: int, count: int) -> int:
    """No token is left out that a short text goes on with; how many are left out."""
    rng, left_out = random.Random(seed), 0
    rows = [list(row) for size in range(3) for row in itertools.product(range(1, SPLIT.size), repeat=size)]
    for pattern, good in expressions(seed, count):
        begun = {text[:size] for text in good for size in range(len(text) + 1)}
        some = [[], *rng.sample(rows, 12)]
        living = pattern.living_next(Beginnings(SPLIT, 0, some, [0] * len(some)))
        assert living is not None
        for row, may in zip(some, living.tolist(), strict=True):
            written = b"".join(SPLIT.token_bytes[token] for token in row)
            for token, piece in enumerate(SPLIT.token_bytes):
                alive = written + piece in begun if token else written in good
                assert may[token] or not alive, (pattern, row, token)
        left_out += int((~living).sum())
    return left_out


def test_random_expressions_leave_out_no_token_of_a_text() -> None:
    assert check_living(0, 150) > 8_000


@pytest.mark.parametrize("steps", [1, 4, 30])
def test_nor_do_they_where_little_is_remembered_and_searches_are_broken_off(
    monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    for name in ("MAX_STATES", "MAX_TEXTS", "MAX_ROWS"):
        monkeypatch.setattr(reading, name, 1)
    monkeypatch.setattr(partial_search, "MAX_STEPS", steps)
    assert check_living(steps, 60) > 500


def without_forgetting_kinds(self: Reading) -> None:
    """What is known of moves is kept under numbers that mean other states by now."""
    if hasattr(self, "_moves"):
        self._states, self._number = [], {}
    else:
        forget(self)


forget = Reading._forget
TWINS: dict[str, tuple[Any, str, Any]] = {
    "all characters are of one kind": (PartialSearch, "kind", lambda self, character: 0),
    "what begins a line begins a text": (
        partial_search,
        "_at_the_beginning",
        lambda condition: getattr(condition, "source", "") in {"^", r"\A"},
    ),
    "what may match must": (Without, "may_end", lambda self, state: not self.search.may_end(state)),
    "moves of states that were forgotten": (Reading, "_forget", without_forgetting_kinds),
    "characters are told apart by fewer tests": (
        Reading,
        "_learn",
        lambda self, characters: self._kind_of.update(dict.fromkeys(characters, self._kind(characters[0]))),
    ),
    "characters end where tokens do": (Reading, "_leads_of", lambda self, rest: np.zeros(0, dtype=np.int64)),
}


@pytest.mark.parametrize("name", TWINS)
def test_broken_twins_are_caught(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    owner, attribute, fault = TWINS[name]
    monkeypatch.setattr(reading, "MAX_STATES", 2)
    if owner is Without:
        monkeypatch.setattr(partial_search, "MAX_STEPS", 4)
    monkeypatch.setattr(owner, attribute, fault)
    with pytest.raises((AssertionError, IndexError)):
        check_living(0, 150)


CASES: dict[str, tuple[Callable[[], Objective], ByteVocabulary]] = {
    "pattern": (lambda: Pattern("(ab)+|a", full=True), PIECES),
    "lookarounds": (lambda: Pattern(r"(?!.*bb)(?<!b)[ab(]+\b", full=True), PIECES),
    "of several bytes": (lambda: Pattern("(?:a|é)+", full=True), SPLIT),
    "of three and four": (lambda: Pattern("(?:€|\U0001f600)+a?", full=True), LONG),
    "forbidden": (lambda: Pattern("ab|b$", forbid=True), PIECES),
    "backtracking": (lambda: Pattern(r"(a|b)\1+", full=True), PIECES),
    "a sum": (lambda: Pattern("[ab]+", full=True) + Pattern("ba", forbid=True), PIECES),
    "grammar": (lambda: Grammar('start: "(" start ")" | "ab" | /a+/'), PIECES),
    "choices": (lambda: Choices(["ab", "a(", "bab"]), PIECES),
}


@pytest.mark.parametrize("name", CASES)
def test_laws_of_rows(name: str) -> None:
    """Of all rows of a small vocabulary; what is proven of one beginning is proven of a token of the one before."""
    make, vocabulary = CASES[name]
    objective, rows = make(), every_row(vocabulary, 3)
    assert "tokens left out" in str(check_beginnings(objective, rows))
    short = [row for row in rows.token_lists() if len(row) < 3]
    living = living_by(objective, Beginnings(vocabulary, 0, short, [0] * len(short)))
    longer = [[*row, token] for row in short for token in range(1, vocabulary.size)]
    dead = objective.impossible(Beginnings(vocabulary, 0, longer, [0] * len(longer)))
    assert living is not None and dead is not None and 20 < int(dead.sum()) < len(dead)
    assert dead.reshape(len(short), -1).equal(~living[:, 1:])


def test_a_row_that_leaves_out_a_text_breaks_a_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken twin."""
    honest = LanguageObjective.living_next

    def narrow(self: LanguageObjective, beginnings: Beginnings) -> torch.Tensor | None:
        living = honest(self, beginnings)
        if living is not None:
            living[[list(row) == [3] for row in beginnings.rows], 3] = False
        return living

    monkeypatch.setattr(LanguageObjective, "living_next", narrow)
    with pytest.raises(LawBroken, match=r"living: nothing that fits.*token 3 is left out behind \(3,\)"):
        check_beginnings(Pattern("(ab)+|a", full=True), every_row(PIECES, 3))


def test_each_input_has_its_own() -> None:
    both = Pattern(["a+", "(?:dog){e<=1}"], full=True)  # nothing is proven of the second
    living = living_by(both, Beginnings(PIECES, 0, [[], [1], []], [0, 0, 1]))
    assert living is not None and living.sum(1).tolist() == [1, 2, 7]
    alone = living_by(both, Beginnings(PIECES, 0, [[]], [1]))
    assert alone is not None and bool(alone.all())
    assert living_by(Pattern("(?:dog){e<=1}", full=True), Beginnings(PIECES, 0, [[]], [0])) is None


@pytest.mark.parametrize(
    "source", ["(?=a)b", "(?!)a", "(?=.*b)a*", "(?=a)(?!a)", r"a\bb", "a(?<!a)", "(?=aa)a", r"(?=.*\d)\D+"]
)
def test_patterns_that_nothing_matches_are_empty(source: str) -> None:
    assert Pattern(source, full=True).languages.of(0).is_empty
    assert not Pattern(source, full=True, forbid=True).languages.of(0).is_empty


@pytest.mark.parametrize(
    "source", ["(?=a)[ab]", "(?!b)a", "(?=.*b)[ab]*", r"a\b", "", "[^\x00-\U000e0000]", r"(a|b)\1"]
)
def test_patterns_that_something_matches_are_not(source: str) -> None:
    """The control: of characters that no vocabulary may hold, too."""
    assert not Pattern(source, full=True).languages.of(0).is_empty
    assert Pattern(r"(?s:.*)", full=True, forbid=True).languages.of(0).is_empty
