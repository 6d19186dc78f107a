"""What the hard terms on surface text share: values for each input, and every different text judged once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from objectives.keywords import words
from textsearch.batch import Batch
from textsearch.checks import one_or_each

T = TypeVar("T")


def verdicts(batch: Batch, holds: Callable[[str, int], bool]) -> torch.Tensor:
    """(B,) float64, 0 where `holds(text, input)`, +inf elsewhere."""
    keys = list(zip(batch.texts(), batch.inputs.tolist(), strict=True))
    energies = {key: 0.0 if holds(*key) else math.inf for key in dict.fromkeys(keys)}
    return torch.tensor([energies[key] for key in keys], dtype=torch.float64, device=batch.device)


def strings(name: str, given: str | Sequence[str]) -> tuple[str, ...]:
    """One string, or one for each input, as a tuple; each must have a word in it."""
    found = one_or_each(name, given, "strings")
    values = (found,) if isinstance(found, str) else found
    for value in values:
        if not words(value):
            raise ValueError(f"{name}={value!r} has no word in it: leave the term out instead")
    return values


def of_input(values: Sequence[T], number: int) -> T:
    """The value of an input: its own, or the only one."""
    return values[number if len(values) > 1 else 0]


def check_inputs(name: str, values: Sequence[object], batch: Batch) -> None:
    """Refuse an input without a value."""
    inputs = int(batch.inputs.max()) + 1 if len(batch) else 0
    if len(values) > 1 and inputs > len(values):
        raise ValueError(
            f"{name} has {len(values)} values, but there are {inputs} inputs: "
            "pass one for each input, or a single one for all of them"
        )


def is_mark(word: str) -> bool:
    """Whether a word of `words(text)` is a mark of punctuation.

    >>> [is_mark(word) for word in words("So: 3 dogs!")]
    [False, True, False, False, True]
    """
    return not any(letter.isalnum() for letter in word)
