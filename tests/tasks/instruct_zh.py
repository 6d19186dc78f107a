"""Tiny random checkpoints of the architectures that `--lang zh` fetches: Qwen2 with a chat template, and BERT."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.models.tiny import CHAT, bert, save, seeded, shape, wordpiece_tokenizer
from tests.tasks.chinese import CHARACTERS, Chinese
from textsearch.models.checkpoints.characters import SPECIALS

_LATIN = "abcdefghijklmnopqrstuvwxyz0123456789"
_TEXTS = [
    "春天的公园里有很多孩子。",
    "一个学生在学校学数学。",
    "用这些词写一个短句：河流、山区",
    "春天公园孩子河流山区学校学生",
]


@pytest.fixture(scope="session")
def instruct_zh(tmp_path_factory: pytest.TempPathFactory) -> Chinese:
    """The checkpoints, written once a session."""
    return _write(tmp_path_factory.getbasetemp() / "instruct_zh")


@cache
def _write(folder: Path) -> Chinese:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    own = dict.fromkeys(CHARACTERS.lower() + _LATIN)
    # as Google's: each Chinese character once as a word, and once as a part of one that no text is spelt with
    pieces = [*SPECIALS.values(), *own, *(f"##{one}" for one in own if one.isalnum())]
    masked = save(folder / "masked", bert(len(pieces), max_position_embeddings=128), wordpiece_tokenizer(pieces))
    tokenizer = _qwen_tokenizer()
    config = shape(len(tokenizer) + 8, num_key_value_heads=2, max_position_embeddings=4096)
    # as Qwen's, which has more rows than tokens
    model = seeded(Qwen2ForCausalLM, Qwen2Config(**config, bos_token_id=0, eos_token_id=0))
    return Chinese(masked, save(folder / "causal", model, tokenizer))


def _qwen_tokenizer() -> Any:
    """Byte-level pairs, some of them of several characters; nothing starts a text, and a turn has an end."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXTS * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=CHAT, eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
