"""How many expansions Lark writes a rule out into, told from the text of a grammar, before it does.

Each `x?`, `x*` and `[x]` doubles what an alternative becomes, each group multiplies it: eighteen optional parts one
after another are 2^18 expansions, which take Lark a minute, and twenty-five all of the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import regex

MAX_COUNT = 10**12
"""Counted no further."""

_WRITTEN_OUT = 50  # repeats that Lark writes out; longer ones are shared between rules of its own

_TOKEN = regex.compile(
    r"""
      (?P<skip>   //[^\n]* | [ \t\r\f]+ | \n[ \t\r\n]*(?=\|) | \\[ \t]*\n )
    | (?P<line>   \n )
    | (?P<atom>   "(?:\\.|[^"\\\n])*"i? | /(?!/)(?:\\.|[^/\\\n])*/[imslux]* )
    | (?P<alias>  ->\s*\w+ )
    | (?P<times>  ~\s*(?P<least>\d+)(?:\s*\.\.\s*(?P<most>\d+))? )
    | (?P<range>  \.\. )
    | (?P<name>   [!?]*\w+(?:\.-?\d+)?(?:\{[^{}]*\})? )
    | (?P<sign>   . )
    """,
    regex.VERBOSE,
)


def written_out(grammar: str) -> tuple[str, int]:
    """The rule of a grammar that is written out into most expansions, and how many these are, equal ones not merged.

    Words, whose names have capitals, and what is no grammar count for nothing.

    >>> written_out('start: "a"? "b"? x\\nx: ("c" | "d" "e"?)~2 | X\\nX: "a"? "b"? "c"? "d"?')
    ('x', 10)
    """
    largest = "", 0
    for name, tokens in _rules(grammar):
        reader = _Reader(tokens)
        count = reader.expansions()
        if count > largest[1]:
            largest = name, count
    return largest


def _rules(grammar: str) -> Iterator[tuple[str, list[regex.Match[str]]]]:
    """The name of each rule and what stands behind its colon."""
    for line in _lines(grammar):
        kinds = [token.lastgroup if token.lastgroup not in ("least", "most") else "times" for token in line[:2]]
        if kinds == ["name", "sign"] and line[1][0] == ":":
            name = regex.split(r"[.{]", line[0][0].lstrip("!?"))[0]
            if name.islower():
                yield name, line[2:]


def _lines(grammar: str) -> Iterator[list[regex.Match[str]]]:
    """The tokens of each definition, over lines that go on with another alternative or within brackets."""
    found: list[regex.Match[str]] = []
    depth = 0
    for token in _TOKEN.finditer(grammar):
        if token["skip"]:
            continue
        if token["line"]:
            if depth <= 0:
                yield found
                found, depth = [], 0
            continue
        depth += (token[0] in ("(", "[")) - (token[0] in (")", "]"))
        found.append(token)
    yield found


class _Reader:
    """Counts over the tokens of one rule."""

    def __init__(self, tokens: Sequence[regex.Match[str]]) -> None:
        self._tokens, self._at = tokens, 0

    def expansions(self) -> int:
        """Of alternatives, up to the bracket that closes them or the end."""
        total, product = 0, 1
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            if token[0] in (")", "]"):
                break
            if token[0] == "|":
                total, product = total + product, 1
            elif token[0] in ("(", "["):
                inner = self.expansions() + (token[0] == "[")
                product *= self._repeated(inner)
            elif token["atom"] or token["name"]:
                product *= self._repeated(1)
            product = min(product, MAX_COUNT)
        return min(total + product, MAX_COUNT)

    def _repeated(self, count: int) -> int:
        """What `count` expansions of an item become by the sign behind it."""
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if token is None or not (token["times"] or token[0] in ("?", "*", "+")):
            return count
        self._at += 1
        if token["times"]:
            least = int(token["least"])
            most = int(token["most"] or least)
            if most >= _WRITTEN_OUT:
                return 1
            total: int = sum(count**times for times in range(least, most + 1))
            return min(total, MAX_COUNT)
        return {"?": count + 1, "*": 2, "+": 1}[token[0]]
