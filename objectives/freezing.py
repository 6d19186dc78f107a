"""Freezing: words that a hard term needs stay as they are, so that no proposal is wasted on them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch

from textsearch.batch import Batch, Vocabulary


@final
@dataclass(frozen=True)
class Kept:
    """Words of a text that stay in it, and where.

    Attributes:
        parts: first and past-the-last number of each run of words between which nothing may come.
        begins: whether nothing may come before the first of them, which then is the first word of the text.
        ends: whether nothing may come behind the last of them, which then is the last word of the text.
    """

    parts: Sequence[tuple[int, int]]
    begins: bool = False
    ends: bool = False


def freeze_words(
    batch: Batch, words: Callable[[str], Sequence[str]], chosen: Callable[[Sequence[str], int], Kept]
) -> Batch:
    """`batch` with some words uneditable, those of `words(text)` that `chosen(words, input)` numbers, and slots closed.

    Rows that are alike are looked at once.
    """
    where = torch.zeros_like(batch.editable)
    slots = torch.nn.functional.pad(where, (0, 1))
    found: dict[Hashable, tuple[list[int], list[int]]] = {}
    starts = batch.word_starts.tolist()
    for row, (tokens, number) in enumerate(zip(batch.token_lists(), batch.inputs.tolist(), strict=True)):
        key = (tuple(tokens), number)
        if key not in found:
            found[key] = _places(tokens, starts[row], number, batch.vocabulary, words, chosen)
        columns, shut = found[key]
        where[row, columns] = True
        slots[row, shut] = True
    return batch.frozen(where).closing(slots)


def _places(
    tokens: list[int],
    starts: list[bool],
    number: int,
    vocabulary: Vocabulary,
    words: Callable[[str], Sequence[str]],
    chosen: Callable[[Sequence[str], int], Kept],
) -> tuple[list[int], list[int]]:
    """The columns of the tokens to freeze, and those of the slots to close."""
    size = len(tokens)
    rows = Batch.of([tokens[:stop] for stop in range(size + 1)], vocabulary)
    # how a text is written may depend on the input that it belongs to
    prefixes = [words(text) for text in replace(rows, inputs=torch.full_like(rows.inputs, number)).texts()]
    text = prefixes[-1]
    kept = chosen(text, number)
    columns: list[int] = []
    slots: list[int] = []
    for first, stop in kept.parts:
        # a prefix may end inside a word ("dog" of "dog's"): the end is where it first agrees with the whole text
        begin = max(i for i, prefix in enumerate(prefixes) if len(prefix) <= first)
        end = min(i for i, prefix in enumerate(prefixes) if prefix[:stop] == text[:stop])
        # a proposal takes a word with all its pieces
        while begin > 0 and not starts[begin]:
            begin -= 1
        while end < size and not starts[end]:
            end += 1
        columns += range(begin, end)
        slots += range(begin + 1, end)
    if columns and kept.begins and min(columns) == 0:
        slots.append(0)
    if columns and kept.ends and max(columns) == size - 1:
        slots.append(size)
    return columns, slots
