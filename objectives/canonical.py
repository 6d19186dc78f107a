"""Canonical rows: each text in one spelling, that in which its own tokenizer writes it.

Chains move through rows of tokens, and energies are of texts. A tokenizer reads "playing" as one token, yet a proposal
may write it as "play" and "##ing": another row, of the same text and the same energy. A text with k other spellings
that the chain comes to has k + 1 times its share. (Causal models sum over spellings, too, where they are asked for
texts: Cao and Rimell, "You should evaluate your language model on marginal likelihood over tokenisations", 2021.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Cost, Objective


@final
@dataclass(frozen=True)
class Canonical(Objective):
    """The row is the one that its vocabulary makes of its text: energy 0, or +inf.

    With this term a text is one state of the chain, so that the law over texts is exp(-E / T), whatever spellings a
    proposal could write. Without it that holds for proposals that write words of one token each.

    >>> from textsearch.words import WordVocabulary
    >>> words = WordVocabulary.of(["a", "lot", "a lot"])  # "a lot" is one token, or two
    >>> batch = words.batch([["a", "lot"], ["a lot"]])
    >>> batch.texts(), Canonical().energy(batch).tolist()
    (['a lot', 'a lot'], [0.0, inf])
    """

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    @property
    def lower_bound(self) -> float:
        """0."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the rows that are their text's own, +inf for its other spellings."""
        texts = batch.texts()
        own = dict(zip(texts, _rows(batch.vocabulary, texts), strict=True))
        energies = [0.0 if own[text] == row else math.inf for text, row in zip(texts, batch.token_lists(), strict=True)]
        return torch.tensor(energies, dtype=torch.float64, device=batch.device)


def _rows(vocabulary: Vocabulary, texts: Sequence[str]) -> Sequence[list[int] | None]:
    """The tokens of each text; None for one that the vocabulary cannot write."""
    try:
        return vocabulary.encode(texts).token_lists()
    except ValueError:
        if len(texts) == 1:
            return [None]
        return [row for text in texts for row in _rows(vocabulary, [text])]
