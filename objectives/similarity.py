"""Similarity: how near a text's meaning is to that of a given text, by a sentence encoder.

The semantic term of unsupervised paraphrasing (UPSA, Liu et al., 2020), with the encoder of Sentence-BERT (Reimers and
Gurevych, 2019) in place of averaged word vectors. The given text may as well be a topic.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep, positive, real
from textsearch.kinds import ENCODER, instance
from textsearch.models.defaults import DEFAULT_ENCODER
from textsearch.models.protocols import Encoder, unit_vectors
from textsearch.models.reading.memory import recall
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, text_per_input

_REMEMBERED = 20_000  # vectors


@final
@dataclass(frozen=True)
class Similarity(Objective):
    """sharpness * (1 - cosine) nats, the cosine between the vectors of the text and of the given one.

    A cosine c is worth the factor exp(-sharpness * (1 - c)): at a sharpness of 20, a text of cosine .9 is e^2 times
    less likely than one that means just the same. Vectors of texts seen before are remembered.

    Attributes:
        encoder: makes the vectors; by default all-MiniLM-L6-v2.
        texts: what to be near to, one text for all inputs or one for each: row r is judged by `texts[batch.inputs[r]]`.
            To be given in any case.
        sharpness: nats for a cosine of 0.
        at_least: a cosine below this is forbidden; None forbids nothing.

    Raises:
        ValueError: no texts, a sharpness that is not positive, or an `at_least` outside [-1, 1].

    >>> from textsearch.testing import letters
    >>> class Vowels:
    ...     def encode(self, texts):
    ...         counts = torch.tensor([[text.count("a"), text.count("e")] for text in texts]).float()
    ...         return torch.nn.functional.normalize(counts, dim=1)
    >>> batch = letters("abe").encode(["aba", "ebe"])
    >>> Similarity(Vowels(), "a", sharpness=10.0).energy(batch).tolist()
    [0.0, 10.0]
    >>> Similarity(Vowels(), ["e", "e"], at_least=0.5).energy(batch).tolist()
    [inf, 0.0]
    """

    encoder: Encoder = DEFAULT_ENCODER
    texts: str | Sequence[str] = ()
    _: KW_ONLY
    sharpness: float = 20.0
    at_least: float | None = None
    _wanted: PerInput[str] = field(init=False, repr=False, compare=False)
    _known: OrderedDict[str, Tensor] = field(default_factory=OrderedDict, repr=False, compare=False)

    def __post_init__(self) -> None:
        instance("encoder", self.encoder, ENCODER)
        wanted = text_per_input("texts", self.texts)
        keep(
            self,
            texts=wanted.values,
            _wanted=wanted,
            sharpness=positive("sharpness", self.sharpness, "number of nats, such as 20"),
        )
        if self.at_least is not None:
            must = "be a cosine: choose one between -1 and 1, or None"
            keep(self, at_least=real("at_least", self.at_least, must, lambda x: -1 <= x <= 1))

    @property
    def cost(self) -> Cost:
        """One pass of a small model."""
        return Cost.MODEL

    @property
    def lower_bound(self) -> float:
        """No cosine is above 1."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats, +inf where the cosine is below `at_least`."""
        cosine = self.cosines(batch)
        energy = self.sharpness * (1.0 - cosine)
        return energy if self.at_least is None else energy.masked_fill(cosine < self.at_least, math.inf)

    def cosines(self, batch: Batch) -> Tensor:
        """(B,) float64 cosines to each row's own text, 1 at most."""
        vectors = self._vectors([*batch.texts(), *self._wanted.rows(batch)])
        own, other = vectors[: len(batch)], vectors[len(batch) :]
        return (own * other).sum(1).clamp(-1.0, 1.0).to(batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its text."""
        self._wanted.check(batch)

    def _vectors(self, texts: Sequence[str]) -> Tensor:
        """(K, D) float64 on the CPU, each of length 1."""
        vectors = recall(self._known, texts, lambda fresh: unit_vectors(self.encoder, fresh), _REMEMBERED)
        # float32 vectors are of length 1 to 7 digits only: the cosine of a text with itself is to be 1
        return torch.nn.functional.normalize(torch.stack(vectors), dim=1) if vectors else torch.zeros(0, 1)
