"""Which tokens may come next, proven for the whole vocabulary at once by a machine that reads characters.

A language tells by a machine what follows from the beginning of a text: a state for each beginning, reached from the
state of one character less, or none where no text begins so. All tokens are read side by side, character by character;
characters that lead to the same state from everywhere are one kind, so that few steps of the machine are made. (Tokens
under an automaton of characters: Willard and Louf, "Efficient guided generation for large language models", 2023; here
the states are made as texts need them.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, Protocol, final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from textsearch.batch import Vocabulary
from textsearch.beginnings import TokenBytes, characters

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_STATES = 20_000  # of one machine that are remembered, or so many moves
_MOVES = 10_000_000
_TEXTS = 20_000  # beginnings whose state is remembered
_ROWS = 4_000  # living tokens that are remembered, behind states


class Machine(Protocol):
    """Reads texts character by character."""

    @property
    def start(self) -> Any:
        """The state of the empty text, hashable; None if there is no text at all."""

    def kind(self, character: str) -> Hashable:
        """Characters of one kind lead from each state to one."""

    def step(self, state: Any, character: str) -> Any:
        """The state of a text with one character more; None proves that no text of the language begins so."""

    def may_end(self, state: Any) -> bool:
        """False proves that the text itself is not of the language."""


@final
class Reading:
    """A machine with all that it has been found to do.

    >>> from textsearch.testing import letters
    >>> class Ab:
    ...     start, kind = "", staticmethod(lambda character: character)
    ...     step = staticmethod(lambda state, new: state + new if state + new in ("a", "ab") else None)
    ...     may_end = staticmethod(lambda state: state == "ab")
    >>> reading = Reading(Ab())
    >>> reading.is_dead("a", b""), reading.is_dead("b", b"")
    (False, True)
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._lock = RLock()
        self._kinds: dict[Hashable, int] = {}
        self._example: list[str] = []
        self._kind_of: dict[str, int] = {}
        self._leading: dict[bytes, Ints] = {}
        self._texts: OrderedDict[str, Any] = OrderedDict()
        self._classes: WeakKeyDictionary[Vocabulary, Ints] = WeakKeyDictionary()
        self._forget()

    def _forget(self) -> None:
        """What is known of states; texts keep theirs."""
        self._states: list[Any] = []
        self._number: dict[Any, int] = {}
        self._moves = np.full((64, 16), _NEW, dtype=np.int64)
        self._ends: dict[int, bool] = {}
        self._rows: WeakKeyDictionary[Vocabulary, dict[tuple[int, bytes], NDArray[np.uint8]]] = WeakKeyDictionary()

    def is_dead(self, beginning: str, rest: bytes) -> bool:
        """Whether it is proven that no text begins so.

        Args:
            beginning: whole characters.
            rest: the first bytes of one more, or none.
        """
        with self._lock:
            state = self._after(beginning)
            return state is None or not self._reads(self._numbered(state), rest)

    def living(self, vocabulary: Vocabulary, end: int, written: bytes) -> Bools:
        """(V,) bool; False proves that no text goes on so, the token `end` being the end of the text.

        Args:
            vocabulary: has `token_bytes`.
            end: the token that ends a text.
            written: the bytes of the beginning.
        """
        with self._lock:
            found = characters(written)
            state = None if found is None else self._after(found[0])
            if found is None or state is None:
                return np.zeros(vocabulary.size, dtype=np.bool_)
            if len(self._states) > _STATES or self._moves.size > _MOVES:
                self._forget()  # before a state is numbered: numbers mean nothing behind it
            number = self._numbered(state)
            key, rows = (number, found[1]), self._rows.setdefault(vocabulary, {})
            if key not in rows:
                if len(rows) > _ROWS:
                    rows.clear()
                rows[key] = np.packbits(self._run(vocabulary, number, found[1]))
            alive = np.unpackbits(rows[key], count=vocabulary.size).astype(np.bool_)
            alive[end] = not found[1] and self._may_end(number)
            return alive

    def _after(self, text: str) -> Any:
        """The state of a text, read on from the longest beginning that was read before."""
        if text in self._texts:
            self._texts.move_to_end(text)
            return self._texts[text]
        size = len(text)
        while size and text[:size] not in self._texts:
            size -= 1
        state = self._texts[text[:size]] if size else self.machine.start
        for place in range(size, len(text)):
            state = None if state is None else self.machine.step(state, text[place])
            self._texts[text[: place + 1]] = state
        while len(self._texts) > max(_TEXTS, len(text)):
            self._texts.popitem(last=False)
        return state

    def _may_end(self, number: int) -> bool:
        if number not in self._ends:
            self._ends[number] = bool(self.machine.may_end(self._states[number]))
        return self._ends[number]

    def _numbered(self, state: Any) -> int:
        number = self._number.get(state)
        if number is None:
            number = self._number[state] = len(self._states)
            self._states.append(state)
            if number == len(self._moves):
                self._moves = np.pad(self._moves, ((0, number), (0, 0)), constant_values=_NEW)
        return number

    def _kind(self, character: str) -> int:
        """The number of the character's kind."""
        number = self._kind_of.get(character)
        if number is None:
            kind = self.machine.kind(character)
            number = self._kind_of[character] = self._kinds.setdefault(kind, len(self._kinds))
            if number == len(self._example):
                self._example.append(character)
            if number >= self._moves.shape[1]:
                self._moves = np.pad(self._moves, ((0, 0), (0, number)), constant_values=_NEW)
        return number

    def _moved(self, states: Ints, kinds: Ints) -> Ints:
        """Where characters of some kinds lead from some states; -1 for none."""
        found = self._moves[states, kinds]
        new = np.flatnonzero(found == _NEW)
        if len(new):
            for pair in np.unique(states[new] * len(self._kinds) + kinds[new]).tolist():
                state, kind = divmod(pair, len(self._kinds))
                after = self.machine.step(self._states[state], self._example[kind])
                to = -1 if after is None else self._numbered(after)
                self._moves[state, kind] = to
            found = self._moves[states, kinds]
        return found

    def _reads(self, number: int, rest: bytes) -> bool:
        """Whether a character that begins with these bytes may be next."""
        if not rest or (len(rest) == 1 and rest[0] >= 0xF0):  # too many to ask for
            return True
        if rest not in self._leading:
            leading = {self._kind(character) for character in _beginning_with(rest)}
            self._leading[rest] = np.array(sorted(leading), dtype=np.int64)
        kinds = self._leading[rest]
        return bool((self._moved(np.full(len(kinds), number), kinds) >= 0).any())

    def _run(self, vocabulary: Any, number: int, before: bytes) -> Bools:
        """(V,) bool: read all tokens behind a state and the first bytes of a character."""
        pieces = _pieces(vocabulary)
        classes = self._classes.get(vocabulary)
        if classes is None:
            classes = self._classes[vocabulary] = np.array([self._kind(one) for one in pieces.characters], np.int64)
        alive = np.zeros(vocabulary.size, dtype=np.bool_)
        if before:
            part = pieces.behind(vocabulary.token_bytes, before)
            codes = np.array([self._kind(one) for one in part.characters], dtype=np.int64)
        else:
            part, codes = pieces.whole, classes
        at = np.full(len(part.tokens), number)
        going = np.arange(len(part.tokens))
        place = 0
        while True:
            going = going[part.lengths[going] > place]
            if not len(going):
                break
            at[going] = self._moved(at[going], codes[part.codes[part.begins[going] + place]])
            going = going[at[going] >= 0]
            place += 1
        fine = at >= 0
        for rest, places in part.unfinished.items():
            for state in np.unique(at[places[fine[places]]]).tolist():
                if not self._reads(state, rest):
                    fine[places[at[places] == state]] = False
        alive[part.tokens[fine]] = True
        return alive


_NEW = -2  # a move that was not asked for


@final
@dataclass(frozen=True, eq=False)
class _Part:
    """Some tokens as characters.

    Attributes:
        tokens: (T,) ids.
        codes: of the characters of all, one token after another: their places in `characters`.
        begins: (T,) where each one's are.
        lengths: (T,) how many it has.
        unfinished: the first bytes of a character -> the places of the tokens that end with them.
        characters: all that there are, once.
    """

    tokens: Ints
    codes: Ints
    begins: Ints
    lengths: Ints
    unfinished: dict[bytes, Ints]
    characters: Sequence[str]


@final
class _Pieces:
    """The tokens of a vocabulary as characters."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.whole = _part(list(enumerate(pieces)))
        self.characters = self.whole.characters
        # tokens that begin within a character
        self._within = [(token, piece) for token, piece in enumerate(pieces) if piece and piece[0] & 0xC0 == 0x80]
        self._behind: dict[bytes, _Part] = {}

    def behind(self, pieces: Sequence[bytes], before: bytes) -> _Part:
        """What tokens write behind the first bytes of a character."""
        if before not in self._behind:
            empty = [(token, piece) for token, piece in enumerate(pieces) if not piece]
            self._behind[before] = _part([(token, before + piece) for token, piece in empty + self._within])
        return self._behind[before]


def _part(pieces: Sequence[tuple[int, bytes]]) -> _Part:
    """Those that are characters and perhaps the first bytes of one more."""
    tokens, texts, rests = [], [], []
    for token, piece in pieces:
        found = characters(piece)
        if found is not None:
            tokens.append(token)
            texts.append(found[0])
            rests.append(found[1])
    code = {one: number for number, one in enumerate(sorted(set("".join(texts))))}
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    unfinished: dict[bytes, list[int]] = {}
    for place, rest in enumerate(rests):
        if rest:
            unfinished.setdefault(rest, []).append(place)
    return _Part(
        np.array(tokens, dtype=np.int64),
        np.array([code[one] for text in texts for one in text], dtype=np.int64),
        lengths.cumsum() - lengths,
        lengths,
        {rest: np.array(places, dtype=np.int64) for rest, places in unfinished.items()},
        list(code),
    )


_PIECES: WeakKeyDictionary[Vocabulary, _Pieces] = WeakKeyDictionary()


def _pieces(vocabulary: Any) -> _Pieces:
    assert isinstance(vocabulary, TokenBytes)
    found = _PIECES.get(vocabulary)  # type: ignore[call-overload]
    if found is None:
        found = _PIECES[vocabulary] = _Pieces(vocabulary.token_bytes)  # type: ignore[index]
    return found  # type: ignore[no-any-return]


def _beginning_with(rest: bytes) -> Sequence[str]:
    """All characters whose UTF-8 begins with some bytes."""
    first = rest[0]
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    left = size - len(rest)
    code = first & (0xFF >> (size + 1))
    for byte in rest[1:]:
        code = code << 6 | byte & 0x3F
    every = range(code << 6 * left, (code + 1) << 6 * left)
    least = {2: 0x80, 3: 0x800, 4: 0x10000}[size]
    return [chr(one) for one in every if least <= one < 0x110000 and not 0xD800 <= one < 0xE000]
