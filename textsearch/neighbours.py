"""Which tokens may stand side by side in the one spelling of a text that counts; see `textsearch.spelling`.

A text that a mask lets a model write counts for nothing where the tokenizer would have spelt it otherwise, "n" and "o"
for "no". In a row that a tokenizer by merges has made, each two neighbours are the spelling of what they write
(Berglund, Martens and van der Merwe, "Constructing a BPE tokenization DFA", 2024), so a token is left out where it and
the one before it are not. How a tokenizer cuts texts before it merges may depend on more than two tokens: a hint.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock
from typing import Any, final
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textsearch.batch import Vocabulary
from textsearch.beginnings import Beginnings, TokenBytes
from textsearch.models.stray_pairs import strays
from textsearch.spelling import spelt

MOST = 256
"""Tokens that may come next; where there are more, all are let through: it would take longer than the model."""

_LOCK = RLock()
_KEPT = 2_000  # tokens whose neighbours are remembered


def neighbourly(beginnings: Beginnings, allowed: Tensor) -> Tensor:
    """`allowed` (K, V) bool without the tokens that would spell a text as its tokenizer does not.

    >>> from textsearch.testing import ByteVocabulary
    >>> pieces = ByteVocabulary((b"_", b"n", b"o", b"no"))
    >>> neighbourly(Beginnings(pieces, 0, [[], [1], [3]], [0] * 3), torch.ones(3, 4, dtype=torch.bool)).int().tolist()
    [[1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]]
    """
    vocabulary, stray = beginnings.vocabulary, strays(beginnings)
    if stray is not None:
        return allowed & torch.from_numpy(~stray)
    if not isinstance(vocabulary, TokenBytes) or getattr(vocabulary, "one_spelling", False):
        return allowed
    if getattr(vocabulary, "leading_space", False):
        return allowed  # what stands first is spelt otherwise than what stands behind
    found = allowed.clone()
    counts = allowed.sum(1).tolist()
    for place, (row, count) in enumerate(zip(beginnings.rows, counts, strict=True)):
        if row and count <= MOST:
            asked = allowed[place].nonzero().squeeze(-1).numpy()
            asked = asked[asked != beginnings.end]
            found[place, asked] = torch.from_numpy(_known(vocabulary).fit(vocabulary, row[-1], asked))
    return found


@final
class _Neighbours:
    """What has been found out of one vocabulary."""

    def __init__(self) -> None:
        self._told: dict[int, NDArray[np.int8]] = {}

    def fit(self, vocabulary: Any, before: int, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of some tokens may stand behind one."""
        with _LOCK:
            if before not in self._told:
                if len(self._told) >= _KEPT:
                    self._told.clear()
                self._told[before] = np.full(vocabulary.size, -1, dtype=np.int8)
            told = self._told[before]
            new = tokens[told[tokens] < 0]
            told[new] = self._judged(vocabulary, before, new.tolist())
            return told[tokens] > 0

    def _judged(self, vocabulary: Any, before: int, tokens: Sequence[int]) -> list[bool]:
        pieces = vocabulary.token_bytes
        # how a run of white space is cut depends on what stands behind it
        within = pieces[before][-1:].isspace()
        texts = [
            None if within and pieces[token][:1].isspace() else _text(pieces[before] + pieces[token])
            for token in tokens
        ]
        asked = [text for text in texts if text is not None]
        rows = iter(_read(vocabulary, asked))
        return [text is None or next(rows) == [before, token] for text, token in zip(texts, tokens, strict=True)]


def _text(written: bytes) -> str | None:
    """Whole characters; None where one is not finished, which says nothing."""
    try:
        return written.decode()
    except UnicodeDecodeError:
        return None


def _read(vocabulary: Any, texts: Sequence[str]) -> Sequence[list[int] | None]:
    reads = getattr(vocabulary, "read", None)
    return spelt(vocabulary, texts) if reads is None else reads(texts) if texts else []


_KNOWN: WeakKeyDictionary[Vocabulary, _Neighbours] = WeakKeyDictionary()


def _known(vocabulary: Vocabulary) -> _Neighbours:
    with _LOCK:
        return _KNOWN.setdefault(vocabulary, _Neighbours())
