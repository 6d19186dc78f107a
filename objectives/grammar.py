"""Grammar: the text can be derived from a context-free grammar."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any, final

import regex

from objectives.earley import PrefixParser, Rules, Word, productive
from objectives.grammar_size import written_out
from objectives.language import LanguageObjective
from objectives.mask_engine import Masks
from objectives.nearest_end import NearestEnd
from objectives.reading import Reading
from textsearch.checks import keep, string, whole
from textsearch.kinds import shown
from textsearch.per_input import PerInput, text_per_input

MAX_RULES = 5_000
"""Expansions of a grammar, with its repeats written out."""

MAX_WRITTEN = 50_000
"""Expansions of a rule before equal ones are merged, which Lark works out in some seconds."""

_FOLDER = files("objectives") / "grammars"
_KEPT = 20_000  # texts whose verdict is remembered


@final
@dataclass(frozen=True)
class Grammar(LanguageObjective):
    r"""The whole text can be derived from a grammar in Lark's form of EBNF: energy 0, or +inf where it cannot.

    The truth is Lark's Earley parser with the lexer `dynamic_complete`: the grammar is one over characters, where a
    word may be any beginning of what its expression matches that matches too, and none is preferred for being longer.
    Of alternatives within an expression the first that matches counts: write /ab|a/, or "a" | "ab". `%ignore` and
    `%import common.X` work as in Lark.

    `impossible` proves by Earley's algorithm over characters ("An efficient context-free parsing algorithm", 1970) that
    no text of the grammar begins so.

    Attributes:
        grammar: the grammar itself, one for all inputs or one for each; see `shipped` for some that come along.
        start: the symbol that texts are derived from.
        max_characters: longer texts are forbidden.

    Raises:
        ImportError: `lark` is not installed.
        ValueError: no grammar, one too large, or one from which no text can be derived.

    >>> from textsearch.testing import letters
    >>> batch = letters("ab").encode(["aabb", "ab", "aab", ""])
    >>> Grammar('start: "a" start? "b"').energy(batch).tolist()
    [0.0, 0.0, inf, inf]
    """

    grammar: str | Sequence[str]
    start: str = "start"
    max_characters: int = 5_000
    _languages: PerInput[Derived] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        start = string("start", self.start)
        longest = whole("max_characters", self.max_characters, 1, unit="character")
        given = text_per_input("grammar", self.grammar, "grammars")
        keep(self, grammar=given.values, start=start, max_characters=longest)
        keep(self, _languages=given.map(lambda one: Derived(one, start, longest)))

    @property
    def languages(self) -> PerInput[Derived]:
        """Those of the grammars."""
        return self._languages


def shipped(name: str) -> str:
    """A grammar that comes along: "arithmetic", "email", "iso_date", "json", "sql_select".

    Raises:
        ValueError: there is none of that name.

    >>> from textsearch.testing import letters
    >>> dates = Grammar(shipped("iso_date"))
    >>> dates.energy(letters("0123456789-").encode(["2024-02-29", "2023-02-29"])).tolist()
    [0.0, inf]
    """
    if name not in named_grammars():
        raise ValueError(f"name={name!r} is no grammar that comes along: take one of {', '.join(named_grammars())}")
    return (_FOLDER / f"{name}.lark").read_text(encoding="utf-8")


def named_grammars() -> list[str]:
    """The names of the grammars that come along."""
    return sorted(each.name.removesuffix(".lark") for each in _FOLDER.iterdir() if each.name.endswith(".lark"))


@final
class Derived:
    """The texts that can be derived from one grammar."""

    def __init__(self, grammar: str, start: str, longest: int) -> None:
        self._asked = grammar, start, longest
        self._parser = _parser(grammar, start)
        self.reading = Reading(PrefixParser(_rules(self._parser, grammar, start)))
        self.near = NearestEnd(self.reading)
        self._verdicts: OrderedDict[str, bool] = OrderedDict()
        # the engine knows no other start
        self.masks = Masks(partial(_readable, grammar)) if start == "start" else None

    def __reduce__(self) -> tuple[Any, ...]:
        return Derived, self._asked

    def accepts(self, text: str) -> bool:
        """Whether a text can be derived."""
        if len(text) > self._asked[2]:
            return False
        if text not in self._verdicts:
            self._verdicts[text] = self._parses(text)
            while len(self._verdicts) > _KEPT:
                self._verdicts.popitem(last=False)
        return self._verdicts[text]

    def is_dead(self, beginning: str, rest: bytes) -> bool:
        """Whether no text that can be derived begins so."""
        return len(beginning) + bool(rest) > self._asked[2] or self.reading.is_dead(beginning, rest)

    def _parses(self, text: str) -> bool:
        from lark.exceptions import UnexpectedInput

        if self.reading.is_dead(text, b""):
            return False  # proven, and sooner
        try:
            self._parser.parse(text)
        except UnexpectedInput:
            return False
        except RuntimeError as error:
            # of a text that is derived in several ways, with ignored words, Lark says no more than this
            if "multiple start symbol items" not in str(error):
                raise
        return True


def _readable(grammar: str, matcher: Any) -> str:
    """What the mask engine reads."""
    return str(matcher.grammar_from_lark(grammar))


def _parser(grammar: str, start: str) -> Any:
    try:
        from lark import Lark
        from lark.exceptions import LarkError
    except ImportError as error:
        raise ImportError("Grammar needs lark: pip install 'textsearch-sampling[grammar]'") from error
    try:
        rule, count = written_out(grammar)
        if count > MAX_WRITTEN:
            raise ValueError(_too_large(grammar, count, MAX_WRITTEN, f" in {rule!r}"))
        return Lark(grammar, start=start, parser="earley", lexer="dynamic_complete", ambiguity="forest", regex=True)
    except (LarkError, OSError, AttributeError, RecursionError, regex.error) as error:
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(
            f"grammar={shown(grammar)} with start={start!r} is no grammar in Lark's form: {said}"
        ) from error


def _rules(parser: Any, grammar: str, start: str) -> Rules:
    """What Lark has compiled.

    Raises:
        ValueError: it is too large, or nothing can be derived from its start.
    """
    if len(parser.rules) > MAX_RULES:
        raise ValueError(_too_large(grammar, len(parser.rules), MAX_RULES))
    rules: dict[str, list[tuple[str, ...]]] = {}
    for rule in parser.rules:
        rules.setdefault(rule.origin.name, []).append(tuple(symbol.name for symbol in rule.expansion))
    words = {word.name: Word(word.pattern.to_regexp()) for word in parser.terminals}
    alive = productive(rules, list(words))
    if start not in alive:
        raise ValueError(
            f"grammar={shown(grammar)} derives no text: every rule of {start!r} leads on for ever; give one an end"
        )
    return Rules(start, rules, words, tuple(parser.ignore_tokens))


def _too_large(grammar: str, count: int, most: int, where: str = "") -> str:
    return (
        f"grammar={shown(grammar)} has {count:,} expansions{where}, above the limit of {most:,}: write repeats such as "
        "x~1..1000 as x+, and many optional parts one after another as rules of their own"
    )
