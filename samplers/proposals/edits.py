"""The everyday moves, each a span edit: replace, insert and delete, block infill."""

from __future__ import annotations

from collections.abc import Sequence

from samplers.proposals.spans import SpanEdit
from textsearch.checks import real, sequence, whole
from textsearch.models.defaults import DEFAULT_MASKED_LM
from textsearch.models.protocols import MaskedLM


def Replace(  # noqa: N802
    mlm: MaskedLM = DEFAULT_MASKED_LM, *, pieces: Sequence[float] | None = None, max_length: int = 64
) -> SpanEdit:
    """One word for another: masked-LM Metropolis-Hastings (Goyal et al., 2022).

    Args:
        mlm: proposes the word from its context; a single pass gives the probability both ways. By default the one
            that comes with textsearch.
        pieces: probability that the new word has 1, 2, ... pieces; by default any number, see `PIECES`.
        max_length: tokens that a text may grow to, where pieces differ in number.
    """
    return SpanEdit(mlm, {(1, 1): 1.0}, pieces, max_length)


def InsertDelete(  # noqa: N802
    mlm: MaskedLM = DEFAULT_MASKED_LM,
    *,
    insert: float = 0.5,
    pieces: Sequence[float] | None = None,
    max_length: int = 64,
) -> SpanEdit:
    """Write a word into one of the n + 1 slots, or take one of the n words out (Miao et al., 2019).

    Args:
        mlm: proposes the word to insert, and prices the way back for one deleted; by default as above.
        insert: probability of an insertion rather than a deletion.
        pieces: probability that the new word has 1, 2, ... pieces.
        max_length: tokens; an insertion beyond it is a null move.
    """
    must = "lie between 0 and 1: each insertion is undone by a deletion"
    insert = real("insert", insert, must, lambda x: 0 < x < 1)
    return SpanEdit(mlm, {(0, 1): insert, (1, 0): 1.0 - insert}, pieces, max_length)


def BlockInfill(  # noqa: N802
    mlm: MaskedLM = DEFAULT_MASKED_LM,
    *,
    words: Sequence[int] = (2, 3),
    pieces: Sequence[float] | None = None,
    max_length: int = 64,
) -> SpanEdit:
    """Rewrite a block of adjacent words, piece by piece, in a random order drawn beforehand.

    Args:
        mlm: fills each piece given those filled before it; by default the one that comes with textsearch.
        words: sizes of the blocks, each as likely as the others.
        pieces: probability that a new word has 1, 2, ... pieces; by default any number, see `PIECES`.
        max_length: tokens that a text may grow to.

    Raises:
        ValueError: `words` is empty.
    """
    given = sequence("words", words, "sizes of blocks", "[2, 3]")
    sizes = sorted({whole(f"words[{place}]", size, 1, unit="word") for place, size in enumerate(given)})
    if not sizes:
        raise ValueError("words is empty: name block sizes of at least 1 word, such as (2, 3)")
    return SpanEdit(mlm, {(size, size): 1.0 / len(sizes) for size in sizes}, pieces, max_length)
