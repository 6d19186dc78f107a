"""Sites: the tokens that can be replaced one for one, and the tokens that may stand at each.

A site is a token of a word without frozen pieces. It keeps its role: a token that begins a word is replaced by one that
begins a word, and what goes on a word to what goes on one, so that words begin at the same places as before. A mask
stands for the beginning of a word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.models.protocols import MaskedLM


def template(vocabulary: Vocabulary, texts: Sequence[str]) -> Batch:
    """The texts with all but their masks frozen: "The [MASK] ran home." keeps its other words.

    Args:
        vocabulary: that of the masked model.
        texts: with masks where words are wanted.

    >>> from textsearch.testing import letters
    >>> template(letters("ab"), ["a_b"]).editable.tolist()
    [[False, True, False]]
    """
    batch = vocabulary.encode(texts)
    return batch.frozen(batch.tokens != vocabulary.mask_id)


def masks(batch: Batch) -> Tensor:
    """(B, N) bool, the tokens that are still to be filled in."""
    return (batch.tokens == batch.vocabulary.mask_id) & batch.present


def word_table(batch: Batch) -> tuple[Tensor, Tensor]:
    """First position of each word, (B, N + 1) int64 with the row's length past the last; and (B, N) bool editable."""
    starts = batch.word_starts
    column = torch.arange(batch.width, device=batch.device)
    first = torch.where(starts, column, batch.width).sort(1).values
    first = torch.nn.functional.pad(first, (0, 1), value=batch.width)
    first = torch.minimum(first, batch.lengths[:, None])
    word = starts.cumsum(1) - 1
    frozen = torch.zeros_like(first).scatter_add(
        1, word.clamp(min=0), (~batch.editable & batch.present).to(torch.int64)
    )
    count = starts.sum(1)
    return first, (frozen[:, :-1] == 0) & (column < count[:, None])


def slots(batch: Batch) -> Tensor:
    """(B, N + 1) bool, where a word may be put in: slot k is the one before word k, the last one that behind them all.

    There is one between any two words, and one at both ends, but for those that are closed; see `Batch.closing`.
    """
    first, _ = word_table(batch)
    column = torch.arange(first.shape[1], device=batch.device)
    return batch.open_slots.gather(1, first) & (column <= batch.word_starts.sum(1, keepdim=True))


def slot_open(batch: Batch, places: Tensor) -> Tensor:
    """(B,) bool, whether a word may be put in before the token at `places` (B,), the length standing for the end."""
    return batch.open_slots.gather(1, places[:, None])[:, 0]


def sites(batch: Batch) -> Tensor:
    """(B, N) bool, the tokens of words without a frozen piece."""
    _, editable = word_table(batch)
    word = (batch.word_starts.cumsum(1) - 1).clamp(min=0)
    return editable.gather(1, word) & batch.present


def place_of(flags: Tensor, rank: Tensor) -> Tensor:
    """(B,) the column of the `rank`-th (B,) True of (B, N), counted from 0; 0 where there are not so many."""
    return ((flags.cumsum(1) == rank[:, None] + 1) & flags).to(torch.int64).argmax(1)


def tokens_by_role(vocabulary: Vocabulary, device: torch.device) -> Tensor:
    """(2, V) bool, the allowed tokens that begin a word, and those that go on one."""
    return (vocabulary.allowed & torch.stack([~vocabulary.continues, vocabulary.continues])).to(device)


def fits(vocabulary: Vocabulary, old: Tensor) -> Tensor:
    """(..., V) bool, the allowed tokens that have the role of `old` (...)."""
    roles = vocabulary.continues.to(old.device)[old].to(torch.int64)
    return tokens_by_role(vocabulary, old.device)[roles]


def conditionals(mlm: MaskedLM, masked: Batch, places: Tensor, old: Tensor) -> Tensor:
    """(B, S, V) log-probabilities at the masked `places` (B, S); -inf for what may not stand where `old` (B, S) stood.

    Of the old tokens nothing is used but their roles; what may stand there does not add up to 1.
    """
    rows = torch.arange(len(masked), device=masked.device).repeat_interleave(places.shape[1])
    log_probs = mlm.log_probs(masked, rows, places.flatten()).reshape(*places.shape, -1)
    return log_probs.masked_fill(~fits(mlm.vocabulary, old), -math.inf)


def check_sites(vocabulary: Vocabulary, batch: Batch) -> None:
    """Raise a `ValueError` for a site that no allowed token of its role could fill."""
    open_sites, continues = sites(batch), vocabulary.continues.to(batch.device)[batch.tokens]
    some = tokens_by_role(vocabulary, batch.device).any(1)
    for role, meaning in enumerate(("begin", "go on")):
        wanted = (open_sites & (continues == role)).any(1)
        if bool(wanted.any()) and not bool(some[role]):
            row = int(wanted.nonzero()[0])
            raise ValueError(
                f"row {row}, {batch.rows([row]).texts()[0]!r}, has a site for a token that may {meaning} a word, but "
                "this vocabulary allows none: freeze that word, or allow such tokens"
            )
