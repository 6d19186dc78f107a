"""How many tokens a text must still hold before it may end, by the machine that reads it.

From the end of a text backwards: where it may end 0 are lacking, and elsewhere one more than at the nearest place that
a token leads to. This is worked out for all places that tokens lead to from a beginning, if these are not too many:
then no text of the language ends sooner. Where they are too many a short ending is looked for, and the tokens counted
that spell it; that is a hint, for a shorter one may be overlooked.

What is told of a place depends on what may follow it alone, not on what was asked before.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, final
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from objectives.reading import WITHIN, Bools, Node, Reading
from textsearch.batch import Vocabulary
from textsearch.spelling import spelt

MAX_PLACES = 400
"""Places that tokens lead to from a beginning, unless told."""

MAX_STATES = 2_000
"""States that are looked at for a short ending."""

NEVER: Final = 10**6
"""Tokens that are lacking where no end is to be found at all."""

_KEPT = 200  # beginnings for each of which V numbers are remembered


@final
class NearestEnd:
    """Of the texts that a machine reads; threads may share it.

    Args:
        reading: of the machine.
        places: that tokens may lead to from a beginning; beyond them nothing is proven of its end; with
            0 nothing at all.

    >>> from objectives.linear_search import tree_of
    >>> from objectives.partial_search import PartialSearch
    >>> from textsearch.testing import letters
    >>> near = NearestEnd(Reading(PartialSearch(tree_of("a{3}|b+"), full=True)))
    >>> near.is_too_long(letters("ab"), b"a", 1), near.is_too_long(letters("ab"), b"a", 2)
    (True, False)
    >>> near.within(letters("ab"), 0, b"", 2, proven=True).tolist()
    [False, False, True]
    """

    def __init__(self, reading: Reading, places: int = MAX_PLACES) -> None:
        self.reading, self._places = reading, places
        self._known: WeakKeyDictionary[Vocabulary, _OfVocabulary] = WeakKeyDictionary()

    def within(self, vocabulary: Vocabulary, end: int, written: bytes, room: int, *, proven: bool) -> Bools:
        """(V,) bool, the tokens, the end among them, behind which a text may end before it has `room` tokens more.

        Args:
            vocabulary: has `token_bytes`.
            end: the token that ends a text, which is not counted.
            written: the bytes of the beginning.
            room: tokens that may follow it.
            proven: whether False is a proof that no text goes on so and ends in time; else it is a hint.
        """
        with self.reading.lock:
            node = self.reading.node(written)
            if node is None:
                return np.zeros(vocabulary.size, dtype=np.bool_)
            found: Bools = self._of(vocabulary).lacking_behind(node, proven) < room
            found[end] = self.reading.is_end(node)
            return found

    def is_too_long(self, vocabulary: Vocabulary, written: bytes, room: int) -> bool:
        """Whether it is proven that no text which begins so ends before it has `room` tokens more."""
        with self.reading.lock:
            node = self.reading.node(written)
            if node is None:
                return True
            return not (room >= 0 and self.reading.is_end(node)) and self._of(vocabulary).lacking(node, True) > room

    def _of(self, vocabulary: Vocabulary) -> _OfVocabulary:
        known = self._known.get(vocabulary)
        if known is None or known.made_at != self.reading.forgotten:
            known = self._known[vocabulary] = _OfVocabulary(self.reading, vocabulary, self._places)
        return known


@final
class _OfVocabulary:
    """What is known for one vocabulary, as long as the reading forgets no states."""

    def __init__(self, reading: Reading, vocabulary: Vocabulary, places: int) -> None:
        self.made_at, self._places = reading.forgotten, places
        # what is known of a vocabulary must not keep it
        self._reading, self._vocabulary_of = reading, ref(vocabulary)
        self._edges: dict[Node, set[Node]] = {}
        self._fewest: dict[Node, int | None] = {}
        self._hints: dict[Node, int] = {}
        self._rows: OrderedDict[tuple[Node, bool], NDArray[np.int32]] = OrderedDict()
        self._characters: list[str] | None = None

    @property
    def _vocabulary(self) -> Vocabulary:
        found = self._vocabulary_of()
        assert found is not None  # whoever asks holds it
        return found

    def lacking_behind(self, node: Node, proven: bool) -> NDArray[np.int32]:
        """(V,) tokens that are lacking behind each token; `NEVER` for those that lead nowhere."""
        key = node, proven
        if key not in self._rows:
            nodes, which = self._reading.following(self._vocabulary, node)
            each = np.array([*(self.lacking(one, proven) for one in nodes), NEVER], dtype=np.int32)
            self._rows[key] = each[which]
            while len(self._rows) > _KEPT:
                self._rows.popitem(last=False)
        self._rows.move_to_end(key)
        return self._rows[key]

    def lacking(self, node: Node, proven: bool) -> int:
        """Tokens that are lacking at a node: at least so many if `proven`, else as far as that is seen."""
        node = node[0], WITHIN if node[1] else b""
        if node not in self._fewest:
            self._explore(node)
        found = self._fewest[node]
        if found is not None:
            return found
        return 0 if proven else self._hint(node)

    def _explore(self, start: Node) -> None:
        """Work out the fewest tokens for all that can be come to from a node; None where that is too much."""
        order, seen = [start], {start}
        for node in order:
            if self._fewest.get(node, 0) is None or len(order) > self._places:
                self._fewest[start] = None
                return
            if node not in self._edges:
                self._edges[node] = self._reading.reached(self._vocabulary, node)
            new = [one for one in self._edges[node] if one not in seen]
            seen.update(new)
            order += new
        before: dict[Node, list[Node]] = {}
        for node in order:
            for one in self._edges[node]:
                before.setdefault(one, []).append(node)
        near = [node for node in order if self._reading.is_end(node)]
        found = dict.fromkeys(near, 0)
        for node in near:
            for one in before.get(node, ()):
                if one not in found:
                    found[one] = found[node] + 1
                    near.append(one)
        self._fewest.update({node: found.get(node, NEVER) for node in order})

    def _hint(self, node: Node) -> int:
        """Tokens of a short ending; 0 where none is seen."""
        if node not in self._hints:
            self._hints[node] = 1 + self._hint_within(node) if node[1] else self._spelt(node[0])
        return self._hints[node]

    def _hint_within(self, node: Node) -> int:
        """Of the places that a character ends at, the nearest to an end."""
        ends = (self._reading.stepped(node[0], one) for one in self._reading.characters if not one.isascii())
        return min((self._hint((one, b"")) for one in ends if one >= 0), default=NEVER)

    def _spelt(self, state: int) -> int:
        """Tokens of the shortest ending; 0 where none is seen."""
        ending = self._ending(state)
        row = None if ending is None else spelt(self._vocabulary, [ending])[0]
        return 0 if row is None else len(row)

    def _ending(self, start: int) -> str | None:
        """Characters that lead from a state to where a text may end, few of them."""
        if self._reading.knows_endings:
            return self._reading.ending(start)
        if self._characters is None:
            self._characters = self._one_of_each_kind()
        found = {start: ""}
        waiting = [start]
        for state in waiting:
            if self._reading.is_end((state, b"")):
                return found[state]
            if len(found) > MAX_STATES:
                return None
            for character in self._characters:
                after = self._reading.stepped(state, character)
                if after >= 0 and after not in found:
                    found[after] = found[state] + character
                    waiting.append(after)
        return None

    def _one_of_each_kind(self) -> list[str]:
        """Of the characters of the vocabulary; plain ones first."""
        every = self._reading.alphabet(self._vocabulary)
        plain = sorted(every, key=lambda one: (not one.isascii(), not one.isalnum(), not one.isprintable(), one))
        kinds = {self._reading.machine.kind(one): one for one in reversed(plain)}
        return sorted(kinds.values(), key=plain.index)
