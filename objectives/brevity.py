"""Brevity: how much shorter a text is than its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.diversity import plain_words
from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, text_per_input


@final
@dataclass(frozen=True)
class Brevity(Objective):
    """max(0, words of the source / words of the text - 1) nats: what is half as long costs 1, what is as long nothing.

    It is -log of the brevity penalty of BLEU (Papineni et al., 2002). Who says the same in fewer words has often left
    something out, which an encoder hardly sees: half of a double question, or the end of a long sentence.

    Attributes:
        sources: one text for all inputs, or one for each: row r is judged by `sources[batch.inputs[r]]`.

    Raises:
        ValueError: no sources.

    >>> from textsearch.testing import letters
    >>> batch = letters("abcd ").encode(["a b c d", "a b", "a b c d a", ""])
    >>> Brevity("a b c d").energy(batch).tolist()
    [0.0, 1.0, 0.0, 4.0]
    """

    sources: str | Sequence[str]
    _words: PerInput[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = text_per_input("sources", self.sources)
        keep(self, sources=given.values, _words=given.map(lambda source: len(plain_words(source))))

    @property
    def cost(self) -> Cost:
        """Counts of words."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats; a text without words costs as many as its source has."""
        own = [len(plain_words(text)) for text in batch.texts()]
        values = [
            max(0.0, wanted / words - 1.0) if words else float(wanted)
            for words, wanted in zip(own, self._words.rows(batch), strict=True)
        ]
        return torch.tensor(values, dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its source."""
        self._words.check(batch)
