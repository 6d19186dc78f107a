"""Diversity: how much of a source text's wording a text repeats.

The expression diversity of UPSA (Liu et al., 2020), (1 - BLEU(x, source))^S, as an energy. BLEU (Papineni et al.,
2002) is that of one sentence, with counts of 0 smoothed to 0.1 (method 1 of Chen and Cherry, 2014), over lower-cased
words without punctuation, which no paraphrase should be praised for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from objectives.keywords import words
from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, text_per_input

_ORDERS = 4  # n-grams of 1 to 4 words
_SMALL = 0.1  # stands for 0 matches
_FLOOR = 0.01  # of 1 - BLEU: a copy is finite, so that a chain may start from it

Grams = tuple[Counter[tuple[str, ...]], ...]
"""The n-grams of a text with their counts, for n = 1 to 4."""


def bleu(text: Sequence[str], reference: Sequence[str]) -> float:
    """BLEU of one text against one reference, both as words, in [0, 1].

    >>> bleu("the cat sat on the mat".split(), "the cat sat on the mat".split())
    1.0
    >>> round(bleu("the cat sat".split(), "the cat sat on the mat".split()), 3)
    0.207
    """
    return bleu_of(grams(tuple(text)), grams(tuple(reference)))


def bleu_of(text: Grams, reference: Grams) -> float:
    """The same of n-grams counted before."""
    length, wanted = text[0].total(), reference[0].total()
    log_precision = 0.0
    for own, other in zip(text, reference, strict=True):
        matches = sum(min(count, other[gram]) for gram, count in own.items())
        if not matches and own is text[0]:
            return 0.0
        log_precision += math.log((matches or _SMALL) / max(own.total(), 1)) / _ORDERS
    return math.exp(min(0.0, 1.0 - wanted / length) + log_precision)


@lru_cache(maxsize=20_000)
def grams(text: tuple[str, ...]) -> Grams:
    """The n-grams of a text."""
    return tuple(
        Counter(text[start : start + size] for start in range(len(text) - size + 1)) for size in range(1, _ORDERS + 1)
    )


def plain_words(text: str) -> list[str]:
    """The words of a text, case folded, without punctuation; a hyphen is no new wording.

    >>> plain_words("Who, then, is so well-known?")
    ['who', 'then', 'is', 'so', 'well', 'known']
    """
    return [word for word in words(text.replace("-", " ")) if any(letter.isalnum() for letter in word)]


@final
@dataclass(frozen=True)
class Diversity(Objective):
    """-log(1 - BLEU(x, source)) nats: 0 for a text that shares no word with its source, 4.6 for a copy.

    A weight S gives the factor (1 - BLEU)^S. A BLEU above .99 counts as .99: a chain may start from a copy.

    Attributes:
        sources: one text for all inputs, or one for each: row r is judged by `sources[batch.inputs[r]]`.

    Raises:
        ValueError: no sources.

    >>> from textsearch.testing import letters
    >>> batch = letters("abcd ").encode(["a b c d", "a b d c", "d"])
    >>> [round(float(energy), 2) for energy in Diversity("a b c d").energy(batch)]
    [4.61, 0.23, 0.01]
    """

    sources: str | Sequence[str]
    _grams: PerInput[Grams] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = text_per_input("sources", self.sources)
        keep(self, sources=given.values, _grams=given.map(lambda source: grams(tuple(plain_words(source)))))

    @property
    def cost(self) -> Cost:
        """Counts of words."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        values = [
            -math.log(max(1.0 - bleu_of(grams(tuple(plain_words(text))), wanted), _FLOOR))
            for text, wanted in zip(batch.texts(), self._grams.rows(batch), strict=True)
        ]
        return torch.tensor(values, dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its source."""
        self._grams.check(batch)
