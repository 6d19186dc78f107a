"""Tiny random sequence-to-sequence checkpoints, one of each family, over the byte-level tokenizer of `tiny`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.models.tiny import byte_tokenizer, save, seeded
from textsearch.models import seq2seq_lm
from textsearch.models.seq2seq import TransformersSeq2Seq

FAMILIES = ["t5", "mt5", "bart", "marian"]


def t5(size: int, family: str = "T5", spread: float = 2.0) -> Any:
    """A random T5 or MT5 with positions counted relatively, and a few outputs that are no tokens."""
    import transformers

    config = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "initializer_factor": spread}
    config |= {"tie_word_embeddings": True, "vocab_size": size + 5}
    return seeded(
        getattr(transformers, f"{family}ForConditionalGeneration"),
        getattr(transformers, f"{family}Config")(**config, decoder_start_token_id=0, pad_token_id=0, eos_token_id=0),
    )


def bart(size: int, family: str = "Bart", model: str = "BartForConditionalGeneration") -> Any:
    """A random BART, or another of its build, of 64 positions."""
    import transformers

    config: dict[str, Any] = {"d_model": 32, "max_position_embeddings": 64, "init_std": 0.3, "vocab_size": size}
    for half in ("encoder", "decoder"):
        config |= {f"{half}_layers": 2, f"{half}_attention_heads": 4, f"{half}_ffn_dim": 48}
    special = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0}
    return seeded(getattr(transformers, model), getattr(transformers, f"{family}Config")(**config, **special))


def random_model(family: str, size: int) -> Any:
    """One of the `FAMILIES`."""
    if family.endswith("t5"):
        return t5(size) if family == "t5" else t5(size, "MT5", spread=0.7)
    return bart(size) if family == "bart" else bart(size, "Marian", "MarianMTModel")


@cache
def folder(base: Path, family: str) -> Path:
    """The checkpoint of a family, written once a session."""
    tokenizer = byte_tokenizer()
    return save(base / family, random_model(family, len(tokenizer)), tokenizer)


@pytest.fixture(params=FAMILIES)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each family."""
    return folder(tmp_path_factory.getbasetemp() / "seq2seq", request.param)


@pytest.fixture
def bart_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the BART."""
    return folder(tmp_path_factory.getbasetemp() / "seq2seq", "bart")


def load(path: Path, **settings: Any) -> TransformersSeq2Seq:
    """A fresh adapter, with nothing remembered."""
    return seq2seq_lm(path, device="cpu", **settings)
