r"""What the beginning of a text tells of a search for a regular expression, whatever comes behind it.

All ways to go on are followed from character to character. A lookahead that a way has passed goes along as an
obligation: its body is followed beside the way, which ends where the body can no longer match, or has matched and must
not (Chandra, Kozen and Stockmeyer, "Alternation", 1981). Bodies of lookbehinds are followed from the start of the text.
Conditions such as `\b` are decided when the next character is known. So a state is a value that depends on the text
alone and is reached from the state of one character less; a state that nothing leads on from proves that no text which
begins so holds a match, and one that has found its match proves that all do.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, final

import regex

from objectives.linear_search import Automaton, Either, Here, Look, One, Repeat, Row, Tree

MAX_STEPS = 20_000
"""Places of the expression that are visited for one character; beyond them nothing is proven from there on."""

Obligations: TypeAlias = "frozenset[tuple[_Followed, frozenset[Thread], bool]]"
Thread: TypeAlias = "tuple[int, Obligations]"
"""A place of the expression, and the lookaheads on the way to it: what is followed, how far, whether it must match."""

NONE: Obligations = frozenset()
_CONTEXTS = (r"\n", r"(?a)\w", r"\w")
"""What `_context` asks of a character."""

FOUND = "found"
"""The state of a text that holds a match, and so do all that begin with it."""
UNKNOWN = "unknown"
"""The state of a text of which nothing can be proven."""


@final
class PartialSearch:
    r"""Reads the texts in which a tree is found; see `objectives.reading.Machine`.

    Attributes:
        start: the state of the empty text; None if no text holds a match.
        exact: whether the state FOUND says that the tree is found, not that it may be.

    >>> from objectives.linear_search import tree_of
    >>> from objectives.reading import Reading
    >>> reading = Reading(PartialSearch(tree_of(r"^(?!.*no)[a-z]+\b!")))
    >>> [reading.is_dead(text, b"") for text in ("dog", "dog no", "dog?")]
    [False, True, True]
    """

    def __init__(self, tree: Tree, full: bool = False) -> None:
        self._full = full
        self._behind: list[_Followed] = []
        self._search = _Followed(_spelled_out(tree), self._behind)
        self._left = 0
        self.exact = self._search.exact
        self._looks_around = self._search.looks_around or any(one.looks_around for one in self._behind)
        every = [self._search, *self._behind]
        self._every = [own for one in every for own in one.with_bodies()]
        # what matches nothing at all is found before anything is read
        at_once = not full and self._search.ends_at_once({place for place, owed in self._search.first if not owed})
        behind = tuple(one.first for one in self._behind)
        self.start = FOUND if at_once else self._alive("", self._search.first, behind)

    def kind(self, character: str) -> Hashable:
        """What decides where a character leads: two of one kind lead to the same state from everywhere."""
        fits = tuple(one.automaton._fits(character) for one in self._every)
        return (fits, _context(character)) if self._looks_around else fits

    @property
    def tests(self) -> list[Any]:
        """Expressions of one character: two characters that pass the same are of one kind."""
        own = [test for one in self._every for test in one.automaton.tests]
        return own + [regex.compile(source) for source in _CONTEXTS] if self._looks_around else own

    def step(self, state: Any, character: str) -> Any:
        """The state of a text with one character more; None if nothing leads on."""
        if state in (FOUND, UNKNOWN):
            return state
        before, threads, behind = state
        self._left = MAX_STEPS
        try:
            ended, behind = self._look_behind(behind, before, character)
            finals, after = self._advance(self._search, threads, before, character, ended)
            if not self._full:
                pushed = [own for one in finals if (own := self._push(one, before, character, ended)) is not None]
                if NONE in finals or NONE in pushed:
                    return FOUND
                after |= {(0, own) for own in pushed} | self._search.first
                if self._search.ends_at_once({place for place, owed in after if not owed}):
                    return FOUND
            return self._alive(_context(character) if self._looks_around else " ", frozenset(after), behind)
        except _TooLongError:
            return UNKNOWN

    def may_end(self, state: Any) -> bool:
        """False proves that the text itself holds no match or, if `full`, is none."""
        return self.ends(state) is not False

    def ends(self, state: Any) -> bool | None:
        """Whether the text itself holds a match or, if `full`, is one; None where that is not known.

        True may be wrong unless the search is `exact`.
        """
        if state in (FOUND, UNKNOWN):
            return True if state == FOUND else None
        before, threads, behind = state
        self._left = MAX_STEPS
        try:
            ended, _ = self._look_behind(behind, before, "")
            finals, _ = self._advance(self._search, threads, before, "", ended)
            return any(self._met(one, before, ended) for one in finals)
        except _TooLongError:
            return None

    def _alive(self, before: str, threads: frozenset[Thread], behind: tuple[frozenset[Thread], ...]) -> Any:
        """The state, or None where nothing leads on, whatever the next character is."""
        seen = {place for place, _ in threads}
        waiting = list(seen)
        while waiting:
            one = waiting.pop()
            if one == 0 or self._search.automaton.character[one] is not None:
                return before, threads, behind
            for number, target in self._search.automaton.targets[one]:
                lost = number is not None and before != "" and _at_the_beginning(self._search.conditions[number])
                if target not in seen and not lost:
                    seen.add(target)
                    waiting.append(target)
        return None

    def _look_behind(
        self, behind: tuple[frozenset[Thread], ...], before: str, character: str
    ) -> tuple[dict[int, set[Obligations]], tuple[frozenset[Thread], ...]]:
        """Of each lookbehind under which obligations its body ends here, and where it goes on."""
        ended: dict[int, set[Obligations]] = {}
        after = []
        for one, threads in zip(self._behind, behind, strict=True):
            # those within its body stand before it in the list
            finals, own = self._advance(one, threads, before, character, ended)
            ended[id(one)] = finals
            after.append(frozenset(own | one.first))
        return ended, tuple(after)

    def _advance(
        self,
        search: _Followed,
        threads: Iterable[Thread],
        before: str,
        character: str,
        ended: dict[int, set[Obligations]],
    ) -> tuple[set[Obligations], set[Thread]]:
        """The obligations of the matches that end before the character, or at the end if it is "", and what goes on."""
        finals: set[Obligations] = set()
        after: set[Thread] = set()
        automaton = search.automaton
        fits = automaton._fits(character) if character else 0
        waiting, seen = list(threads), set(threads)
        while waiting:
            place, owed = waiting.pop()
            self._left -= 1
            if self._left < 0:
                raise _TooLongError
            one = automaton.character[place]
            if place == 0:
                finals.add(owed)
            elif one is not None:
                if fits >> one & 1 and (left := self._push(owed, before, character, ended)) is not None:
                    after.add((automaton.targets[place][0][1], left))
            else:
                for number, target in automaton.targets[place]:
                    for more in search.under(number, before, character, ended):
                        new = target, owed | more
                        if new not in seen:
                            seen.add(new)
                            waiting.append(new)
        return finals, after

    def _push(
        self, owed: Obligations, before: str, character: str, ended: dict[int, set[Obligations]]
    ) -> Obligations | None:
        """What is still owed behind the character; None if it can no longer be met."""
        left = []
        for body, threads, wanted in owed:
            finals, after = self._advance(body, threads, before, character, ended)
            pushed = [own for one in finals if (own := self._push(one, before, character, ended)) is not None]
            if NONE in finals or NONE in pushed:
                if not wanted:
                    return None
                continue
            after |= {(0, own) for own in pushed}
            if after:
                left.append((body, frozenset(after), wanted))
            elif wanted:
                return None
        return frozenset(left)

    def _met(self, owed: Obligations, before: str, ended: dict[int, set[Obligations]]) -> bool:
        """Whether what is owed is met where the text ends."""
        return all(
            any(self._met(one, before, ended) for one in self._advance(body, threads, before, "", ended)[0]) == wanted
            for body, threads, wanted in owed
        )


@final
@dataclass(frozen=True, eq=False)
class Without:
    """Reads the texts in which a search finds nothing; see `objectives.reading.Machine`.

    >>> from objectives.linear_search import tree_of
    >>> from objectives.reading import Reading
    >>> [Reading(Without(PartialSearch(tree_of(source)))).is_dead("a dog", b"") for source in ("dog", "dog$")]
    [True, False]
    """

    search: PartialSearch

    @property
    def start(self) -> Any:
        """That of the search; where it can find nothing every text is fine, and where it has found nothing is."""
        return self._of(self.search.start)

    def kind(self, character: str) -> Hashable:
        """As for the search."""
        return self.search.kind(character)

    @property
    def tests(self) -> list[Any]:
        """As for the search."""
        return self.search.tests

    def step(self, state: Any, character: str) -> Any:
        """The state of a text with one character more; None where something is found however it goes on."""
        return self._of(self.search.step(state, character))

    def _of(self, state: Any) -> Any:
        """What a state of the search is of the texts in which it finds nothing."""
        if state == FOUND and self.search.exact:
            return None
        return UNKNOWN if state is None else state

    def may_end(self, state: Any) -> bool:
        """False proves that something is found in the text."""
        return not (self.search.exact and self.search.ends(state) is True)


class _TooLongError(Exception):
    """The limit of steps is reached."""


@final
class _Followed:
    """An automaton that reads forwards, with the bodies of its lookarounds."""

    def __init__(self, tree: Tree, behind: list[_Followed]) -> None:
        self.automaton = Automaton(tree)
        self.conditions = list(self.automaton.conditions)
        self.first: frozenset[Thread] = frozenset({(self.automaton.start, NONE)})
        self.bodies: dict[int, _Followed] = {}
        self.exact = True
        self.looks_around = any(isinstance(one, Here) for one in self.conditions)
        for number, condition in enumerate(self.conditions):
            if isinstance(condition, Look):
                body = self.bodies[number] = _Followed(condition.body, behind)
                self.looks_around |= body.looks_around
                if condition.behind:
                    behind.append(body)
                    self.exact &= not any(isinstance(one, Look) and not one.behind for one in body.conditions)
                self.exact &= body.exact

    def with_bodies(self) -> list[_Followed]:
        """Itself and all lookaheads within."""
        ahead = [body for number, body in self.bodies.items() if not _look(self.conditions[number]).behind]
        return [self, *(own for body in ahead for own in body.with_bodies())]

    def ends_at_once(self, places: set[int]) -> bool:
        """Whether a match has ended at one of some places, whatever stands behind."""
        waiting, seen = list(places), set(places)
        while waiting:
            place = waiting.pop()
            if place == 0:
                return True
            for number, target in () if self.automaton.character[place] is not None else self.automaton.targets[place]:
                if number is None and target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return False

    def under(
        self, number: int | None, before: str, character: str, ended: dict[int, set[Obligations]]
    ) -> Iterable[Obligations]:
        """Under which further obligations a condition holds, one of them at least; none where it does not."""
        if number is None:
            return (NONE,)
        condition = self.conditions[number]
        if isinstance(condition, Here):
            return (NONE,) if _holds(condition, before, character) else ()
        body = self.bodies[number]
        if condition.behind:
            found = ended[id(body)]
            if condition.wanted:
                return found
            # where it ends under obligations it may fail to end
            return () if NONE in found and body.exact else (NONE,)
        if not condition.wanted and not body.exact:
            return (NONE,)
        return (frozenset({(body, body.first, condition.wanted)}),)


def _look(condition: Here | Look) -> Look:
    assert isinstance(condition, Look)
    return condition


def _spelled_out(tree: Tree) -> Tree:
    r"""The same with `$` as what it means, a line end at most and then the end."""
    match tree:
        case Here() if tree.source == "$" and not tree.flags & regex.MULTILINE:
            return Look(Row((Repeat(One(r"\n", 0), 0, 1), Here(r"\Z", 0))), behind=False, wanted=True)
        case Look():
            return Look(_spelled_out(tree.body), tree.behind, tree.wanted)
        case Row():
            return Row(tuple(map(_spelled_out, tree.parts)))
        case Either():
            return Either(tuple(map(_spelled_out, tree.parts)))
        case Repeat():
            return Repeat(_spelled_out(tree.body), tree.low, tree.high)
        case _:
            return tree


def _at_the_beginning(condition: Here | Look) -> bool:
    """Whether it holds at the beginning of a text and nowhere else."""
    return isinstance(condition, Here) and (
        condition.source == r"\A" or (condition.source == "^" and not condition.flags & regex.MULTILINE)
    )


@cache
def _context(character: str) -> str:
    r"""A character that is as good as this one to its neighbours: whether it ends a line, or is one of a word."""
    if character == "\n":
        return "\n"
    if regex.match(r"(?a)\w", character):
        return "a"
    return "\u00e9" if regex.match(r"\w", character) else " "


@cache
def _holds(condition: Here, before: str, character: str) -> bool:
    """Whether a condition holds between what stands before, which may be nothing, and a character, or the end."""
    text = before + (_context(character) if character else "")
    test: Any = regex.compile(condition.source, condition.flags)
    return any(found.start() == len(before) for found in test.finditer(text))
