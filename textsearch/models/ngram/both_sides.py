"""Two n-gram models that read towards a site from either side, as a masked language model.

With the tokens l before a site and r behind it, p(v | l, r) is in proportion to p(v | l) p(v | r) / p(v) if l and r say
nothing of one another once v is known: a product of experts (Hinton, 2002), here of a model of each direction. It is a
function of the other tokens alone, so proposals that draw from it are as exact as with any masked model. What it costs
is two lookups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.tables import context_of
from textsearch.models.recipes import reduced
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.models.vocabulary import TokenizerVocabulary


@final
@dataclass(frozen=True, eq=False)
class NgramMaskedLM:
    """Conditionals of single tokens from an n-gram model of each direction.

    What stands beyond an open mask is not looked at.

    Attributes:
        forward: reads what stands before a site.
        backward: reads what stands behind it, in the same tokens.
        prior: power of 1 / p(v), the frequency of the token, that both of them count.

    Raises:
        ValueError: the two have other tokens.
    """

    forward: NgramLM
    backward: RightToLeftLM
    prior: float = 1.0

    def __post_init__(self) -> None:
        if self.behind.vocabulary.tokenizer.get_vocab() != self.vocabulary.tokenizer.get_vocab():
            raise ValueError("forward and backward have other tokens: train both with one tokenizer")

    @property
    def behind(self) -> NgramLM:
        """The model of reversed rows that `backward` wraps.

        Raises:
            TypeError: that is no n-gram model.
        """
        if not isinstance(self.backward.lm, NgramLM):
            raise TypeError(
                f"backward wraps a {type(self.backward.lm).__name__}, not n-grams: train some from right to left"
            )
        return self.backward.lm

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @property
    def vocabulary(self) -> TokenizerVocabulary:
        """The tokens of the model that reads forward."""
        return self.forward.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float64 log-probabilities at `positions` (K,) of `rows` (K,)."""
        texts = batch.token_lists()
        before, behind = [], []
        for row, place in zip(rows.tolist(), positions.tolist(), strict=True):
            before.append(self._context(self.forward, texts[row][:place]))
            behind.append(self._context(self.behind, texts[row][:place:-1]))
        own = _laws(self.forward, before) + _laws(self.behind, behind)
        own -= self.prior * torch.from_numpy(np.array(self.forward.model.log_prob[0][: self.vocabulary.size], float))
        return own.log_softmax(-1).to(batch.device)

    def _context(self, lm: Any, row: Sequence[int]) -> list[int]:
        """What a model sees of the tokens before a site, the nearest one last."""
        known = len(row) - next(
            (i for i, token in enumerate(reversed(row)) if token == self.vocabulary.mask_id), len(row)
        )
        seen = row[known:] if known else [lm.model.begin, *row]
        return context_of(seen, lm.model.settings.order - 1)


def _laws(lm: Any, contexts: Sequence[Sequence[int]]) -> Tensor:
    found: Tensor = lm.tree.logits(contexts)
    return found
