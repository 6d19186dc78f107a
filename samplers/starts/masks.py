"""Texts of masks alone: the start of generators that write from nothing (Wang and Cho, 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from textsearch.batch import Batch, Vocabulary
from textsearch.checks import MAX_CHAINS, seed_of, sequence, whole
from textsearch.kinds import VOCABULARY, instance
from textsearch.rng import Rng

_LONGEST = 100_000  # tokens; no model reads as many


def all_masks(vocabulary: Vocabulary, lengths: Sequence[int]) -> Batch:
    """One text of masks for each of the `lengths`, in tokens, all of them editable.

    Args:
        vocabulary: whose mask is written.
        lengths: in tokens, one for each text.

    >>> from textsearch.testing import letters
    >>> all_masks(letters("ab"), [2, 4]).texts()
    ['__', '____']
    """
    instance("vocabulary", vocabulary, VOCABULARY)
    counts = [
        whole(f"lengths[{place}]", length, 1, _LONGEST, "token")
        for place, length in enumerate(sequence("lengths", lengths, "whole numbers", "[5, 7]"))
    ]
    return Batch.of([[vocabulary.mask_id] * count for count in counts], vocabulary)


def random_lengths(count: int, shortest: int, longest: int, *, seed: int) -> list[int]:
    """`count` lengths, each of those from `shortest` to `longest` as likely as the others.

    Args:
        count: how many.
        shortest: in tokens.
        longest: in tokens.
        seed: the same seed gives the same lengths.

    Raises:
        ValueError: `shortest` is above `longest`.

    >>> random_lengths(6, 3, 5, seed=0)
    [3, 4, 3, 3, 3, 4]
    """
    count, seed = whole("count", count, high=MAX_CHAINS), seed_of(seed)
    shortest, longest = whole("shortest", shortest, 1, unit="token"), whole("longest", longest, 1, unit="token")
    if shortest > longest:
        raise ValueError(f"shortest={shortest} is above longest={longest}: exchange them")
    uniform = Rng.start(seed, count, purpose="lengths").uniform(0)
    return [shortest + int(number * (longest - shortest + 1)) for number in uniform.tolist()]
