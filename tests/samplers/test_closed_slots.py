"""Closed slots: no proposal puts anything into one, and what it says of its moves counts the open ones alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from samplers.proposals import (
    BlockInfill,
    Copy,
    Corrections,
    FromLeft,
    InsertDelete,
    Mixture,
    Replace,
    SpanEdit,
    SuffixResampling,
    Swap,
    copy,
    spans,
)
from samplers.proposals.clusters import Clusters
from samplers.proposals.sites import slots
from textsearch.batch import BEFORE, BEHIND, Batch
from textsearch.language.confusions import ListedConfusions
from textsearch.proposal import Proposal
from textsearch.rng import Rng
from textsearch.testing import LawBroken, TableCausalLM, TableMaskedLM, check_proposal, letters

LETTERS = letters("abC")
MODEL = TableMaskedLM.random(LETTERS, seed=2, scale=0.4)
PLAIN = letters("ab")
WORDS = Clusters.of([["a", "a", "a"]], ListedConfusions({"a": {"ab": "spelling"}}, inserted=("b", "a")))

MOVES: dict[str, Proposal] = {
    "insert and delete": InsertDelete(MODEL, max_length=5),
    "rewrite": SpanEdit(MODEL, {(1, 2): 0.2, (2, 1): 0.2, (0, 2): 0.3, (2, 0): 0.3}, None, 6),
    "replace": Replace(MODEL, max_length=6),
    "infill": BlockInfill(MODEL, words=(1, 2), max_length=6),
    "swap": Swap(LETTERS),
    "copy": Copy(MODEL, "abC", max_length=5),
    "mixture": Mixture({InsertDelete(MODEL, max_length=5): 1.0, Swap(LETTERS): 1.0}),
    "suffix": SuffixResampling(TableCausalLM.random(PLAIN, seed=1), max_length=5),
    "corrections": Corrections(TableMaskedLM.random(PLAIN, seed=0), WORDS),
}


def closed(batch: Batch, *where: tuple[int, list[int], list[int]]) -> Batch:
    """Of some rows, tokens frozen and slots closed."""
    frozen, shut = torch.zeros_like(batch.editable), torch.zeros(len(batch), batch.width + 1, dtype=torch.bool)
    for row, tokens, own in where:
        frozen[row, tokens], shut[row, own] = True, True
    return batch.frozen(frozen).closing(shut)


def start_of(vocabulary: Any) -> Batch:
    """Two words at the beginning, or at the end of a text of four, with what keeps them there, or but side by side."""
    words = vocabulary is WORDS.vocabulary
    batch = vocabulary.batch([["a", "ab"] * 2] * 3) if words else vocabulary.encode(["abab"] * 3)
    return closed(batch, (0, [0, 1], [0, 1]), (1, [0, 1], [1]), (2, [2, 3], [3, 4]))


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES.keys())
def test_nothing_comes_into_a_closed_slot(move: Proposal) -> None:
    batch = start_of(move.vocabulary)
    kept = [batch.token_lists()[0][:2], batch.token_lists()[1][:2], batch.token_lists()[2][2:]]
    changed = 0
    with torch.inference_mode():
        many = batch.repeat(300)
        for step in range(4):
            after = move.propose(many, Rng.start(step, 900)).batch
            changed += int((~after.same_text(many)).sum())
            many = after
    rows = many.token_lists()
    assert changed > 100
    assert all(row[:2] == kept[0] for row in rows[:300])
    assert all(any(row[i : i + 2] == kept[1] for i in range(len(row))) for row in rows[300:600])
    assert all(row[-2:] == kept[2] for row in rows[600:])
    # the marks go with their tokens
    assert (many.closed.sum(1) == batch.closed.sum(1).repeat_interleave(300)).all()
    assert not many.closed[many.editable].any()


def space() -> Batch:
    """All texts of a frozen "a" that begins them and two letters at most."""
    texts = ["a", "aa", "ab", "aaa", "aab", "aba", "abb"]
    batch = PLAIN.encode(texts)
    return closed(batch, *((row, [0], [0]) for row in range(len(texts))))


READER = TableMaskedLM.random(PLAIN, seed=4, scale=0.4)
EDITS: dict[str, Proposal] = {"edits": InsertDelete(READER, max_length=3), "copies": Copy(READER, "ab", max_length=3)}


@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS.keys())
def test_moves_count_open_slots(edits: Proposal) -> None:
    check_proposal(edits, space(), chains=6_000)


def test_moves_that_count_all_slots_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    # the moves know of the slots, the number of ways back does not
    plain = spans._span_counts
    opened = lambda batch: plain(replace(batch, closed=torch.zeros_like(batch.closed)))  # noqa: E731
    monkeypatch.setattr(spans, "_span_counts", opened)
    with pytest.raises(LawBroken, match="p = "):
        check_proposal(EDITS["edits"], space())


def test_copies_that_count_all_slots_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "slots", lambda batch: slots(replace(batch, closed=torch.zeros_like(batch.closed))))
    with pytest.raises(LawBroken, match="led to a text that is not listed"):
        check_proposal(EDITS["copies"], space())


def test_a_slot_beside_what_is_free_cannot_be_closed() -> None:
    batch = PLAIN.encode(["ab"])
    with pytest.raises(ValueError, match="the slot before token 1 of row 0, 'ab', stands beside a token that is not"):
        closed(batch, (0, [0], [1]))
    with pytest.raises(ValueError, match="token 0 of row 0, ''"):
        closed(PLAIN.encode(["", "a"]), (0, [], [0]))
    assert closed(batch, (0, [0, 1], [0, 1, 2])).closed.tolist() == [[BEFORE + BEHIND, BEFORE + BEHIND]]


def test_a_text_with_a_closed_end_is_not_written_on() -> None:
    model = TableCausalLM.random(PLAIN, seed=1)
    batch = closed(PLAIN.encode(["ab", "ab"]), (0, [0, 1], [2]), (1, [0, 1], [1]))
    left = FromLeft(model, max_length=4)
    with pytest.raises(ValueError, match="row 0, 'ab', has a frozen end behind which nothing may come"):
        left.check(batch)
    left.check(batch.rows([1]))
    _, log_prob = left.draw(batch.repeat(50), Rng.start(0, 100))
    assert (log_prob[:50] == math.inf).all() and log_prob[50:].isfinite().any()
    assert left.log_prob(batch).isfinite().tolist() == [False, True]
    move = SuffixResampling(model, max_length=4).propose(batch.repeat(50), Rng.start(0, 100))
    assert (move.log_backward[:50] == -math.inf).all() and move.batch.texts()[:50] == ["ab"] * 50
    assert any(text != "ab" for text in move.batch.texts()[50:])
