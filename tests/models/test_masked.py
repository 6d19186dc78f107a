"""Masked models: the conditionals asked for are those of a plain forward pass, however the asking is done."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.tiny import (
    PIECES,
    TEXTS,
    Tiny,
    bert,
    every_position,
    save,
    seeded,
    shape,
    shuffled,
    wordpiece_tokenizer,
)
from tests.models.tiny import tiny as tiny
from textsearch.batch import Batch
from textsearch.models import masked_lm
from textsearch.models.reading import packing as flat
from textsearch.models.reading import projection
from textsearch.models.reading.length_buckets import BLOCK

MASKED_TEXTS = [*TEXTS, "The [MASK] sat on the [MASK].", "[MASK]"]


def direct(model: Any, tokens: list[int], shift: int = 0) -> Tensor:
    """(N, V) log-probabilities at every position of one text, from all logits of one unpadded pass."""
    framed = torch.tensor([[PIECES.index("[CLS]"), *tokens, PIECES.index("[SEP]")]])
    with torch.inference_mode():
        logits = model(input_ids=framed).logits[0, :, : len(PIECES)]
    log_probs: Tensor = logits.log_softmax(-1)[1 + shift : 1 + shift + len(tokens)]
    return log_probs


def expected(model: Any, batch: Batch, rows: Tensor, positions: Tensor, shift: int = 0) -> Tensor:
    each = [direct(model, tokens, shift) for tokens in batch.token_lists()]
    return torch.stack([each[row][place] for row, place in zip(rows.tolist(), positions.tolist(), strict=True)])


def repeated_and_unsorted(batch: Batch) -> tuple[Tensor, Tensor]:
    """All positions in a random order, some of them twice."""
    rows, positions = every_position(batch.lengths)
    order = shuffled(len(rows))
    order = torch.cat([order, order[:20]])
    return rows[order], positions[order]


def test_log_probs_are_those_of_a_plain_forward_pass(tiny: Tiny) -> None:
    lm = tiny.masked()
    batch = lm.vocabulary.encode(MASKED_TEXTS)
    rows, positions = repeated_and_unsorted(batch)
    found = lm.log_probs(batch, rows, positions)
    assert found.shape == (len(rows), len(PIECES))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected(lm.model, batch, rows, positions), atol=2e-5, rtol=0)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(len(rows)), atol=1e-5, rtol=0)


def test_positions_shifted_by_one_are_caught(tiny: Tiny) -> None:
    lm = tiny.masked()
    batch = lm.vocabulary.encode(MASKED_TEXTS)
    rows, positions = every_position(batch.lengths)
    found = lm.log_probs(batch, rows, positions)
    for shift in (-1, 1):
        apart = (found - expected(lm.model, batch, rows, positions, shift)).abs().amax(1)
        assert (apart > 1e-2).float().mean() > 0.9


def test_a_conditional_sees_both_sides(tiny: Tiny) -> None:
    lm = tiny.masked()
    batch = lm.vocabulary.encode(["the [MASK] sat", "a [MASK] sat", "the [MASK] ran", "the [MASK] sat on"])
    found = lm.log_probs(batch, torch.arange(4), torch.ones(4, dtype=torch.int64))
    assert all((found[0] - found[other]).abs().max() > 1e-2 for other in (1, 2, 3))


@cache
def ways_of_asking(tiny: Tiny) -> dict[str, Tensor]:
    """The same conditionals of all tokens, asked for in many ways, each (K, V) in one order."""
    lm, small = tiny.masked(), tiny.masked(max_tokens=1)
    batch = lm.vocabulary.encode(MASKED_TEXTS)
    rows, positions = every_position(batch.lengths)
    order = shuffled(len(rows))
    back = order.argsort()
    return {
        "batched": lm.log_probs(batch, rows, positions),
        "padded": lm.log_probs(batch.widen(30), rows, positions),
        "other pairs first": lm.log_probs(batch, rows[order], positions[order])[back],
        "rows in reverse": lm.log_probs(batch.rows(list(range(len(batch)))[::-1]), len(batch) - 1 - rows, positions),
        "rows repeated": lm.log_probs(batch.repeat(3), 3 * rows + 1, positions),
        "row by row": torch.cat(
            [
                lm.log_probs(batch.rows([row]), torch.zeros_like(rows[rows == row]), positions[rows == row])
                for row in range(len(batch))
            ]
        ),
        "one by one": torch.cat([lm.log_probs(batch, rows[k : k + 1], positions[k : k + 1]) for k in range(len(rows))]),
        "a row a pass": small.log_probs(batch, rows, positions),
    }


WAYS = ["padded", "other pairs first", "rows in reverse", "rows repeated", "row by row", "one by one", "a row a pass"]


@pytest.mark.parametrize("way", WAYS)
def test_the_way_of_asking_changes_no_bit(tiny: Tiny, way: str) -> None:
    ways = ways_of_asking(tiny)
    apart = (ways[way] - ways["batched"]).abs()
    assert ways[way].equal(ways["batched"]), f"{int(apart.amax(1).gt(0).sum())} rows differ, by up to {apart.max():.1e}"


def test_the_projection_runs_for_the_asked_positions_alone(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = tiny.masked()
    shapes: list[torch.Size] = []
    whole = projection._product

    def product(head: Any, hidden: Tensor, window: slice) -> Tensor:
        shapes.append(hidden.shape)
        return whole(head, hidden, window)

    # on the projection's own input, after whatever picks the hidden states
    monkeypatch.setattr(projection, "_product", product)
    batch = lm.vocabulary.encode(list(dict.fromkeys(TEXTS)))
    for count in (1, 10, 16, 32, 50):
        rows, positions = every_position(batch.lengths)
        order = shuffled(len(rows))[:count]
        lm.forgetful().log_probs(batch, rows[order], positions[order])
    # a few more than asked, up to whole blocks
    assert shapes == [(count + -count % BLOCK, 32) for count in (1, 10, 16, 32, 50)]


def test_a_row_is_read_once_however_often_it_is_asked(tiny: Tiny) -> None:
    lm = tiny.masked()
    batch = lm.vocabulary.encode(["the dog sat", "the cat sat", "a dog ran"])
    lm.log_probs(batch, torch.tensor([2, 0, 2, 2]), torch.tensor([0, 1, 2, 1]))
    assert (lm.usage.passes, lm.usage.rows, lm.usage.tokens, lm.usage.padding) == (1, 2, 12, 2)
    lm.log_probs(batch, torch.tensor([2, 0]), torch.tensor([1, 1]))
    assert (lm.usage.passes, lm.usage.hits) == (1, 2)
    # another place of the same text is another question
    lm.log_probs(batch, torch.tensor([0]), torch.tensor([0]))
    assert lm.usage.passes == 2


def test_the_model_projects_everything_again_afterwards(tiny: Tiny) -> None:
    lm = tiny.masked()
    batch = lm.vocabulary.encode(["the dog"])
    lm.log_probs(batch, torch.tensor([0]), torch.tensor([0]))
    assert lm.model(input_ids=batch.tokens).logits.shape == (1, 2, len(PIECES))
    with pytest.raises(IndexError):
        lm.log_probs(batch, torch.tensor([0]), torch.tensor([20]))
    assert lm.model(input_ids=batch.tokens).logits.shape == (1, 2, len(PIECES))


def test_nothing_asked_nothing_read(tiny: Tiny) -> None:
    lm = tiny.masked()
    none = torch.zeros(0, dtype=torch.int64)
    assert lm.log_probs(lm.vocabulary.encode(TEXTS), none, none).shape == (0, len(PIECES))
    assert lm.usage.passes == 0


def test_outputs_beyond_the_tokenizer_get_no_probability(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Checkpoints pad their vocabularies to round sizes: nothing is to be written with the padding."""
    path = save(tmp_path_factory.mktemp("padded"), bert(len(PIECES) + 5), wordpiece_tokenizer())
    lm = masked_lm(path, device="cpu")
    batch = lm.vocabulary.encode(MASKED_TEXTS)
    rows, positions = every_position(batch.lengths)
    found = lm.log_probs(batch, rows, positions)
    assert found.shape == (len(rows), len(PIECES))
    torch.testing.assert_close(found, expected(lm.model, batch, rows, positions), atol=2e-5, rtol=0)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(len(rows)), atol=1e-5, rtol=0)


def test_weights_in_half_precision(tiny: Tiny) -> None:
    lm, half = tiny.masked(), tiny.masked(dtype=torch.bfloat16)
    assert next(half.model.parameters()).dtype == torch.bfloat16
    batch = lm.vocabulary.encode(TEXTS)
    rows, positions = every_position(batch.lengths)
    found = half.log_probs(batch, rows, positions)
    assert found.dtype == torch.float32
    assert (found - lm.log_probs(batch, rows, positions)).abs().mean() < 0.1


@pytest.mark.parametrize("max_bytes", [1, 1000, 20_000])
def test_a_small_memory_changes_no_bit(tiny: Tiny, max_bytes: int) -> None:
    lm, small = tiny.masked(), tiny.masked()
    small = replace(small, max_bytes=max_bytes)
    batch = lm.vocabulary.encode(MASKED_TEXTS)
    rows, positions = repeated_and_unsorted(batch)
    wanted = torch.arange(len(rows)) % len(PIECES)
    for part in (slice(0, 30), slice(10, 60), slice(None), slice(5, 6)):
        asked = batch, rows[part], positions[part]
        assert small.log_probs(*asked).equal(lm.log_probs(*asked))
        assert small.token_log_probs(*asked, wanted[part]).equal(lm.token_log_probs(*asked, wanted[part]))
    capacity = small._contexts.capacity
    assert len(small._contexts) == min(capacity, len(lm._contexts))
    assert 32 * 4 * capacity <= max(max_bytes, 32 * 4)
    assert small.usage.rows > lm.usage.rows


def test_single_tokens_have_the_conditionals_of_all(tiny: Tiny) -> None:
    lm = tiny.masked()
    batch = lm.vocabulary.encode(MASKED_TEXTS)
    rows, positions = repeated_and_unsorted(batch)
    wanted = torch.arange(len(rows)) % len(PIECES)
    found = lm.token_log_probs(batch, rows, positions, wanted)
    assert found.dtype == torch.float64
    whole = lm.log_probs(batch, rows, positions).double().gather(1, wanted[:, None])[:, 0]
    torch.testing.assert_close(found, whole, atol=2e-6, rtol=0)


def test_what_was_interrupted_is_asked_again(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = tiny.masked(max_tokens=1)
    batch = lm.vocabulary.encode(MASKED_TEXTS)
    rows, positions = every_position(batch.lengths)
    whole, passes = flat.read_rows, []

    def interrupted(*arguments: Any, **settings: Any) -> Tensor:
        passes.append(1)
        if len(passes) == 3:
            raise KeyboardInterrupt
        return whole(*arguments, **settings)

    monkeypatch.setattr("textsearch.models.masked.read_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lm.log_probs(batch, rows, positions)
    assert len(lm._contexts) == 0
    assert lm.log_probs(batch, rows, positions).equal(tiny.masked().log_probs(batch, rows, positions))


def test_models_that_know_no_flat_rows_are_read_padded(tmp_path: Path) -> None:
    """Its positions are relative: it takes none from outside."""
    from transformers import DebertaV2Config, DebertaV2ForMaskedLM

    config = DebertaV2Config(**shape(len(PIECES)), relative_attention=True, pos_att_type=["p2c", "c2p"])
    lm = masked_lm(
        save(tmp_path / "deberta", seeded(DebertaV2ForMaskedLM, config), wordpiece_tokenizer()), device="cpu"
    )
    batch = lm.vocabulary.encode(MASKED_TEXTS)
    rows, positions = every_position(batch.lengths)
    found = lm.log_probs(batch, rows, positions)
    assert not lm._flat
    torch.testing.assert_close(found, expected(lm.model, batch, rows, positions), atol=2e-5, rtol=0)
    alone = [lm.forgetful().log_probs(batch, rows[k : k + 1], positions[k : k + 1]) for k in range(0, len(rows), 7)]
    assert torch.cat(alone).equal(found[::7])
