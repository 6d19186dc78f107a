"""Calls, recursion and conditions as something regular: no match is left out, and little more is let in."""

from __future__ import annotations

import itertools

import pytest
import regex

from objectives import relaxed_tree
from objectives.linear_search import Automaton, from_end_to_end
from objectives.relaxed_tree import relaxed_tree_of

CASES = [
    # the expression, the letters, how many texts of up to six letters match, and how many the tree allows
    (r"(?(DEFINE)(?<d>\d)(?<h>[0-9a-f]))^(?&d){3}(?&h)$", "0ab-", 3, 3),
    (r"^(a|(b(?1)?c))$", "abc", 6, 6),
    (r"\((?:[^()]|(?R))*\)", "()a", 17, 17),
    (r"(?(?=a)(?(?=ab)abc|ab)|xyz)", "abcxyz", 2, 2),
    (r"(?(?!a)b|ac)", "abc", 2, 2),
    (r"(?(?<=a)b|a)b", "ab", 1, 1),
    (r"(a)?(?(1)b|c)", "abc", 2, 4),
    (r"(a)?b(?(1)c)", "abc", 2, 4),
    (r"(?i:(a))(?1)B", "aAbB", 4, 4),
    (r"(?&x)-(?<x>a|b(?&x))", "ab-", 10, 15),
]


def counts(pattern: str, letters: str) -> tuple[int, int, int]:
    """Texts that match, texts that the tree allows, and those that match and are not allowed."""
    tree = relaxed_tree_of(pattern)
    assert tree is not None
    compiled, automaton = regex.compile(pattern), Automaton(from_end_to_end(tree))
    matched = allowed = lost = 0
    for size in range(7):
        for text in map("".join, itertools.product(letters, repeat=size)):
            match, allows = compiled.fullmatch(text) is not None, any(automaton.ends(text))
            matched, allowed, lost = matched + match, allowed + allows, lost + (match and not allows)
    return matched, allowed, lost


@pytest.mark.parametrize(("pattern", "letters", "matched", "allowed"), CASES)
def test_no_match_is_left_out(pattern: str, letters: str, matched: int, allowed: int) -> None:
    assert counts(pattern, letters) == (matched, allowed, 0)


def test_recursion_that_is_not_followed_to_its_end_by_anything_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken twin: what is called for the last time is nothing."""
    monkeypatch.setattr(relaxed_tree, "ANYTHING", relaxed_tree.NOTHING)
    monkeypatch.setattr(relaxed_tree, "PASSES", 2)
    assert counts(r"\((?:[^()]|(?R))*\)", "()a")[2] > 0


def test_calls_do_not_blow_an_expression_up() -> None:
    nested = "(" * 40 + "a" + "".join(f"(?{group})b)" for group in range(40, 0, -1))
    tree = relaxed_tree_of(f"{nested}|c")
    assert tree is not None and relaxed_tree._size(tree) < 2 * relaxed_tree.LARGEST


def test_backreferences_and_repeats_of_calls_do_not_blow_an_expression_up() -> None:
    doubled = "(aa)" + "".join(rf"(\{group}\{group})" for group in range(1, 60))
    for pattern in (doubled, "(a{900}(?1)?)(?1){1000}", r"(a{1900})\1{2000}"):
        tree = relaxed_tree_of(pattern)
        assert tree is not None and relaxed_tree._size(tree) < 2 * relaxed_tree.WHOLE
    # what is small stays exact
    assert counts(r"(aa)(\1\1)", "ab")[:2] == (1, 1)
