"""Reads the texts of a context-free grammar by Earley's algorithm over characters (Earley, 1970).

A parser that reads from the left and predicts only what the grammar allows has something to go on with after every
beginning of a text. The words of the grammar are regular expressions; each may end wherever it matches, so nothing is
called dead for the length of a word. The items after a beginning point to the sets of items where they began, and equal
sets are one (Tomita's graph-structured stack, "Efficient parsing for natural language", 1985): beginnings after which
the same may follow have the same state, and a step from state to state takes as long late in a text as early.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, final

import regex

from objectives.partial_search import PartialSearch
from objectives.relaxed_tree import relaxed_tree_of

MAX_ITEMS = 5_000
"""Items after one beginning; beyond them nothing is proven."""

MAX_SETS = 20_000
"""Sets of items that are remembered."""

UNKNOWN: Final = "unknown"
"""The state of a beginning of which nothing can be proven."""

# what is asked of the characters beyond a word, which are not written yet
_CONDITION = regex.compile(r"\(\?<?[=!]|\\[bBAZzmM]|(?<!\\)[$^]|\(\?[>|]|[*+?}]\+|\\\d|\(\?P=|\(\?\(|\(\?R|\\[gK]")


@final
class Word:
    """A terminal of a grammar.

    Attributes:
        search: reads what it matches; None where it may be anything.
    """

    def __init__(self, expression: str) -> None:
        # in sets of characters ^ and $ mean nothing
        plain = _CONDITION.search(regex.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]", "x", expression)) is None
        tree = relaxed_tree_of(expression) if plain else None
        self.search = None if tree is None else PartialSearch(tree, full=True)
        self._steps: dict[tuple[Any, str], Any] = {}

    @property
    def start(self) -> Any:
        """Its state before its first character; None if it matches nothing."""
        return UNKNOWN if self.search is None else self.search.start

    def step(self, state: Any, character: str) -> Any:
        """Its state one character later; None where it matches nothing that begins so."""
        if self.search is None:
            return state
        key = state, character
        if key not in self._steps:
            if len(self._steps) >= MAX_SETS:
                self._steps.clear()
            self._steps[key] = self.search.step(state, character)
        return self._steps[key]

    def may_end(self, state: Any) -> bool:
        """Whether it may be what was read, one character at least."""
        return self.search is None or self.search.may_end(state)


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


@final
@dataclass(frozen=True, eq=False)
class Items:
    """What the grammar may be at in one place of a text; equal to itself alone.

    Attributes:
        known: symbol, which of its expansions, how much of it is read, and where it begins, None for this very place.
        wanting: word -> those that go on with it.
        stray: those between two words, behind which an ignored word may stand.
    """

    known: frozenset[Item]
    wanting: Mapping[str, Sequence[Item]] = field(repr=False)
    stray: Sequence[Item] = field(repr=False)


Item: TypeAlias = "tuple[str, int, int, Items | None]"

State: TypeAlias = "tuple[frozenset[tuple[Items, str, Any]], bool]"
"""The words that are going on, each with where it begins and how far it is; whether the text may end here."""


@final
class PrefixParser:
    """Reads the texts of a grammar, and perhaps others; see `objectives.reading.Machine`.

    >>> from objectives.reading import Reading
    >>> rules = Rules("s", {"s": [("A", "s", "B"), ()]}, {"A": Word("a"), "B": Word("b")})
    >>> reading = Reading(PrefixParser(rules))
    >>> [reading.is_dead(text, b"") for text in ("", "aa", "aab", "aabb", "aabbb", "ba")]
    [False, False, False, False, True, True]
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._empty = _nullable(rules)
        self._sets: dict[frozenset[Item], Items] = {}
        first: list[Item] = [(rules.start, number, 0, None) for number in range(len(rules.rules[rules.start]))]
        found = self._closed(first)
        self._root = None if found is None else self._items(found)
        self.start: Any = UNKNOWN if self._root is None else self._state(set(), self._root)

    def kind(self, character: str) -> Hashable:
        """What the character is to each word."""
        return tuple(word.search.kind(character) for word in self.rules.words.values() if word.search is not None)

    @property
    def tests(self) -> list[Any]:
        """Expressions of one character: two characters that pass the same are of one kind."""
        return [test for word in self.rules.words.values() if word.search is not None for test in word.search.tests]

    def step(self, state: Any, character: str) -> Any:
        """The state of a text with one character more; None if nothing leads on."""
        if state == UNKNOWN:
            return UNKNOWN
        going: set[tuple[Items, str, Any]] = set()
        new: list[Item] = []
        for begin, name, at in state[0]:
            after = self.rules.words[name].step(at, character)
            if after is None:
                continue
            going.add((begin, name, after))
            if self.rules.words[name].may_end(after):
                new += [(one[0], one[1], one[2] + 1, one[3] or begin) for one in begin.wanting.get(name, ())]
                if name in self.rules.ignored:
                    new += [(one[0], one[1], one[2], one[3] or begin) for one in begin.stray]
        found = self._closed(new)
        return UNKNOWN if found is None or len(going) > MAX_ITEMS else self._state(going, self._items(found))

    def may_end(self, state: Any) -> bool:
        """False proves that the text itself is not of the grammar."""
        return state == UNKNOWN or bool(state[1])

    def _state(self, going: set[tuple[Items, str, Any]], here: Items) -> State | None:
        """With the words that may begin here; None if nothing leads on."""
        names = dict.fromkeys([*here.wanting, *(self.rules.ignored if here.known else ())])
        starts = {name: self.rules.words[name].start for name in names}
        going |= {(here, name, start) for name, start in starts.items() if start is not None}
        complete = any(
            symbol == self.rules.start and origin is (None if here is self._root else self._root)
            for symbol, number, read, origin in here.known
            if read == len(self.rules.rules[symbol][number])
        )
        return (frozenset(going), complete) if going or complete else None

    def _items(self, known: frozenset[Item]) -> Items:
        """The one set of these items."""
        found = self._sets.get(known)
        if found is None:
            wanting: dict[str, list[Item]] = {}
            stray = []
            for item in known:
                wanted = self._wanted(item)
                if wanted in self.rules.words:
                    wanting.setdefault(str(wanted), []).append(item)
                if wanted is None or wanted in self.rules.words:
                    stray.append(item)
            if len(self._sets) >= MAX_SETS:
                self._sets.clear()
            found = self._sets[known] = Items(known, wanting, stray)
        return found

    def _wanted(self, item: Item) -> str | None:
        """The symbol behind what is read of an item; None if all is."""
        symbol, number, read, _ = item
        expansion = self.rules.rules[symbol][number]
        return expansion[read] if read < len(expansion) else None

    def _closed(self, new: Sequence[Item]) -> frozenset[Item] | None:
        """All items that follow from some without a character more; None if they are too many."""
        seen = set(new)
        waiting = list(seen)
        while waiting:
            symbol, number, read, origin = item = waiting.pop()
            wanted = self._wanted(item)
            more: list[Item] = []
            if wanted is None:
                # a symbol that is nothing here was passed over when it was predicted
                parents = () if origin is None else origin.known
                more = [
                    (one[0], one[1], one[2] + 1, one[3] or origin) for one in parents if self._wanted(one) == symbol
                ]
            elif wanted in self.rules.rules:
                more = [(wanted, which, 0, None) for which in range(len(self.rules.rules[wanted]))]
                if wanted in self._empty:
                    more.append((symbol, number, read + 1, origin))
            waiting += [one for one in more if one not in seen]
            seen.update(more)
            if len(seen) > MAX_ITEMS:
                return None
        return frozenset(seen)


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
