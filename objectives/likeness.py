"""Likeness: how alike two texts are, for what is to keep them apart; see `samplers.Ensemble`.

By the n-grams that they share, a BLEU (Papineni et al., 2002) of each against the other, or by the cosine of their
vectors (Sentence-BERT, Reimers and Gurevych, 2019). Both are symmetric, 1 for a text and itself, and 0 at least.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.diversity import bleu_of, grams, plain_words
from textsearch.kinds import ENCODER, instance
from textsearch.models.defaults import DEFAULT_ENCODER
from textsearch.models.protocols import Encoder, unit_vectors
from textsearch.models.reading.memory import recall
from textsearch.objective import Cost

_REMEMBERED = 20_000  # vectors


def ngram_likeness(texts: Sequence[str], others: Sequence[str]) -> list[float]:
    """The mean of BLEU(x, y) and BLEU(y, x) for each pair, over words without case and marks.

    Args:
        texts: B of them.
        others: B of them, each compared with the text of its place.

    >>> [round(value, 2) for value in ngram_likeness(["a b c d", "a b c d"], ["A b c d!", "a b d c"])]
    [1.0, 0.2]
    """
    counted = [(grams(tuple(plain_words(x))), grams(tuple(plain_words(y)))) for x, y in zip(texts, others, strict=True)]
    return [(bleu_of(one, other) + bleu_of(other, one)) / 2 for one, other in counted]


@final
@dataclass(frozen=True, eq=False)
class VectorLikeness:
    """The cosine between the vectors of each pair of texts, 0 where it is below.

    Attributes:
        encoder: makes the vectors; by default all-MiniLM-L6-v2. Vectors of texts seen before are remembered.

    >>> class Vowels:
    ...     def encode(self, texts):
    ...         counts = torch.tensor([[text.count("a"), text.count("e")] for text in texts]).float()
    ...         return torch.nn.functional.normalize(counts, dim=1)
    >>> [round(value, 2) for value in VectorLikeness(Vowels())(["a", "a"], ["aa", "e"])]
    [1.0, 0.0]
    """

    encoder: Encoder = DEFAULT_ENCODER
    _known: OrderedDict[str, Tensor] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        instance("encoder", self.encoder, ENCODER)

    @property
    def cost(self) -> Cost:
        """One pass of a small model."""
        return Cost.MODEL

    def __call__(self, texts: Sequence[str], others: Sequence[str]) -> list[float]:
        """One number for each pair."""
        keys = [*texts, *others]
        vectors = recall(self._known, keys, lambda fresh: unit_vectors(self.encoder, fresh), _REMEMBERED)
        if not vectors:
            return []
        own = torch.nn.functional.normalize(torch.stack(vectors), dim=1)
        cosines = (own[: len(texts)] * own[len(texts) :]).sum(1).clamp(0.0, 1.0).tolist()
        return [float(value) for value in cosines]
