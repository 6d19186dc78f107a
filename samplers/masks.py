"""Texts of masks alone: the start of generators that write from nothing (Wang and Cho, 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from textsearch.batch import Batch, Vocabulary
from textsearch.rng import Rng


def all_masks(vocabulary: Vocabulary, lengths: Sequence[int]) -> Batch:
    """One text of masks for each of the `lengths`, in tokens, all of them editable.

    >>> from textsearch.testing import letters
    >>> all_masks(letters("ab"), [2, 4]).texts()
    ['__', '____']
    """
    for number, length in enumerate(lengths):
        if length < 1:
            raise ValueError(f"lengths[{number}]={length} must be at least 1 token")
    return Batch.of([[vocabulary.mask_id] * length for length in lengths], vocabulary)


def random_lengths(count: int, shortest: int, longest: int, *, seed: int) -> list[int]:
    """`count` lengths, each of those from `shortest` to `longest` as likely as the others.

    >>> random_lengths(6, 3, 5, seed=0)
    [3, 4, 3, 3, 3, 4]
    """
    if not 1 <= shortest <= longest:
        raise ValueError(f"shortest={shortest} and longest={longest} must be at least 1 token, and in this order")
    uniform = Rng.start(seed, count, purpose="lengths").uniform(0)
    return [shortest + int(number * (longest - shortest + 1)) for number in uniform.tolist()]
