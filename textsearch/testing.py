"""Toy vocabularies and models small enough to enumerate, for laws that a sampler or objective must obey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.usage import Usage


@final
@dataclass(frozen=True, eq=False)
class LetterVocabulary:
    """One token a letter; id 0 is "_", the mask, and an upper-case letter goes on the word before it."""

    letters: str

    @property
    def size(self) -> int:
        """The letters and the mask."""
        return len(self.letters) + 1

    @property
    def mask_id(self) -> int:
        """0."""
        return 0

    @property
    def allowed(self) -> Tensor:
        """(V,) all but the mask."""
        return torch.arange(self.size) > 0

    @property
    def continues(self) -> Tensor:
        """(V,) the upper-case letters."""
        return torch.tensor([False] + [letter.isupper() for letter in self.letters])

    def encode(self, texts: Sequence[str]) -> Batch:
        """One token a letter; a letter outside the vocabulary is an error."""
        alphabet = "_" + self.letters
        for text in texts:
            if strange := set(text) - set(alphabet):
                raise ValueError(f"{text!r} holds {sorted(strange)}, not among the letters {self.letters!r}")
        return Batch.of([[alphabet.index(letter) for letter in text] for text in texts], self)

    def decode(self, batch: Batch) -> list[str]:
        """The letters."""
        alphabet = "_" + self.letters
        return ["".join(alphabet[token] for token in row) for row in batch.token_lists()]


def letters(alphabet: str) -> LetterVocabulary:
    """A vocabulary of single letters.

    >>> letters("ab").encode(["ba"]).tokens.tolist()
    [[2, 1]]
    """
    return LetterVocabulary(alphabet)


@final
@dataclass(frozen=True, eq=False)
class TableMaskedLM:
    """A masked language model with random conditionals, deliberately not those of any joint distribution.

    The logits at a site are a sum over the other sites of a table entry for (signed distance, their token), plus one
    for the row's length: every conditional depends on everything around it.

    Attributes:
        vocabulary: the tokens.
        table: (2 * reach + 1, V, V) float64, indexed by distance + reach, the other token, the token asked for.
        by_length: (reach + 1, V) float64.
        usage: what has been asked of the model so far.
    """

    vocabulary: LetterVocabulary
    table: Tensor
    by_length: Tensor
    usage: Usage = field(default_factory=Usage)

    @staticmethod
    def random(vocabulary: LetterVocabulary, seed: int, reach: int = 8, scale: float = 0.8) -> TableMaskedLM:
        """Tables drawn from a normal distribution."""
        rng = torch.Generator().manual_seed(seed)
        size = vocabulary.size
        table = scale * torch.randn(2 * reach + 1, size, size, generator=rng, dtype=torch.float64)
        by_length = scale * torch.randn(reach + 1, size, generator=rng, dtype=torch.float64)
        return TableMaskedLM(vocabulary, table, by_length)

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) log-probabilities at `positions` (K,) of `rows` (K,)."""
        asked = torch.unique(rows)
        self.usage.count((len(asked), batch.width), int(batch.lengths[asked].sum()))
        reach = self.by_length.shape[0] - 1
        column = torch.arange(batch.width)
        distance = column - positions[:, None]
        near = batch.present[rows] & (distance != 0) & (distance.abs() <= reach)
        entries = self.table[distance.clamp(-reach, reach) + reach, batch.tokens[rows]]
        logits = self.by_length[batch.lengths[rows].clamp(max=reach)]
        # one column at a time: the order of the sum, and so its last bit, does not depend on the padding
        for j in range(batch.width):
            logits = logits + torch.where(near[:, j, None], entries[:, j], 0.0)
        return logits.log_softmax(-1)
