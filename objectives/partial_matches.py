"""What may come next in a text that only backtracking can judge, by partial matches of the beginnings.

The `regex` module tells of a beginning whether a text that goes on so may match: a partial match. So of the tokens that
a mask lets through those are left out behind which there is none, by their first characters, first one, then two and so
on, as long as these are few. It is a hint, as the mask is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from time import thread_time
from typing import Any, final
from weakref import WeakKeyDictionary

import numpy as np
import regex
import torch
from numpy.typing import NDArray
from torch import Tensor

from objectives.mask_engine import Masks
from textsearch.batch import Vocabulary
from textsearch.beginnings import Beginnings, characters, completions

MOST = 2_000
"""Beginnings of tokens that are tried of one length; where there are more, all these tokens are let through."""

TOKENS = 4_000
"""Where more tokens than these are left, no more than their first characters are tried."""

TOGETHER = 20
"""Times `timeout` that all trials behind one beginning may take."""

_KEPT = 2_000  # beginnings, with V bits for each

# an escape, a set of characters, a call of the whole, or a character
_PART = regex.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[R0]\)|.", regex.DOTALL)
_PLACES = frozenset(("^", "$", *(rf"\{letter}" for letter in "AZbBmMG")))

Bools = NDArray[np.bool_]


@final
class PartialMatches:
    r"""A mask less what no match goes on with; threads may share it.

    Args:
        masks: of the same expression, or of one that allows more.
        pattern: of the whole text.
        timeout: seconds of processor time of a trial.

    >>> from textsearch.testing import letters
    >>> abc = letters("abc")
    >>> own = PartialMatches(Masks(lambda matcher: matcher.grammar_from_regex("[abc]{4}")), r"(.)(.)\2\1", 1.0)
    >>> own.allowed(Beginnings(abc, 0, [[], [1, 2], [1, 2, 2, 1]], [0] * 3), [0, 1, 2]).int().tolist()
    [[0, 1, 1, 1], [0, 0, 1, 0], [1, 0, 0, 0]]
    """

    def __init__(self, masks: Masks, pattern: str, timeout: float) -> None:
        self._masks, self._pattern, self._timeout = masks, pattern, timeout
        self._lock, self._until = RLock(), 0.0
        self._found: WeakKeyDictionary[Vocabulary, OrderedDict[tuple[Any, ...], NDArray[np.uint8]]]
        self._found = WeakKeyDictionary()

    def allowed(self, beginnings: Beginnings, places: Sequence[int]) -> Tensor | None:
        """(len(places), V) bool, of those beginnings; None without `token_bytes`.

        Raises:
            TimeoutError: a trial took longer than `timeout`, or those behind one beginning took `TOGETHER` times that.
        """
        written = beginnings.written
        if written is None:
            return None
        told = self._masks.allowed(beginnings, places)
        if told is None:
            told = beginnings.vocabulary.allowed.cpu().repeat(len(places), 1)
            told[:, beginnings.end] = True
        with self._lock:
            known = self._found.setdefault(beginnings.vocabulary, OrderedDict())
            rows = []
            for place, mask in zip(places, told.numpy(), strict=True):
                key = beginnings.end, *beginnings.rows[place]
                if key not in known:
                    known[key] = np.packbits(self._left(beginnings, written[place], mask))
                known.move_to_end(key)
                rows.append(np.unpackbits(known[key], count=mask.size).astype(np.bool_))
            while len(known) > _KEPT:
                known.popitem(last=False)
        return torch.from_numpy(np.stack(rows))

    def _left(self, beginnings: Beginnings, written: bytes, mask: Bools) -> Bools:
        begun = characters(written)
        if begun is None:
            return mask
        self._until = thread_time() + TOGETHER * self._timeout
        if begun[1]:
            return self._within(beginnings, *begun, mask)
        tokens, found = _tokens(beginnings.vocabulary), mask.copy()
        if found[beginnings.end]:
            found[beginnings.end] = self._matches(begun[0], partial=False)
        asked = np.flatnonzero(mask)
        asked = asked[asked != beginnings.end]
        of_each = tokens.first[asked]
        firsts = np.unique(of_each)
        if len(firsts) > MOST:
            return found
        good = np.array([self._goes_on(begun[0], *tokens.firsts[first]) for first in firsts.tolist()], dtype=np.bool_)
        found[asked] = np.isin(of_each, firsts[good])
        left, size = asked[found[asked]].tolist(), 1
        while left and len(left) <= TOKENS:
            size += 1
            groups: dict[tuple[str, bytes], list[int]] = {}
            for token in left:
                if len(tokens.texts[token][0]) >= size or tokens.texts[token][1]:
                    groups.setdefault(_beginning(tokens.texts[token], size), []).append(token)
            if len(groups) > MOST:
                break
            left = []
            for (text, rest), own in groups.items():
                if not self._goes_on(begun[0], text, rest):
                    found[own] = False
                elif not rest:
                    left += own
        return found

    def _within(self, beginnings: Any, begun: str, rest: bytes, mask: Bools) -> Bools:
        """Of the tokens behind the first bytes of a character."""
        asked = np.flatnonzero(mask).tolist()
        if len(asked) > MOST:
            return mask
        found = np.zeros_like(mask)
        for token in asked:
            after = characters(rest + beginnings.vocabulary.token_bytes[token])
            found[token] = token != beginnings.end and after is not None and self._goes_on(begun, *after)
        return found

    def _goes_on(self, begun: str, text: str, rest: bytes) -> bool:
        """Whether a match may go on with some characters and the first bytes of one more."""
        if not rest:
            return not begun + text or self._matches(begun + text)
        # the bytes that are there are those of some character that the mask of the engine allows
        ones = completions(rest)
        return ones is None or any(self._matches(begun + text + one) for one in ones)

    def _matches(self, text: str, partial: bool = True) -> bool:
        try:
            if thread_time() > self._until:
                raise TimeoutError
            return regex.fullmatch(self._pattern, text, partial=partial, timeout=self._timeout) is not None
        except TimeoutError as error:
            raise TimeoutError(
                f"pattern={self._pattern!r} takes too long for timeout={self._timeout} s on the beginning {text!r}; "
                "write it without backreferences, atomic groups and possessive repeats, or allow more time"
            ) from error


def tells_of_beginnings(pattern: str) -> bool:
    r"""Whether partial matches tell of each beginning of a match that it is one.

    At a place such as `\b` or `$` within the expression what has been written is taken for the whole text.

    >>> [tells_of_beginnings(own) for own in (r"(a)\1", r"^\b([$\w])\1\$\b$", r"(a)\1\Bb", r"(a)\1(?!$)b")]
    [True, True, False, False]
    """
    parts = [part[0] for part in _PART.finditer(pattern)]
    if "(?R)" not in parts and "(?0)" not in parts:  # these call what stands first and last within others
        while parts and parts[0] in _PLACES:
            parts.pop(0)
        while parts and parts[-1] in _PLACES:
            parts.pop()
    return _PLACES.isdisjoint(parts)


@final
@dataclass(frozen=True, eq=False)
class _Tokens:
    """The tokens of a vocabulary as text.

    Attributes:
        texts: V times whole characters, and the first bytes of one more; nothing of one that begins within a character.
        firsts: their first characters, each once.
        first: (V,) which of these a token has.
    """

    texts: Sequence[tuple[str, bytes]]
    firsts: Sequence[tuple[str, bytes]]
    first: NDArray[np.int64]


def _beginning(text: tuple[str, bytes], size: int) -> tuple[str, bytes]:
    """The first characters of a token; with the bytes of one that is not finished if that is among them."""
    return text[0][:size], text[1] if len(text[0]) < size else b""


_TOKENS: WeakKeyDictionary[Vocabulary, _Tokens] = WeakKeyDictionary()


def _tokens(vocabulary: Any) -> _Tokens:
    if vocabulary not in _TOKENS:
        texts = [characters(own) or ("", b"") for own in vocabulary.token_bytes]
        numbers: dict[tuple[str, bytes], int] = {}
        first = [numbers.setdefault(_beginning(text, 1), len(numbers)) for text in texts]
        _TOKENS[vocabulary] = _Tokens(texts, list(numbers), np.array(first, dtype=np.int64))
    return _TOKENS[vocabulary]
