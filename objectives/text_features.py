"""What hard terms on surface text share: each different text is judged once; values must hold words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from objectives.keywords import words
from textsearch.batch import Batch
from textsearch.per_input import PerInput, text_per_input


def zero_or_inf(batch: Batch, holds: Callable[[str, int], bool]) -> torch.Tensor:
    """(B,) float64, 0 where `holds(text, input)`, +inf elsewhere."""
    keys = list(zip(batch.texts(), batch.inputs.tolist(), strict=True))
    energies = {key: 0.0 if holds(*key) else math.inf for key in dict.fromkeys(keys)}
    return torch.tensor([energies[key] for key in keys], dtype=torch.float64, device=batch.device)


def words_per_input(name: str, given: str | Sequence[str]) -> PerInput[str]:
    """One string for all inputs, or one for each; each must have a word in it."""
    found = text_per_input(name, given, "strings")
    for value in found.values:
        if not words(value):
            raise ValueError(f"{name}={value!r} has no word in it: leave the term out instead")
    return found


def is_mark(word: str) -> bool:
    """Whether a word of `words(text)` is a mark of punctuation.

    >>> [is_mark(word) for word in words("So: 3 dogs!")]
    [False, True, False, False, True]
    """
    return not any(letter.isalnum() for letter in word)
