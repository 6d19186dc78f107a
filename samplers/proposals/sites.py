"""Sites: the tokens of a template that are filled in, and what may stand at each.

A site is a token of a word without frozen pieces. It keeps its role: what begins a word gives way to what begins one,
and what goes on a word to what goes on one, so that the words of all fills begin at the same places. A mask stands for
the beginning of a word.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from samplers.proposals.spans import word_table
from textsearch.batch import Batch, Vocabulary


def template(vocabulary: Vocabulary, texts: Sequence[str]) -> Batch:
    """The texts with all but their masks frozen: "The [MASK] ran home." keeps its other words.

    >>> from textsearch.testing import letters
    >>> template(letters("ab"), ["a_b"]).editable.tolist()
    [[False, True, False]]
    """
    batch = vocabulary.encode(texts)
    return batch.frozen(batch.tokens != vocabulary.mask_id)


def sites(batch: Batch) -> Tensor:
    """(B, N) bool, the tokens of words without a frozen piece."""
    _, editable = word_table(batch)
    word = (batch.word_starts.cumsum(1) - 1).clamp(min=0)
    return editable.gather(1, word) & batch.present


def fits(vocabulary: Vocabulary, old: Tensor) -> Tensor:
    """(..., V) bool, the allowed tokens that have the role of `old` (...)."""
    continues, allowed = vocabulary.continues.to(old.device), vocabulary.allowed.to(old.device)
    return allowed & (continues == continues[old][..., None])


def check_sites(vocabulary: Vocabulary, batch: Batch) -> None:
    """Raise a `ValueError` for a site that no allowed token of its role could fill."""
    continues, allowed = vocabulary.continues.to(batch.device), vocabulary.allowed.to(batch.device)
    for role, meaning in ((False, "begin"), (True, "go on")):
        wanted = (sites(batch) & (continues[batch.tokens] == role)).any(1)
        if bool(wanted.any()) and not bool((allowed & (continues == role)).any()):
            row = int(wanted.nonzero()[0])
            raise ValueError(
                f"row {row}, {batch.rows([row]).texts()[0]!r}, has a site for a token that may {meaning} a word, but "
                "this vocabulary allows none: freeze that word, or allow such tokens"
            )
