r"""A regular expression as the mask engine reads it, from the tree of its parts.

The engine knows neither lookarounds nor places such as `^`, and its sets of characters are not those of the `regex`
module. So each character is written as the code points that `regex` finds, and a condition on what stands before or
behind a place becomes an intersection or a complement, which the engine has. Left out is a condition within a group or
a repeat, and a place such as `\b`: what is written allows at least what the tree allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import regex

from objectives.linear_search import Either, Here, Look, One, Repeat, Row, Tree
from objectives.relaxed_tree import ANYTHING

_ANYTHING: Final = "/(?s:.*)/"
_EMPTY: Final = "/()/"
_NO_CHARACTER: Final = r"[^\x{0}-\x{10ffff}]"


def grammar_of(tree: Tree, full: bool) -> str:
    r"""A grammar in the engine's dialect of Lark that allows every text that the tree matches.

    Args:
        tree: of the expression, or of one that matches more.
        full: the match is the whole text; else it is somewhere within.

    >>> from objectives.linear_search import tree_of
    >>> print(grammar_of(tree_of("(?=.b)[ac]+"), full=True))
    start: TEXT
    TEXT: (/[\x{0}-\x{9}\x{b}-\x{10ffff}]\x{62}(?s:.*)/ & /(?:[\x{61}\x{63}])+/)
    """
    parts = tree if full else Row((ANYTHING, tree, ANYTHING))
    return f"start: TEXT\nTEXT: {_text(parts)}"


def _text(tree: Tree) -> str:
    """The engine's expression for a whole text."""
    parts = _flat(tree)
    if len(parts) == 1 and isinstance(parts[0], Either):
        return f"({' | '.join(map(_text, parts[0].parts))})"
    ahead = _joined(_before_the_rest(parts))
    # that a text begins where it begins is no news
    looks_back = any(_conditions(part)[0] for place, part in enumerate(parts) if place or isinstance(part, Look))
    # each of the two leaves out what the other keeps: a text must be in both
    return f"({ahead} & {_joined(_behind_the_rest(parts))})" if looks_back else ahead


def _flat(tree: Tree) -> list[Tree]:
    return [own for part in tree.parts for own in _flat(part)] if isinstance(tree, Row) else [tree]


def _joined(expressions: Sequence[str]) -> str:
    """One after another."""
    return expressions[0] if len(expressions) == 1 else f"({' '.join(expressions)})" if expressions else _EMPTY


def _before_the_rest(parts: Sequence[Tree]) -> list[str]:
    """The parts one after another up to the end of the text, with the conditions on what comes behind them."""
    found: list[str] = []
    for place, part in enumerate(parts):
        _, ahead = _conditions(part)
        if ahead:
            return [*found, f"({ahead} & {_joined(_before_the_rest(parts[place + 1 :]))})"]
        found += _plain(part)
    return found


def _behind_the_rest(parts: Sequence[Tree]) -> list[str]:
    """The parts one after another from the beginning of the text, with the conditions on what comes before them."""
    found: list[str] = []
    for part in parts:
        behind, _ = _conditions(part)
        if behind:
            found = [f"({behind} & {_joined(found)})"]
        found += _plain(part)
    return found


def _plain(part: Tree) -> list[str]:
    return [] if isinstance(part, Here | Look) else [f"/{_expression(part)}/"]


def _conditions(part: Tree) -> tuple[str, str]:
    """What a part says of all that stands before it, and of all behind it; nothing for one that is no condition."""
    if isinstance(part, Look):
        own = _expression(part.body)
        # the complement of something that allows more would allow less
        if part.wanted or _is_plain(part.body):
            sign = "" if part.wanted else "~"
            return (f"{sign}/(?s:.*){own}/", "") if part.behind else ("", f"{sign}/{own}(?s:.*)/")
    if isinstance(part, Here) and not part.flags & regex.MULTILINE:
        return {
            "^": (_EMPTY, ""),
            r"\A": (_EMPTY, ""),
            "$": ("", r"/(?:\x{a})?/"),
            r"\Z": ("", _EMPTY),
        }.get(part.source, ("", ""))
    return "", ""


def _is_plain(tree: Tree) -> bool:
    """Whether there are no conditions in it."""
    match tree:
        case Here() | Look():
            return False
        case Row() | Either():
            return all(map(_is_plain, tree.parts))
        case Repeat():
            return _is_plain(tree.body)
        case One():
            return True


def _expression(tree: Tree) -> str:
    """A regular expression of the engine that matches at least what the tree matches; conditions are left out."""
    match tree:
        case One():
            return _characters(tree)
        case Here() | Look():
            return ""
        case Row():
            return "".join(map(_expression, tree.parts))
        case Either():
            return f"(?:{'|'.join(map(_expression, tree.parts))})"
        case Repeat():
            times = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((tree.low, tree.high))
            most = "" if tree.high is None else tree.high
            return f"(?:{_expression(tree.body)}){times or f'{{{tree.low},{most}}}'}"


@cache
def _every_character() -> str:
    """All code points but halves of pairs, which no text holds."""
    return "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))


@cache
def _characters(one: One) -> str:
    """The code points that a character of the tree may be."""
    if one == ANYTHING.body:
        return "(?s:.)"
    found = regex.compile(f"(?:{one.source})+", one.flags).finditer(_every_character())
    ranges = [(ord(run[0][0]), ord(run[0][-1])) for run in found]
    if not ranges:
        return _NO_CHARACTER
    written = "".join(_point(low) if low == high else f"{_point(low)}-{_point(high)}" for low, high in ranges)
    return written if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else f"[{written}]"


def _point(number: int) -> str:
    return f"\\x{{{number:x}}}"
