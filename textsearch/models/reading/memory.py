"""Answers remembered: what was asked before is not computed again, and the oldest answers are forgotten."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from textsearch.models.usage import Usage

Key = TypeVar("Key")
Answer = TypeVar("Answer")


def recall(
    known: OrderedDict[Key, Answer],
    keys: Sequence[Key],
    answer: Callable[[list[Key]], Iterable[Answer]],
    most: int,
    usage: Usage | None = None,
    keep: Callable[[Answer], bool] = lambda _: True,
) -> list[Answer]:
    """The answer for each of the `keys`; those not in `known` are asked of `answer`, each once.

    Args:
        known: what is remembered; new answers are added.
        keys: what is asked, repeats allowed.
        answer: one answer for each of a list of keys.
        most: answers to keep.
        usage: counts the keys that needed no asking.
        keep: which answers to remember.

    >>> known: OrderedDict[str, int] = OrderedDict(a=1)
    >>> recall(known, ["a", "bb", "bb"], lambda keys: [len(key) for key in keys], most=1), list(known)
    ([1, 2, 2], ['bb'])
    """
    fresh = [key for key in dict.fromkeys(keys) if key not in known]
    if usage is not None:
        usage.remembered(len(keys) - len(fresh))
    found = dict(zip(fresh, answer(fresh), strict=True)) if fresh else {}
    values = [found[key] if key in found else known[key] for key in keys]
    known.update((key, value) for key, value in found.items() if keep(value))
    while len(known) > most:
        known.popitem(last=False)
    return values
