r"""Regular expressions searched in time linear in the text, without backtracking.

A search by backtracking can take time exponential in the text, `(a+)+$` in "aaaa...b" say, and a limit of time would
make the answer depend on the machine and its load. Most expressions are regular, and of these the set of all
ways to go on can be followed instead, one character after another (Thompson, "Regular expression search algorithm",
CACM 1968). Sets that were met are kept, which makes it an automaton that is built as texts need it. Where a lookaround
holds is found beforehand, by an automaton of its own that runs the other way for a lookahead (Barrière and
Pit-Claudel, "Linear matching of JavaScript regular expressions", PLDI 2024).

The `regex` module decides what matches one character and where `\b` or `$` holds, so sets and properties mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, final

import regex

_FLAGS = {"i": regex.IGNORECASE, "m": regex.MULTILINE, "s": regex.DOTALL}
_COMMON = regex.IGNORECASE | regex.MULTILINE | regex.DOTALL | regex.UNICODE | regex.ASCII | regex.VERSION0

_CHARACTER = regex.compile(r"\\(?:[dDsSwWnrtfv]|[pP]\{\^?[^{}]+\}|x[\da-fA-F]{2}|u[\da-fA-F]{4}|[^\p{L}\p{M}\p{N}])")
_HERE = regex.compile(r"\\[AZbBmM]|[\^$]")
_SET = regex.compile(r"\[\^?\]?(?:\\.|[^\]\\\[])*\]", regex.DOTALL)
_OPEN = regex.compile(r"\((?:\?(?:P?<\w+>|(?P<on>[ims]*)(?:-(?P<off>[ims]+))?:)|(?![?*]))")
_LOOK = regex.compile(r"\(\?(?P<behind><?)(?P<sign>[=!])")
_REPEAT = regex.compile(r"[*+?]|\{(?P<low>\d*)(?P<comma>,?)(?P<high>\d*)\}")

_ROOM = 2**20  # places that are remembered, over all sets of them


class NotRegularError(ValueError):
    """Something in an expression that is not known to be regular, such as a backreference or an atomic group."""


@final
@dataclass(frozen=True)
class One:
    """A character that an expression matches."""

    source: str
    flags: int


@final
@dataclass(frozen=True)
class Here:
    r"""A place between characters: `^`, `$`, `\b`, ..."""

    source: str
    flags: int


@final
@dataclass(frozen=True)
class Look:
    """A place before or behind which the body matches, or does not."""

    body: Tree
    behind: bool
    wanted: bool


@final
@dataclass(frozen=True)
class Row:
    """Parts one after another."""

    parts: tuple[Tree, ...]


@final
@dataclass(frozen=True)
class Either:
    """One of several."""

    parts: tuple[Tree, ...]


@final
@dataclass(frozen=True)
class Repeat:
    """The body from `low` to `high` times, without end where that is None."""

    body: Tree
    low: int
    high: int | None


Tree: TypeAlias = One | Here | Look | Row | Either | Repeat


class Reader:
    """Reads an expression that compiles; refuses everything that is not surely understood."""

    leading = regex.compile(r"(?:\(\?[aimsu]+\))+")

    def __init__(self, pattern: str, flags: int) -> None:
        self.pattern, self.at = pattern, 0
        self.base = flags & regex.ASCII

    def whole(self, flags: int) -> Tree:
        """What the expression says, from its first character to its last."""
        self._take(self.leading)
        tree = self._either(flags & ~self.base)
        if self.at < len(self.pattern):
            raise NotRegularError(self.pattern[self.at :])
        return tree

    def _take(self, pattern: Any) -> Any:
        found = pattern.match(self.pattern, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def _next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _either(self, flags: int) -> Tree:
        parts = [self._row(flags)]
        while self._next() == "|":
            self.at += 1
            parts.append(self._row(flags))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _row(self, flags: int) -> Tree:
        parts: list[Tree] = []
        while self._next() not in {"", "|", ")"}:
            parts.append(self._repeated(self._part(flags)))
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def _repeated(self, part: Tree) -> Tree:
        found = self._take(_REPEAT)
        if found is None:
            if self._next() == "{":
                raise NotRegularError("{")
            return part
        low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(found[0], (0, 0))
        if found[0][0] == "{":
            if not (found["low"] or found["high"]):
                raise NotRegularError(found[0])
            low = int(found["low"] or 0)
            high = int(found["high"]) if found["high"] else None if found["comma"] else low
        # as few as possible or as many: the same texts hold a match
        if self._next() == "?":
            self.at += 1
        self._end_of_repeat()
        return Repeat(part, low, high)

    def _end_of_repeat(self) -> None:
        if self._next() in {"*", "+", "?", "{"}:
            raise NotRegularError(self._next())

    def _part(self, flags: int) -> Tree:
        if (found := self._take(_HERE)) is not None:
            return Here(found[0], flags | self.base)
        if (found := self._take(_LOOK)) is not None:
            return Look(self._closed(flags), bool(found["behind"]), found["sign"] == "=")
        if (found := self._take(_OPEN)) is not None:
            for letter in found["on"] or "":
                flags |= _FLAGS[letter]
            for letter in found["off"] or "":
                flags &= ~_FLAGS[letter]
            return self._closed(flags)
        found = self._take(_CHARACTER) or self._take(_SET)
        if found is not None:
            return One(found[0], flags | self.base)
        letter = self._next()
        if letter in {"\\", "[", "(", "*", "+", "?", "{"}:
            raise NotRegularError(self.pattern[self.at : self.at + 3])
        self.at += 1
        return One(letter if letter == "." else regex.escape(letter), flags | self.base)

    def _closed(self, flags: int) -> Tree:
        tree = self._either(flags)
        self.at += 1
        return tree


def tree_of(pattern: str) -> Tree:
    """The parts of an expression of the `regex` module that compiles.

    Raises:
        NotRegularError: it has parts that only backtracking can decide, or that are not known here.
    """
    flags = regex.compile(pattern).flags
    if flags & ~_COMMON:
        raise NotRegularError(pattern)
    return Reader(pattern, flags).whole(flags & (_COMMON & ~regex.UNICODE & ~regex.VERSION0))


def from_end_to_end(tree: Tree) -> Tree:
    """What a search for it finds is the whole text."""
    return Row((Here(r"\A", 0), tree, Here(r"\Z", 0)))


@final
class _Set:
    """Places of an expression at which a search may be, and where each character leads."""

    __slots__ = ("moves", "places")

    def __init__(self, places: frozenset[int]) -> None:
        self.places = places
        self.moves: dict[tuple[str, int], tuple[bool, _Set]] = {}


@final
class Automaton:
    """Finds where matches of a tree end, or begin if it reads `backwards`."""

    def __init__(self, tree: Tree, backwards: bool = False) -> None:
        self.backwards = backwards
        self.conditions: dict[Here | Look, int] = {}
        self.characters: dict[One, int] = {}
        # of each place the character that leads on, if any, and where to, under which condition if any
        self.character: list[int | None] = [None]
        self.targets: list[list[tuple[int | None, int]]] = [[]]
        self.start = self._build(tree, 0)
        self.tests = [regex.compile(one.source, one.flags) for one in self.characters]
        self.places = [_where(condition) for condition in self.conditions]
        self.known: dict[str, int] = {}
        self.sets: dict[frozenset[int], _Set] = {}
        self.room = _ROOM

    def _place(self, character: int | None, targets: list[tuple[int | None, int]]) -> int:
        self.character.append(character)
        self.targets.append(targets)
        return len(self.targets) - 1

    def _build(self, tree: Tree, then: int) -> int:
        """The place from which the tree leads to the place `then`."""
        match tree:
            case One():
                return self._place(self.characters.setdefault(tree, len(self.characters)), [(None, then)])
            case Here() | Look():
                return self._place(None, [(self.conditions.setdefault(tree, len(self.conditions)), then)])
            case Row():
                for part in tree.parts if self.backwards else reversed(tree.parts):
                    then = self._build(part, then)
                return then
            case Either():
                return self._place(None, [(None, self._build(part, then)) for part in tree.parts])
            case Repeat():
                low, high = tree.low, tree.high
                here = then
                if high is None:
                    here = self._place(None, [(None, then)])
                    self.targets[here].append((None, self._build(tree.body, here)))
                for _ in range(low, high or 0):
                    here = self._place(None, [(None, then), (None, self._build(tree.body, here))])
                for _ in range(low):
                    here = self._build(tree.body, here)
                return here

    def ends(self, text: str) -> Iterator[bool]:
        """At each place of the text, in the order in which it is read, whether a match ends there."""
        marks = self._marks(text)
        if self.backwards:
            text = text[::-1]
            marks = marks[::-1]
        here = self._set(frozenset())
        for key in zip([*text, ""], marks, strict=True):
            move = here.moves.get(key)
            if move is None:
                move = self._move(here, *key)
            ended, here = move
            yield ended

    def _marks(self, text: str) -> list[int]:
        """For each place of the text the conditions that hold there, as bits."""
        marks = [0] * (len(text) + 1)
        for number, where in enumerate(self.places):
            for at in where(text):
                marks[at] |= 1 << number
        return marks

    def _set(self, places: frozenset[int]) -> _Set:
        found = self.sets.get(places)
        if found is None:
            found = self.sets[places] = _Set(places)
        return found

    def _move(self, here: _Set, character: str, marks: int) -> tuple[bool, _Set]:
        """Whether a match ends at the place, and where the character behind it leads."""
        waiting = [self.start, *here.places]  # a match may begin anywhere
        seen = set(waiting)
        fits = self._fits(character) if character else 0
        after = set()
        while waiting:
            place = waiting.pop()
            one = self.character[place]
            if one is not None:
                if fits >> one & 1:
                    after.add(self.targets[place][0][1])
                continue
            for condition, target in self.targets[place]:
                if target not in seen and (condition is None or marks >> condition & 1):
                    seen.add(target)
                    waiting.append(target)
        self.room -= 8 + len(after)
        if self.room < 0:
            self.sets, self.known, self.room = {}, {}, _ROOM
        move = here.moves[character, marks] = 0 in seen, self._set(frozenset(after))
        return move

    def _fits(self, character: str) -> int:
        """Which of the tests the character passes, as bits."""
        found = self.known.get(character)
        if found is None:
            found = sum(1 << number for number, test in enumerate(self.tests) if test.fullmatch(character))
            self.known[character] = found
        return found


def _where(condition: Here | Look) -> Any:
    """A function: text -> the places, from 0 to its length, where the condition holds."""
    if isinstance(condition, Here):
        if condition.source in {"^", r"\A"} and not condition.flags & regex.MULTILINE:
            return lambda text: (0,)
        if condition.source == "$" and not condition.flags & regex.MULTILINE:
            return lambda text: (len(text), len(text) - 1) if text.endswith("\n") else (len(text),)
        test = regex.compile(condition.source, condition.flags)
        return lambda text: [found.start() for found in test.finditer(text)]
    automaton = Automaton(condition.body, backwards=not condition.behind)

    def places(text: str) -> Sequence[int]:
        ends = list(automaton.ends(text))
        if automaton.backwards:
            ends.reverse()
        return [at for at, ended in enumerate(ends) if ended == condition.wanted]

    return places


@final
class LinearSearch:
    """Tells whether a regular expression is found in a text, in time linear in the text.

    Raises:
        NotRegularError: the expression has parts that only backtracking can decide, or that are not known here.

    >>> search = LinearSearch("^(a+)+$")
    >>> search.found("a" * 100), search.found("a" * 100 + "b")
    (True, False)
    >>> LinearSearch("a|ab", full=True).found("ab"), LinearSearch("a|ab", full=True).found("abc")
    (True, False)
    """

    def __init__(self, pattern: str, full: bool = False) -> None:
        self.pattern, self.full = pattern, full
        self._automaton = _automaton(pattern, full)

    def __reduce__(self) -> tuple[Any, ...]:
        return LinearSearch, (self.pattern, self.full)

    def found(self, text: str) -> bool:
        """Whether a match is somewhere in the text; if `full`, whether the whole text is one."""
        return any(self._automaton.ends(text))


# the expressions of a run are few, and each group of inputs asks for the same
@lru_cache(maxsize=64)
def _automaton(pattern: str, full: bool) -> Automaton:
    tree = tree_of(pattern)
    return Automaton(from_end_to_end(tree) if full else tree)
