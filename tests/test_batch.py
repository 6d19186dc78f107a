"""Batches against plain lists."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from textsearch.batch import Batch, concatenate
from textsearch.testing import letters

VOCABULARY = letters("abcDE")
TEXTS = ["abc", "", "c", "aDEb", "Dab"]


def encode(*texts: str) -> Batch:
    return VOCABULARY.encode(texts)


def padding_is_clean(batch: Batch) -> bool:
    """Nothing but zeros and uneditable columns beyond each length."""
    beyond = ~batch.present
    clean = not batch.tokens[beyond].any() and not batch.editable[beyond].any()
    return clean and not batch.closed[beyond].any() and bool((batch.homes[beyond] == -1).all())


def test_encode_and_decode_are_inverse() -> None:
    batch = encode(*TEXTS)
    assert batch.texts() == TEXTS
    assert batch.lengths.tolist() == [len(text) for text in TEXTS]
    assert batch.inputs.tolist() == [0, 1, 2, 3, 4]
    assert batch.editable.equal(batch.present)
    assert padding_is_clean(batch)
    assert len(batch) == 5
    assert batch.width == 4


def test_letters_outside_the_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match="'x'"):
        encode("ax")


def test_a_width_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="width=1 is too small for a row of 2"):
        Batch.of([[1, 2]], VOCABULARY, width=1)


def test_empty_batches_and_empty_texts() -> None:
    assert Batch.of([], VOCABULARY).texts() == []
    empty = encode("", "")
    assert empty.width == 0
    assert empty.texts() == ["", ""]
    assert empty.word_starts.shape == (2, 0)


@pytest.mark.parametrize("width", [0, 4, 5, 9])
def test_widening_changes_no_text(width: int) -> None:
    batch = encode(*TEXTS)
    wide = batch.widen(width)
    assert wide.width == max(4, width)
    assert wide.texts() == TEXTS
    assert wide.same_text(batch).all()
    assert batch.same_text(wide).all()
    assert padding_is_clean(wide)
    assert wide.word_starts[:, :4].equal(batch.word_starts)


def test_rows_pick_by_number_and_by_mask() -> None:
    batch = encode(*TEXTS)
    assert batch.rows([3, 0, 0]).texts() == ["aDEb", "abc", "abc"]
    assert batch.rows([3, 0, 0]).inputs.tolist() == [3, 0, 0]
    assert batch.rows(batch.lengths > 2).texts() == ["abc", "aDEb", "Dab"]
    assert batch.rows([True, False, False, True, False]).texts() == ["abc", "aDEb"]


def test_no_rows_can_be_picked() -> None:
    assert encode(*TEXTS).rows([]).texts() == []


def test_repeat_lays_copies_side_by_side() -> None:
    batch = encode("ab", "c").repeat(2)
    assert batch.texts() == ["ab", "ab", "c", "c"]
    assert batch.inputs.tolist() == [0, 0, 1, 1]


def test_word_starts() -> None:
    starts = encode(*TEXTS).word_starts
    # the first token starts a word even where it is a piece that goes on
    assert [[int(flag) for flag in row] for row in starts.tolist()] == [
        [1, 1, 1, 0],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 1],
        [1, 1, 1, 0],
    ]


def test_with_tokens_writes_one_token_a_row() -> None:
    batch = encode("abc", "aDE")
    assert batch.with_tokens(torch.tensor([0, 2]), torch.tensor([3, 1])).texts() == ["cbc", "aDa"]
    assert batch.texts() == ["abc", "aDE"]


def test_frozen_adds_up() -> None:
    batch = encode("abc")
    once = batch.frozen(torch.tensor([[True, False, False]]))
    twice = once.frozen(torch.tensor([[False, False, True]]))
    assert twice.editable.tolist() == [[False, True, False]]
    assert batch.editable.all()


def test_where_takes_whole_rows() -> None:
    mine, theirs = encode("ab", "c", "a"), encode("cccc", "ab", "").rows([2, 1, 0])
    mixed = mine.where(torch.tensor([True, False, True]), theirs)
    assert mixed.texts() == ["", "c", "cccc"]
    assert mixed.inputs.tolist() == [2, 1, 0]
    assert padding_is_clean(mixed)


def test_same_text_sees_lengths_and_masks() -> None:
    # the mask has id 0, as has the padding
    one, other = encode("a_", "ab", "ab"), encode("a", "ab", "aba")
    assert one.same_text(other).tolist() == [False, True, False]


def test_concatenate_keeps_order() -> None:
    parts = [encode("ab"), encode("", "aDEb"), encode("c").widen(7)]
    whole = concatenate(parts)
    assert whole.texts() == ["ab", "", "aDEb", "c"]
    assert whole.width == 7
    assert padding_is_clean(whole)


def test_marks_go_with_their_tokens() -> None:
    batch = encode("abc", "aDE", "c")
    frozen = batch.frozen(torch.tensor([[True, True, False], [False] * 3, [True, False, False]])).begun()
    marked = frozen.closing(torch.tensor([[True, True, False, False], [False] * 4, [False, True, False, False]]))

    def marks(batch: Batch, row: int) -> list[list[int]]:
        size = int(batch.lengths[row])
        return [part[row, :size].tolist() for part in (batch.closed, batch.homes)]

    first, last = [[3, 1, 0], [0, 1, -1]], [[2], [0]]
    assert [marks(marked, row) for row in (0, 2)] == [first, last]
    assert [marks(marked.rows([2, 0, 2]), row) for row in (0, 1)] == [last, first]
    assert [marks(marked.repeat(2), row) for row in (0, 1, 4)] == [first, first, last]
    assert marks(concatenate([encode("aaaaa"), marked.widen(7)]), 1) == first
    assert marks(batch.where(torch.tensor([True, False, False]), marked), 0) == first
    assert marks(batch.where(torch.tensor([False, False, True]), marked), 0) == [[0, 0, 0], [-1, -1, -1]]
    assert marks(marked.to("cpu"), 0) == first
    assert marks(marked.widen(6).narrow(), 0) == first
    assert marked.widen(6).narrow().width == 3
    assert marked.open_slots.tolist() == [[False, False, True, True], [True] * 4, [True, False, False, False]]
    assert marked.shifted(torch.tensor([[2, 0, 1]]).expand(3, 3)).closed[0].tolist() == [0, 3, 1]
    assert padding_is_clean(marked.widen(6))


def test_to_keeps_everything() -> None:
    batch = encode("ab").to("cpu")
    assert batch.texts() == ["ab"]
    assert batch.device == torch.device("cpu")


@pytest.mark.parametrize("seed", range(20))
def test_splice_is_that_of_lists(seed: int) -> None:
    rng = random.Random(seed)
    rows = [[rng.randint(1, 5) for _ in range(rng.randint(0, 6))] for _ in range(12)]
    frozen = [[rng.random() < 0.4 for _ in row] for row in rows]
    starts = [rng.randint(0, len(row)) for row in rows]
    stops = [rng.randint(start, len(row)) for start, row in zip(starts, rows, strict=True)]
    counts = [rng.randint(0, 3) for _ in rows]
    batch = Batch.of(rows, VOCABULARY)
    where = torch.zeros_like(batch.editable)
    for row, marks in enumerate(frozen):
        where[row, : len(marks)] = torch.tensor(marks, dtype=torch.bool)
    batch = batch.frozen(where)
    # what goes with frozen tokens
    closed = torch.randint(0, 4, where.shape, generator=torch.Generator().manual_seed(seed)) * where
    homes = torch.arange(batch.width).expand_as(where).where(where, -1)
    batch = replace(batch, closed=closed, homes=homes)
    spliced = batch.splice(torch.tensor(starts), torch.tensor(stops), torch.tensor(counts), batch.width + 3)
    for row, (start, stop, count) in enumerate(zip(starts, stops, counts, strict=True)):
        tokens = rows[row][:start] + [0] * count + rows[row][stop:]
        marks = frozen[row][:start] + [False] * count + frozen[row][stop:]
        assert spliced.token_lists()[row] == tokens
        assert spliced.editable[row, : len(tokens)].tolist() == [not mark for mark in marks]
        for name, nothing in (("closed", 0), ("homes", -1)):
            own = getattr(batch, name)[row, : len(rows[row])].tolist()
            expected = own[:start] + [nothing] * count + own[stop:]
            assert getattr(spliced, name)[row, : len(tokens)].tolist() == expected
    assert padding_is_clean(spliced)
    assert batch.token_lists() == rows


def test_changed_is_the_smallest_span_that_holds_all_differences() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("ab"), size=rng.integers(0, 6))) for _ in range(400)]
    one, other = VOCABULARY.encode(words[:200]), VOCABULARY.encode(words[200:])

    def smallest(a: str, b: str) -> int:
        """By trying every prefix and suffix that the two share."""
        shared = [
            (begin, end)
            for begin in range(min(len(a), len(b)) + 1)
            for end in range(min(len(a), len(b)) - begin + 1)
            if a[:begin] == b[:begin] and a[len(a) - end :] == b[len(b) - end :]
        ]
        return max(len(a), len(b)) - max(begin + end for begin, end in shared)

    expected = [smallest(a, b) for a, b in zip(words[:200], words[200:], strict=True)]
    assert one.changed(other).tolist() == expected == other.changed(one.widen(9)).tolist()
    assert one.changed(one).sum() == 0
