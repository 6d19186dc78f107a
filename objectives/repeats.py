"""Repeats: how often a text says the same again.

Likely texts of a small language model go round in circles (Holtzman et al., "The curious case of neural text
degeneration", 2020); so do those that a search finds under its energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from objectives.keywords import words
from textsearch.batch import Batch
from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class Repeats(Objective):
    """Pairs of neighbouring words that stood in the text before, as many as there are. Marks are no words.

    Of the scripts written without spaces each character is a word: 学校的学校 repeats one pair.

    >>> from textsearch.testing import letters
    >>> Repeats().energy(letters("abc ").encode(["a b c a b", "a b a c", "ab ab ab", ""])).tolist()
    [1.0, 0.0, 1.0, 0.0]
    """

    def energy(self, batch: Batch) -> Tensor:
        """(B,) float64, pairs."""
        texts = batch.texts()
        known = {text: float(repeats(text)) for text in dict.fromkeys(texts)}
        return torch.tensor([known[text] for text in texts], dtype=torch.float64, device=batch.device)


def repeats(text: str) -> int:
    """The pairs of one text.

    >>> repeats("学生的学校，学校的学生"), repeats("春天的公园"), repeats("好，好，好")
    (3, 0, 0)
    """
    pairs = [pair for pair in pairwise(words(text)) if all(word[0].isalnum() for word in pair)]
    return len(pairs) - len(set(pairs))
