r"""What the beginning of a text tells of a search for a regular expression, whatever comes behind it.

All ways to go on are followed as in `objectives.linear_search`, twice: once with each condition taken to hold that may
still come to hold, such as `\b` or a lookahead at the end of what is written, and once with those alone that hold
however the text goes on. So two things can be proven: that no text that begins so holds a match, and that all do.
Conditions are evaluated as in Kleene's logic of three values (Kleene, "Introduction to metamathematics", 1952).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

import regex

from objectives.linear_search import Automaton, Here, Look, Tree

MAX_STEPS = 200_000
"""Places of the expression that are visited for one beginning; beyond them nothing is proven."""

_ROOM = 20_000  # sets of places, and what is known of characters, that are remembered


@final
class PartialSearch:
    r"""A search for a tree in texts of which the beginning alone is known.

    >>> from objectives.linear_search import tree_of
    >>> search = PartialSearch(tree_of(r"^(?!.*no)[a-z]+\b!"))
    >>> search.may_be_found("dog"), search.may_be_found("dog no"), search.may_be_found("dog?")
    (True, False, False)
    >>> PartialSearch(tree_of("dog")).is_found("a dog"), PartialSearch(tree_of("dog$")).is_found("a dog")
    (True, False)
    """

    def __init__(self, tree: Tree, full: bool = False) -> None:
        self._search, self._full = _Followed(tree), full

    def may_be_found(self, beginning: str) -> bool:
        """False proves that no text that begins so holds a match or, if `full`, is one."""
        try:
            return _Reading(beginning).may_match(self._search, self._full)
        except _TooLongError:
            return True

    def is_found(self, beginning: str) -> bool:
        """True proves that every text that begins so holds a match; never of a `full` one."""
        try:
            return not self._full and _Reading(beginning).surely_matches(self._search)
        except _TooLongError:
            return False


class _TooLongError(Exception):
    """The limit of steps is reached."""


@final
class _Followed:
    """An automaton that reads forwards, with the searches for the bodies of its lookarounds."""

    def __init__(self, tree: Tree) -> None:
        self.automaton = Automaton(tree)
        self.conditions = list(self.automaton.conditions)
        self.bodies = {
            condition: _Followed(condition.body) for condition in self.conditions if isinstance(condition, Look)
        }
        self.steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self.closures: dict[frozenset[int], frozenset[int]] = {}

    def after(self, places: frozenset[int], character: str) -> frozenset[int]:
        """Where the character leads from these places, all conditions aside."""
        found = self.steps.get((places, character))
        if found is None:
            automaton = self.automaton
            fits = automaton._fits(character)
            found = frozenset(
                automaton.targets[place][0][1]
                for place in places
                if (one := automaton.character[place]) is not None and fits >> one & 1
            )
            if len(self.steps) > _ROOM:
                self.steps = {}
            self.steps[places, character] = found
        return found


@final
class _Reading:
    """One beginning, and what has been worked out of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.left = MAX_STEPS
        self.places: dict[Here, frozenset[int]] = {}
        # of each lookaround, from each place, surely or perhaps
        self.ends: dict[tuple[int, int, bool], set[int]] = {}

    def may_match(self, search: _Followed, full: bool) -> bool:
        """Whether a match may have ended, or may yet end; if `full`, one from end to end."""
        found, going = self._follow(search, 0, sure=False, again=not full, ends=full)
        return going or (len(self.text) in found if full else bool(found))

    def surely_matches(self, search: _Followed) -> bool:
        """Whether a match has ended, however the text goes on."""
        return bool(self._follow(search, 0, sure=True, again=True)[0])

    def _follow(
        self, search: _Followed, at: int, *, sure: bool, again: bool, ends: bool = False
    ) -> tuple[set[int], bool]:
        """Where matches end that begin at the place `at` or, if `again`, anywhere behind it; whether one is unfinished.

        Args:
            search: what to follow.
            at: a place of the text.
            sure: count conditions that hold however the text goes on, and not those that may.
            again: begin anew at each place.
            ends: find all ends, not the first alone.
        """
        start = frozenset((search.automaton.start,))
        here, found, last = start, set[int](), len(self.text)
        for place in range(at, last + 1):
            closure = self._closure(search, here, place, sure)
            if 0 in closure:
                found.add(place)
                if not ends:
                    break
            if place == last:
                return found, any(search.automaton.character[one] is not None for one in closure)
            here = search.after(closure, self.text[place])
            if again:
                here |= start
            elif not here:
                break
        return found, False

    def _closure(self, search: _Followed, here: frozenset[int], place: int, sure: bool) -> frozenset[int]:
        """All places of the expression that are reached without a character."""
        known = search.closures.get(here) if place else None
        if known is not None:
            return known
        automaton, asked = search.automaton, False
        waiting = list(here)
        seen = set(waiting)
        while waiting:
            one = waiting.pop()
            for number, target in () if automaton.character[one] is not None else automaton.targets[one]:
                if target in seen:
                    continue
                if number is not None:
                    condition = search.conditions[number]
                    if place and _at_the_beginning(condition):
                        continue
                    asked = True
                    if not self._holds(search, condition, place, sure):
                        continue
                seen.add(target)
                waiting.append(target)
        self.left -= len(seen)
        if self.left < 0:
            raise _TooLongError
        closure = frozenset(seen)
        if place and not asked:
            # the same at every place behind the beginning
            if len(search.closures) > _ROOM:
                search.closures = {}
            search.closures[here] = closure
        return closure

    def _holds(self, search: _Followed, condition: Here | Look, place: int, sure: bool) -> bool:
        """Whether a condition surely holds at a place, or may hold there."""
        if isinstance(condition, Here):
            return self._holds_here(condition, place, sure)
        # what surely does not match is what may not
        of_body = sure == condition.wanted
        body = search.bodies[condition]
        if condition.behind:
            key = id(condition), 0, of_body
            if key not in self.ends:
                self.ends[key] = self._follow(body, 0, sure=of_body, again=True, ends=True)[0]
            return (place in self.ends[key]) == condition.wanted
        key = id(condition), place, of_body
        if key not in self.ends:
            found, going = self._follow(body, place, sure=of_body, again=False)
            self.ends[key] = found | {place} if going and not of_body else found
        return bool(self.ends[key]) == condition.wanted

    def _holds_here(self, condition: Here, place: int, sure: bool) -> bool:
        if condition not in self.places:
            self.places[condition] = frozenset(_where(condition, self.text))
        found, end = place in self.places[condition], len(self.text)
        if condition.source in {"^", r"\A"}:
            return found  # what comes behind does not matter to it
        before_last_line_end = condition.source == "$" and place == end - 1 and self.text.endswith("\n")
        if place == end or (before_last_line_end and not condition.flags & regex.MULTILINE):
            return not sure
        return found


def _at_the_beginning(condition: Here | Look) -> bool:
    """Whether it holds at the beginning of a text and nowhere else."""
    return isinstance(condition, Here) and (
        condition.source == r"\A" or (condition.source == "^" and not condition.flags & regex.MULTILINE)
    )


def _where(condition: Here, text: str) -> Iterable[int]:
    test: Any = regex.compile(condition.source, condition.flags)
    return (found.start() for found in test.finditer(text))
