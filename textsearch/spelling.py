"""Spelling: each text counts in one row of tokens only, the one that its vocabulary encodes it as.

Chains move through rows of tokens, and energies are functions of texts. A tokenizer reads "playing" as one token, yet a
proposal may write it as "play" and "##ing": another row, of the same text and the same energy. A text with k other
spellings that a chain can reach would have k + 1 times its probability. (Causal models sum over spellings, too, where
they are asked for texts: Cao and Rimell, "You should evaluate your language model on marginal likelihood over
tokenisations", 2021.) So a row counts if it is encode(decode(row)), and is forbidden otherwise, before any model runs.

A vocabulary in which no text has two spellings may say so with `one_spelling = True`; its rows are not checked. A
vocabulary that cannot read back all of its texts may have a method `respelled(batch)` that gives their spelling.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary

_MOST = 20_000  # rows remembered of a vocabulary


def canonical(batch: Batch) -> Tensor:
    """(B,) bool, whether each row is the one that its vocabulary makes of its text; runs no model.

    >>> from textsearch.testing import letters
    >>> canonical(letters("ab").encode(["ab", ""])).tolist()
    [True, True]
    """
    if getattr(batch.vocabulary, "one_spelling", False):
        return torch.ones_like(batch.lengths, dtype=torch.bool)
    memory = _memory(batch.vocabulary)
    # how a text is written may depend on the input that it belongs to
    keys = [(number, tuple(row)) for number, row in zip(batch.inputs.tolist(), batch.token_lists(), strict=True)]
    known = {key: counts for key in set(keys) if (counts := memory.counted.get(key)) is not None}
    new = {key: place for place, key in enumerate(keys) if key not in known}
    if new:
        part = batch.rows(list(new.values()))
        own = respelled(part)
        found = {key: row == list(key[1]) for key, row in zip(new, own, strict=True)}
        known |= found
        memory.learn(found)
    return torch.tensor([known[key] for key in keys], dtype=torch.bool, device=batch.device)


def respelled(batch: Batch) -> Sequence[list[int] | None]:
    """The tokens that the vocabulary makes of the text of each row; None for one that it cannot write."""
    own = getattr(batch.vocabulary, "respelled", None)
    found: Sequence[list[int]] | None = own(batch) if own else None
    return spelt(batch.vocabulary, batch.texts()) if found is None else found


def spelt(vocabulary: Vocabulary, texts: Sequence[str]) -> Sequence[list[int] | None]:
    """The tokens that the vocabulary makes of each text; None for one that it cannot write."""
    try:
        return vocabulary.encode(texts).token_lists()
    except ValueError:
        if len(texts) == 1:
            return [None]
        return [row for text in texts for row in spelt(vocabulary, [text])]


Key = tuple[int, tuple[int, ...]]
"""The number of an input, and a row."""


@final
@dataclass(eq=False)
class _Memory:
    """What has been found out of the rows of one vocabulary; all forgotten once there is too much of it."""

    counted: dict[Key, bool] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, found: dict[Key, bool]) -> None:
        """Remember these."""
        with self.lock:
            if len(self.counted) + len(found) > _MOST:
                self.counted = {}
            self.counted.update(found)


_MEMORIES: WeakKeyDictionary[Vocabulary, _Memory] = WeakKeyDictionary()


def _memory(vocabulary: Vocabulary) -> _Memory:
    """That of a vocabulary; a new one each time for an object that nothing can be kept beside."""
    try:
        return _MEMORIES.setdefault(vocabulary, _Memory())
    except TypeError:
        return _Memory()
