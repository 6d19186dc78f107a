"""What the hard terms on surface text share: values for each input, and every different text judged once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
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


def freeze_words(batch: Batch, chosen: Callable[[Sequence[str], int], Iterable[int]]) -> Batch:
    """`batch` with the tokens of some words uneditable: those of `words(text)` that `chosen(words, input)` numbers."""
    where = torch.zeros_like(batch.editable)
    starts = batch.word_starts.tolist()
    for row, (tokens, number) in enumerate(zip(batch.token_lists(), batch.inputs.tolist(), strict=True)):
        size = len(tokens)
        # a text may be written as its input has it
        prefixes = replace(
            Batch.of([tokens[:stop] for stop in range(size + 1)], batch.vocabulary),
            inputs=torch.full((size + 1,), number),
        )
        found = [words(text) for text in prefixes.texts()]
        for word in chosen(found[-1], number):
            # a prefix may end inside a word: the end is where it first agrees with the whole text
            begin = max(i for i, prefix in enumerate(found) if len(prefix) <= word)
            end = min(i for i, prefix in enumerate(found) if prefix[: word + 1] == found[-1][: word + 1])
            # a proposal takes a word with all its pieces
            while begin > 0 and not starts[row][begin]:
                begin -= 1
            while end < size and not starts[row][end]:
                end += 1
            where[row, begin:end] = True
    return batch.frozen(where)
