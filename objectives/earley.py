"""Which beginnings a context-free grammar can complete, by Earley's algorithm over characters (Earley, 1970).

A parser that reads from the left and predicts only what the grammar allows has items left after every beginning of a
text; a beginning that leaves none is that of no text. The words of the grammar are regular expressions; each may end
wherever it matches, so nothing is called dead for the length of a word.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import regex

MAX_ITEMS = 200_000
"""Items of one beginning; beyond them nothing is proven."""

_KEPT = 500  # beginnings whose columns are remembered
# what is asked of the characters beyond a word, which are not written yet
_CONDITION = regex.compile(r"\(\?<?[=!]|\\[bBAZzmM]|(?<!\\)[$^]|\(\?[>|]|[*+?}]\+|\\\d|\(\?P=|\(\?\(|\(\?R|\\[gK]")


@final
class Word:
    """A terminal of a grammar."""

    def __init__(self, expression: str, flags: int = 0) -> None:
        self._expression = regex.compile(expression, flags)
        # in sets of characters ^ and $ mean nothing
        self._plain = _CONDITION.search(regex.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]", "x", expression)) is None

    def may_end(self, text: str, begin: int, end: int) -> bool:
        """Whether the text between two places is the word, or may be, by what stands around it."""
        return end > begin and (not self._plain or self._expression.fullmatch(text, begin, end) is not None)

    def may_go_on(self, text: str, begin: int, end: int) -> bool:
        """Whether more characters may make the text between two places a word, or a longer one."""
        return not self._plain or self._expression.fullmatch(text, begin, end, partial=True) is not None


@final
@dataclass(frozen=True)
class Rules:
    """A grammar.

    Attributes:
        start: the symbol that texts are derived from.
        rules: symbol -> its expansions, of symbols and words.
        words: name -> word.
        ignored: words that may stand between any two others.
    """

    start: str
    rules: Mapping[str, Sequence[tuple[str, ...]]]
    words: Mapping[str, Word]
    ignored: tuple[str, ...] = ()


Item = tuple[str, int, int, int]
"""A symbol, which of its expansions, how much of it is read, and where it begins."""


@final
class PrefixParser:
    """Answers for all beginnings, each read from the longest one that was read before.

    >>> rules = Rules("s", {"s": [("A", "s", "B"), ()]}, {"A": Word("a"), "B": Word("b")})
    >>> parser = PrefixParser(rules)
    >>> [parser.may_be_completed(text) for text in ("", "aa", "aab", "aabb", "aabbb", "ba")]
    [True, True, True, True, False, False]
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._empty = _nullable(rules)
        self._known: OrderedDict[str, _Columns | None] = OrderedDict()

    def may_be_completed(self, text: str) -> bool:
        """False proves that no text of the grammar begins so."""
        known = self._columns(text)
        return known is None or bool(known.columns[-1]) or bool(known.going)

    def _wanted(self, item: Item) -> str | None:
        """The symbol behind what is read of an item; None if all is."""
        symbol, number, read, _ = item
        expansion = self.rules.rules[symbol][number]
        return expansion[read] if read < len(expansion) else None

    def _columns(self, text: str) -> _Columns | None:
        """Of a beginning; None where there are too many items."""
        if text in self._known:
            self._known.move_to_end(text)
            return self._known[text]
        size = len(text)
        while size and text[:size] not in self._known:
            size -= 1
        known = self._known[text[:size]] if size else _Columns((), frozenset())
        while known is not None and len(known.columns) <= len(text):
            known = self._longer(known, text)
        self._known[text] = known
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return known

    def _longer(self, known: _Columns, text: str) -> _Columns | None:
        """One column more: the items after one character more."""
        rules, place = self.rules, len(known.columns)
        waiting: list[Item] = []
        if place == 0:
            waiting = [(rules.start, number, 0, 0) for number in range(len(rules.rules[rules.start]))]
        for begin, word in known.going:
            if rules.words[word].may_end(text, begin, place):
                column = known.columns[begin]
                if word in rules.ignored:
                    waiting += [
                        item for item in column if self._wanted(item) is None or self._wanted(item) in rules.words
                    ]
                waiting += [(item[0], item[1], item[2] + 1, item[3]) for item in column if self._wanted(item) == word]
        column = self._closed(waiting, known.columns, place)
        words = {str(wanted) for item in column if (wanted := self._wanted(item)) in rules.words}
        words.update(rules.ignored if column else ())
        going = {one for one in known.going if rules.words[one[1]].may_go_on(text, one[0], place)}
        going.update((place, word) for word in words)
        if sum(map(len, known.columns)) + len(column) > MAX_ITEMS:
            return None
        return _Columns((*known.columns, column), frozenset(going))

    def _closed(self, waiting: list[Item], columns: Sequence[frozenset[Item]], place: int) -> frozenset[Item]:
        """All items that follow from some without a character more."""
        seen = set(waiting)
        while waiting:
            symbol, number, read, origin = item = waiting.pop()
            wanted = self._wanted(item)
            new: list[Item] = []
            if wanted is None:
                parents = seen if origin == place else columns[origin]
                new = [(one[0], one[1], one[2] + 1, one[3]) for one in parents if self._wanted(one) == symbol]
            elif wanted in self.rules.rules:
                new = [(wanted, which, 0, place) for which in range(len(self.rules.rules[wanted]))]
                if wanted in self._empty:
                    new.append((symbol, number, read + 1, origin))
            waiting += [one for one in new if one not in seen]
            seen.update(new)
        return frozenset(seen)


@final
@dataclass(frozen=True)
class _Columns:
    """What is known of a beginning: the items after each character, and the words that may still be going on."""

    columns: tuple[frozenset[Item], ...]
    going: frozenset[tuple[int, str]]


def _nullable(rules: Rules) -> frozenset[str]:
    """The symbols that may be nothing."""
    found: set[str] = set()
    while True:
        more = {symbol for symbol, ways in rules.rules.items() if any(found.issuperset(way) for way in ways)} - found
        if not more:
            return frozenset(found)
        found |= more


def productive(rules: Mapping[str, Sequence[tuple[str, ...]]], words: Sequence[str]) -> frozenset[str]:
    """The symbols that some text can be derived from.

    >>> sorted(productive({"a": [("b", "X")], "b": [("b", "X")], "c": [("X",)]}, ["X"]))
    ['c']
    """
    found, known = set[str](), set(words)
    while True:
        more = {symbol for symbol, ways in rules.items() if any(known.issuperset(way) for way in ways)} - found
        if not more:
            return frozenset(found)
        found |= more
        known |= more
