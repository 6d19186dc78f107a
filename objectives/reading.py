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
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from objectives.alphabet import standing_for_all
from textsearch.batch import Vocabulary
from textsearch.beginnings import characters, completions

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MAX_STATES = 20_000
"""States of one machine that are remembered."""

MAX_MOVES = 10_000_000
"""Places in the table of where characters lead from states."""

MAX_TRIED = 300
"""States that are looked at before a language is said to have a text."""

MAX_TEXTS = 20_000
"""Beginnings whose state is remembered."""

MAX_ROWS = 4_000
"""Rows of living tokens that are remembered, of V bits each."""

_CONTINUING = bytes(range(0x80, 0xC0))  # bytes of a character but its first
_NEW = -2  # a move that was not asked for

Node = tuple[int, bytes]
"""The number of a state, and the first bytes of one more character, or none."""

WITHIN = b"\x80"
"""For the first bytes of any character."""


class Machine(Protocol):
    """Reads texts character by character; what it tells of a text depends on the text alone."""

    @property
    def start(self) -> Any:
        """The state of the empty text, hashable; None if there is no text at all."""

    def kind(self, character: str) -> Hashable:
        """Characters of one kind lead from each state to one."""

    @property
    def tests(self) -> Sequence[Any]:
        """Expressions of one character: two characters that pass the same are of one kind."""

    def step(self, state: Any, character: str) -> Any:
        """The state of a text with one character more; None proves that no text of the language begins so."""

    def may_end(self, state: Any) -> bool:
        """False proves that the text itself is not of the language."""


@final
class Reading:
    """A machine with all that it has been found to do; threads may share it.

    >>> import regex
    >>> from textsearch.testing import letters
    >>> class Ab:
    ...     start, kind, tests = "", staticmethod(lambda character: character), [regex.compile("a"), regex.compile("b")]
    ...     step = staticmethod(lambda state, new: state + new if state + new in ("a", "ab") else None)
    ...     may_end = staticmethod(lambda state: state == "ab")
    >>> reading = Reading(Ab())
    >>> reading.is_dead("a", b""), reading.is_dead("b", b"")
    (False, True)
    >>> reading.living(letters("ab"), 0, b"a").tolist(), reading.living(letters("ab"), 0, b"ab").tolist()
    ([False, False, True], [True, False, False])
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.lock = RLock()
        self.forgotten = 0
        self._texts: OrderedDict[str, Any] = OrderedDict()
        self._characters: Sequence[str] | None = None
        self._tests = machine.tests
        self._forget()

    def _forget(self) -> None:
        """Drop all that rests on numbers of states and kinds, together: a number means nothing beside others."""
        self._states: list[Any] = []
        self._number: dict[Any, int] = {}
        self._kinds: dict[Hashable, int] = {}
        self._examples: list[str] = []
        self._kind_of: dict[str, int] = {}
        self._passing: dict[int, int] = {}
        self._moves = np.full((64, 16), _NEW, dtype=np.int32)
        self._leading: dict[bytes, Ints] = {}
        self._codes: WeakKeyDictionary[_Tokens, _Coded] = WeakKeyDictionary()
        self._rows: WeakKeyDictionary[Vocabulary, dict[Node, NDArray[np.uint8]]] = WeakKeyDictionary()
        self._leads: WeakKeyDictionary[_Tokens, tuple[Ints, Bools, Bools]] = WeakKeyDictionary()
        self.forgotten += 1

    def is_dead(self, beginning: str, rest: bytes) -> bool:
        """Whether it is proven that no text begins so.

        Args:
            beginning: whole characters.
            rest: the first bytes of one more, or none.
        """
        with self.lock:
            state = self._after(beginning)
            return state is None or (rest != b"" and not self._reads(self._first(state), rest))

    def living(self, vocabulary: Vocabulary, end: int, written: bytes) -> Bools:
        """(V,) bool; False proves that no text goes on so, the token `end` being the end of the text.

        Args:
            vocabulary: has `token_bytes`.
            end: the token that ends a text.
            written: the bytes of the beginning.
        """
        with self.lock:
            node = self.node(written)
            if node is None:
                return np.zeros(vocabulary.size, dtype=np.bool_)
            rows = self._rows.setdefault(vocabulary, {})
            if node not in rows:
                if len(rows) >= MAX_ROWS:
                    rows.clear()
                coded = self.coded(vocabulary, node[1])
                rows[node] = np.packbits(coded.each(self._run(coded, node[0]) >= 0, False))
            alive = np.unpackbits(rows[node], count=vocabulary.size).astype(np.bool_)
            alive[end] = self.is_end(node)
            return alive

    @property
    def is_empty(self) -> bool:
        """Whether it is proven that there is no text at all: of all characters, not those of a vocabulary alone."""
        with self.lock:
            if self.machine.start is None:
                return True
            waiting = [self.machine.start]
            seen = set(waiting)
            for state in waiting:
                if self.machine.may_end(state) or len(seen) > MAX_TRIED:
                    return False
                new = dict.fromkeys(self.machine.step(state, one) for one in self.characters)
                new = {one: None for one in new if one is not None and one not in seen}
                seen.update(new)
                waiting += new
            return True

    def node(self, written: bytes) -> Node | None:
        """Where a beginning has come to; None if no text begins so. Good until the next is asked for."""
        found = characters(written)
        state = None if found is None else self._after(found[0])
        return None if found is None or state is None else (self._first(state), found[1])

    def is_end(self, node: Node) -> bool:
        """Whether a text may end there; False proves that it may not."""
        return not node[1] and self.machine.may_end(self._states[node[0]])

    def following(self, vocabulary: Vocabulary, node: Node) -> tuple[list[Node], Ints]:
        """Where tokens lead from a node: the places, and for each of the V tokens which, -1 for none."""
        coded = self.coded(vocabulary, node[1])
        nodes, which = self._led(coded, node[0])
        return nodes, coded.each(which, -1)

    def reached(self, vocabulary: Vocabulary, node: Node) -> set[Node]:
        """Where tokens that a text may hold lead from a node; all that end within a character are told as `WITHIN`."""
        if not node[1]:
            coded = self.coded(vocabulary, b"")
            at = self._run(coded, node[0])
            good = coded.usable & (at >= 0)
            whole, torn = at[good & (coded.rest == 0)], at[good & (coded.rest > 0)]
            return {(one, b"") for one in set(whole.tolist())} | {(one, WITHIN) for one in set(torn.tolist())}
        # a token that ends the character may go on
        found = set[Node]()
        for character in self.characters:
            after = -1 if character.isascii() else self.stepped(node[0], character)
            for text, rest in _pieces(vocabulary).behind_characters if after >= 0 else ():
                state = after
                for one in text:
                    state = state if state < 0 else self.stepped(state, one)
                if state >= 0:
                    found.add((state, WITHIN if rest else b""))
        return found

    @property
    def characters(self) -> Sequence[str]:
        """One of each kind, and of each kind one beyond ASCII."""
        if self._characters is None:
            self._characters = standing_for_all(self.machine.tests)
        return self._characters

    def stepped(self, number: int, character: str) -> int:
        """Where one character leads from a state; -1 for nowhere."""
        return int(self._moved(np.array([number]), np.array([self._kind(character)]))[0])

    @property
    def knows_endings(self) -> bool:
        """Whether the machine has a method `ending`: state -> a short text behind which a text may end, or None."""
        return hasattr(self.machine, "ending")

    def ending(self, number: int) -> str | None:
        """That of a state."""
        machine: Any = self.machine
        found: str | None = machine.ending(self._states[number])
        return found

    def alphabet(self, vocabulary: Vocabulary) -> Sequence[str]:
        """The characters that tokens of the vocabulary hold as a whole."""
        return _pieces(vocabulary).behind(b"").characters

    def _led(self, coded: _Coded, number: int) -> tuple[list[Node], Ints]:
        at = self._run(coded, number)
        pairs, which = np.unique(at * len(coded.rests) + coded.rest, return_inverse=True)
        nodes = [(pair // len(coded.rests), coded.rests[pair % len(coded.rests)]) for pair in pairs.tolist()]
        which = which.astype(np.int64)
        which[at < 0] = -1
        return nodes, which

    def _after(self, text: str) -> Any:
        """The state of a text, read on from the longest beginning that was asked for before."""
        if text in self._texts:
            self._texts.move_to_end(text)
            return self._texts[text]
        size = len(text)
        while size and text[:size] not in self._texts:
            size -= 1
        state = self._texts[text[:size]] if size else self.machine.start
        for character in text[size:]:
            state = None if state is None else self.machine.step(state, character)
        self._texts[text] = state
        while len(self._texts) > MAX_TEXTS:
            self._texts.popitem(last=False)
        return state

    def _first(self, state: Any) -> int:
        """The number of a state that is worked with from now on; what came before may be forgotten."""
        if len(self._states) >= MAX_STATES or self._moves.size > MAX_MOVES:
            self._forget()
        return self._numbered(state)

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
            if number == len(self._examples):
                self._examples.append(character)
            if number == self._moves.shape[1]:
                self._moves = np.pad(self._moves, ((0, 0), (0, number)), constant_values=_NEW)
        return number

    def _learn(self, characters: Sequence[str]) -> None:
        """Find the kinds of many characters side by side: those that pass the same tests are of one."""
        new = [one for one in dict.fromkeys(characters) if one not in self._kind_of]
        text, passed = "".join(new), [0] * len(new)
        for number, test in enumerate(self._tests if new else ()):
            for found in test.finditer(text):
                passed[found.start()] |= 1 << number
        for one, tests in zip(new, passed, strict=True):
            if tests in self._passing:
                self._kind_of[one] = self._passing[tests]
            else:
                self._passing[tests] = self._kind(one)

    def _moved(self, states: Ints, kinds: Ints) -> Ints:
        """Where characters of some kinds lead from some states; -1 for nowhere."""
        found = self._moves[states, kinds]
        new = found == _NEW
        if new.any():
            for pair in np.unique(states[new] * len(self._kinds) + kinds[new]).tolist():
                state, kind = divmod(pair, len(self._kinds))
                after = self.machine.step(self._states[state], self._examples[kind])
                # numbering may put a larger table in place
                to = -1 if after is None else self._numbered(after)
                self._moves[state, kind] = to
            found = self._moves[states, kinds]
        return found.astype(np.int64)

    def _reads(self, number: int, rest: bytes) -> bool:
        """Whether a character that begins with these bytes may be next; said of those that lack one byte."""
        kinds = self._leads_of(rest)
        return kinds is None or bool((self._moved(np.full(len(kinds), number), kinds) >= 0).any())

    def _leads_of(self, rest: bytes) -> Ints | None:
        """The kinds of all characters that begin with some bytes; None where they lack more than one."""
        beginning = completions(rest)
        if beginning is None:
            return None
        if rest not in self._leading:
            self._learn(beginning)
            leading = {self._kind(character) for character in beginning}
            self._leading[rest] = np.array(sorted(leading), dtype=np.int64)
        return self._leading[rest]

    def coded(self, vocabulary: Vocabulary, rest: bytes) -> _Coded:
        """The tokens behind the first bytes of a character, as kinds."""
        tokens = _pieces(vocabulary).behind(rest)
        found = self._codes.get(tokens)
        if found is None:
            self._learn(tokens.characters)
            kinds = np.array([self._kind(one) for one in tokens.characters], dtype=np.int64)
            found = self._codes[tokens] = _Coded.of(tokens, kinds[tokens.codes], vocabulary.allowed.numpy())
        return found

    def _run(self, coded: _Coded, number: int) -> Ints:
        """(C,) the state behind each spelling, -1 where the machine does not read it to its end."""
        at = np.full(len(coded.lengths), number)
        going, place = np.arange(len(at)), 0
        while len(going := going[(at[going] >= 0) & (coded.lengths[going] > place)]):
            at[going] = self._moved(at[going], coded.codes[coded.begins[going] + place])
            place += 1
        unfinished = np.flatnonzero((at >= 0) & (coded.rest > 0))
        tokens = coded.tokens()
        assert tokens is not None  # whoever asks holds the vocabulary, which holds them
        for state in np.unique(at[unfinished]).tolist():
            own = unfinished[at[unfinished] == state]
            at[own[~self._finishing(tokens, state)[coded.rest[own] - 1]]] = -1
        return at

    def _finishing(self, tokens: _Tokens, number: int) -> Bools:
        """(L,) bool: as `_reads` behind a state, of all first bytes of a character that tokens end with."""
        found = self._leads.get(tokens)
        if found is None:
            own = [self._leads_of(rest) for rest in tokens.rests]
            kinds = np.array(sorted({kind for one in own if one is not None for kind in one}), dtype=np.int64)
            unsure = np.array([one is None for one in own], dtype=np.bool_)
            leads = np.zeros((len(own), len(kinds)), dtype=np.bool_)
            for row, one in zip(leads, own, strict=True):
                row[:] = one is not None and np.isin(kinds, one)
            found = self._leads[tokens] = kinds, leads, unsure
        kinds, leads, unsure = found
        alive = self._moved(np.full(len(kinds), number), kinds) >= 0
        reads: Bools = (leads & alive).any(1) | unsure
        return reads


@final
@dataclass(frozen=True, eq=False)
class _Coded:
    """Tokens as kinds of characters; those that no state tells apart are one spelling.

    Attributes:
        tokens: that they are of; what is known of tokens must not keep them.
        codes: the kinds of all spellings, one after another.
        begins: (C,) where each one's are.
        lengths: (C,) how many it has.
        rest: (C,) which of `rests` it ends with.
        rests: first bytes of a character, b"" among them.
        which: (V,) the spelling of each token; -1 for those that no text holds.
        usable: (C,) whether a token that a text may hold is spelt so.
    """

    tokens: ReferenceType[_Tokens]
    codes: Ints
    begins: Ints
    lengths: Ints
    rest: Ints
    rests: Sequence[bytes]
    which: Ints
    usable: Bools

    @staticmethod
    def of(tokens: _Tokens, codes: Ints, allowed: Bools) -> _Coded:
        """Of some tokens, whose characters have the kinds `codes`."""
        rests, rest = [b"", *tokens.rests], tokens.left + 1
        number_of: dict[tuple[bytes, int], int] = {}
        first: list[int] = []
        which = np.full(tokens.size, -1, dtype=np.int64)
        spans = zip(tokens.ids.tolist(), tokens.begins.tolist(), tokens.lengths.tolist(), rest.tolist(), strict=True)
        for place, (token, begin, length, left) in enumerate(spans):
            key = codes[begin : begin + length].tobytes(), left
            number = which[token] = number_of.setdefault(key, len(first))
            if number == len(first):
                first.append(place)
        chosen = np.array(first, dtype=np.int64)
        usable = np.zeros(len(first), dtype=np.bool_)
        usable[which[(which >= 0) & allowed]] = True
        begins, lengths = tokens.begins[chosen], tokens.lengths[chosen]
        return _Coded(ref(tokens), codes, begins, lengths, rest[chosen], rests, which, usable)

    def each(self, of_spellings: NDArray[Any], other: Any) -> NDArray[Any]:
        """(V,) the value of each token's spelling (C,), `other` for those that no text holds."""
        return np.append(of_spellings, np.array([other], dtype=of_spellings.dtype))[self.which]


@final
@dataclass(frozen=True, eq=False)
class _Tokens:
    """Some tokens of a vocabulary as characters.

    Attributes:
        size: V.
        ids: (T,) the tokens.
        characters: all that there are, once.
        codes: the characters of all tokens, one token after another, as places in `characters`.
        begins: (T,) where each one's are.
        lengths: (T,) how many it has.
        rests: L times the first bytes of a character.
        left: (T,) which of them a token ends with; -1 for none.
    """

    size: int
    ids: Ints
    characters: Sequence[str]
    codes: Ints
    begins: Ints
    lengths: Ints
    rests: Sequence[bytes]
    left: Ints

    @staticmethod
    def of(size: int, written: Sequence[tuple[int, bytes]]) -> _Tokens:
        """Those whose bytes are characters and perhaps the first bytes of one more; no text holds others."""
        ids, texts, left, rests = list[int](), list[str](), list[int](), dict[bytes, int]()
        for token, piece in written:
            found = characters(piece)
            if found is None:
                continue
            left.append(rests.setdefault(found[1], len(rests)) if found[1] else -1)
            ids.append(token)
            texts.append(found[0])
        every = sorted(set("".join(texts)))
        code = {character: number for number, character in enumerate(every)}
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        return _Tokens(
            size,
            np.array(ids, dtype=np.int64),
            every,
            np.array([code[one] for text in texts for one in text], dtype=np.int64),
            lengths.cumsum() - lengths,
            lengths,
            list(rests),
            np.array(left, dtype=np.int64),
        )


@final
class _Pieces:
    """The tokens of a vocabulary as characters, behind each beginning of one."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._size = len(pieces)
        # tokens that begin within a character, or write nothing
        self._within = [(token, piece) for token, piece in enumerate(pieces) if not piece or piece[0] & 0xC0 == 0x80]
        self._behind = {b"": _Tokens.of(self._size, list(enumerate(pieces)))}
        ends = (characters(piece.lstrip(_CONTINUING)) for _, piece in self._within)
        self.behind_characters = sorted({("", b""), *(one for one in ends if one is not None)})

    def behind(self, rest: bytes) -> _Tokens:
        """What tokens write behind the first bytes of a character, these among it."""
        if rest not in self._behind:
            self._behind[rest] = _Tokens.of(self._size, [(token, rest + piece) for token, piece in self._within])
        return self._behind[rest]


_PIECES: WeakKeyDictionary[Vocabulary, _Pieces] = WeakKeyDictionary()


def _pieces(vocabulary: Any) -> _Pieces:
    found = _PIECES.get(vocabulary)
    if found is None:
        found = _PIECES[vocabulary] = _Pieces(vocabulary.token_bytes)
    return found
