"""Sentence encoders: vectors are the means of a plain pass, however rows are put together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.tiny import PIECES, TEXTS, save, seeded, shape, shuffled, tiny_encoder, wordpiece_tokenizer
from textsearch.models import sentence_encoder
from textsearch.models.encoder import SentenceEncoder
from textsearch.models.reading.packing import read_rows
from textsearch.models.usage import Usage


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    return sentence_encoder(tiny_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")


def by_hand(encoder: SentenceEncoder, text: str) -> Tensor:
    """The mean of a plain pass over one text."""
    with torch.inference_mode():
        hidden = encoder.model(**encoder.tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    return torch.nn.functional.normalize(hidden.mean(0), dim=0)


def test_vectors_are_means_of_a_plain_pass(encoder: SentenceEncoder) -> None:
    found = encoder.encode(TEXTS)
    assert encoder._flat
    torch.testing.assert_close(found, torch.stack([by_hand(encoder, text) for text in TEXTS]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("max_tokens", [1, 16, 40, 4096])
def test_neither_company_nor_passes_change_a_bit(encoder: SentenceEncoder, max_tokens: int) -> None:
    found = encoder.encode(TEXTS)
    other = replace(encoder, max_tokens=max_tokens)
    order = shuffled(len(TEXTS)).tolist()
    assert other.encode([TEXTS[i] for i in order]).equal(found[order])
    assert torch.cat([other.encode([text]) for text in TEXTS]).equal(found)


def test_means_that_run_into_the_next_row_are_caught(encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textsearch.models.encoder.read_rows", lambda *given: read_rows(*given).roll(1, 0))
    apart = (encoder.encode(TEXTS) - torch.stack([by_hand(encoder, text) for text in TEXTS])).abs().amax(1)
    assert (apart > 1e-2).float().mean() > 0.5


def test_few_tokens_of_a_pass_are_padding(encoder: SentenceEncoder) -> None:
    usage = Usage()
    replace(encoder, usage=usage).encode(TEXTS * 10)
    assert usage.rows == 10 * len(TEXTS)
    assert usage.padding < 16 * usage.passes


def test_models_that_know_no_flat_rows_are_read_padded(tmp_path: Path) -> None:
    from transformers import DebertaV2Config, DebertaV2Model

    config = DebertaV2Config(**shape(len(PIECES)), relative_attention=True, pos_att_type=["p2c", "c2p"])
    own = save(tmp_path, seeded(DebertaV2Model, config), wordpiece_tokenizer())
    encoder = sentence_encoder(own, device="cpu")
    found = encoder.encode(TEXTS)
    assert not encoder._flat
    torch.testing.assert_close(found, torch.stack([by_hand(encoder, text) for text in TEXTS]), atol=1e-5, rtol=0)


def test_out_of_memory_halves_the_passes(encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = encoder.encode(TEXTS)

    def small(model: Any, rows: Any, reader: Any) -> Tensor:
        if sum(map(len, rows)) > 40:
            raise torch.OutOfMemoryError("out of memory")
        return read_rows(model, rows, reader)

    monkeypatch.setattr("textsearch.models.encoder.read_rows", small)
    other = replace(encoder, max_tokens=128)
    with pytest.warns(RuntimeWarning, match="did not fit"):
        assert other.encode(TEXTS).equal(found)
    assert other.budget.most == 32


def test_no_texts(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, 32)


@pytest.mark.parametrize("flat", [True, False])
def test_a_text_of_no_tokens_has_a_vector(encoder: SentenceEncoder, flat: bool) -> None:
    class Bare:
        pad_token_id = 0

        def __call__(self, texts: list[str], **settings: Any) -> dict[str, list[list[int]]]:
            return {"input_ids": [[5] * len(text) for text in texts]}

    other = replace(encoder, tokenizer=Bare())
    other.__dict__["_flat"] = flat
    found = other.encode(["ab", "", "c"])
    assert found.isfinite().all() and len(found) == 3
