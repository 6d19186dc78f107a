"""Tiny random checkpoints, written to a folder and loaded as any other: what the tests of the adapters run on."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, final

import pytest
import torch
from torch import Tensor

from textsearch.models import causal_lm, masked_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.checkpoints.silence import silenced
from textsearch.models.masked import TransformersMaskedLM

_TEXT = """
the a an dog dogs cat cats sat ran runs saw ate on in at to of and or so but not it is was he she we they i
you old big red hot cold day night today house mat road two three london paris monday good bad very well known
up don here there what who said yes no man woman tree
"""
WORDS = _TEXT.split()
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PUNCTUATION = list(".,!?'\"-:;()$%")
PIECES = [*SPECIALS, "[unused0]", *string.ascii_lowercase, *string.digits, *PUNCTUATION, *WORDS]
PIECES += [f"##{letter}" for letter in string.ascii_lowercase + string.digits] + ["##ed", "##ing", "##ly"]
PIECES = list(dict.fromkeys(PIECES))

TEXTS = [
    "The dog sat on the mat.",
    "",
    "No!",
    "A red cat ran, and the old dog saw it; it was hot in London.",
    "dog",
    "The dog sat on the mat.",
    "I don't know what he said.",
    "They walked slowly to the well-known house (in Paris).",
    "The cat",
    "We saw 3 dogs and 12 cats on Monday.",
]
"""Of 0 to 19 tokens, one of them twice."""

CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"
FEW = ["dog", "cat", "the", "sat", "old", "red", "ran", "and"]


@final
@dataclass(frozen=True)
class Tiny:
    """Folders with checkpoints, each a random model of 2 layers with 32 hidden units.

    Attributes:
        masked_path: a BERT of 62 tokens at most, with a lower-casing WordPiece tokenizer.
        causal_path: a Llama of 64 tokens at most, with a byte-level tokenizer that can write any text.
        words_path: a Llama that writes 8 words and an end token, which is its start token too; texts and token
            sequences correspond one to one.
    """

    masked_path: Path
    causal_path: Path
    words_path: Path

    def masked(self, **settings: Any) -> TransformersMaskedLM:
        """A fresh adapter."""
        return masked_lm(self.masked_path, device="cpu", **settings)

    def causal(self, **settings: Any) -> TransformersCausalLM:
        """A fresh adapter, with nothing remembered."""
        return causal_lm(self.causal_path, device="cpu", **settings)

    def words(self, **settings: Any) -> TransformersCausalLM:
        """A fresh adapter of the model of few words."""
        return causal_lm(self.words_path, device="cpu", **settings)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The checkpoints, written once a session."""
    return _write(tmp_path_factory.getbasetemp() / "tiny")


@cache
def _write(folder: Path) -> Tiny:
    paths = folder / "masked", folder / "causal", folder / "words"
    save(paths[0], bert(len(PIECES)), wordpiece_tokenizer())
    tokenizer = byte_tokenizer()
    save(paths[1], llama(len(tokenizer)), tokenizer)
    tokenizer = word_tokenizer(FEW)
    save(paths[2], llama(len(tokenizer), spread=0.12), tokenizer)
    return Tiny(*paths)


def save(folder: Path, model: Any, tokenizer: Any) -> Path:
    """Both in one folder, the weights as safetensors."""
    with silenced():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def bert(size: int, **config: Any) -> Any:
    """A random BERT; its output bias is random too."""
    from transformers import BertConfig, BertForMaskedLM

    model = seeded(BertForMaskedLM, BertConfig(**shape(size, **{"max_position_embeddings": 64, **config})))
    generator = torch.Generator().manual_seed(1)
    model.cls.predictions.bias.data = torch.randn(size, generator=generator)
    return model


def llama(size: int, spread: float = 0.3, end: int | None = 0) -> Any:
    """A random Llama; `spread` is the standard deviation of its weights, `end` its start and end token."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = shape(size, initializer_range=spread, num_key_value_heads=2, max_position_embeddings=64)
    return seeded(LlamaForCausalLM, LlamaConfig(**config, bos_token_id=end, eos_token_id=end))


def seeded(model_class: Any, config: Any) -> Any:
    """A random model, the same each time."""
    with torch.random.fork_rng(), silenced():
        torch.manual_seed(0)
        return model_class(config)


def shape(size: int, **config: Any) -> dict[str, Any]:
    """Settings of a model of `size` tokens; weights as large as these make all conditionals depend on all around."""
    layers = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return {"vocab_size": size, "initializer_range": 0.3, **layers, **config}


def wordpiece_tokenizer(pieces: Sequence[str] = PIECES, *, lower: bool = True) -> Any:
    """A BERT tokenizer."""
    from transformers import BertTokenizerFast

    return BertTokenizerFast(vocab={piece: index for index, piece in enumerate(pieces)}, do_lower_case=lower)


def byte_tokenizer(mask: str | None = None, *, ascii_alone: bool = False) -> Any:
    """Byte-level pairs, a chat template, and one token that starts, ends and pads; a masked model's with a `mask`.

    Of a vocabulary of `ascii_alone` no token is a part of a character.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|end|>", *([mask] if mask else [])],
        initial_alphabet=[
            sign for sign in pre_tokenizers.ByteLevel.alphabet() if not ascii_alone or sign.isascii() or sign in "ĠĊ"
        ],
        show_progress=False,
    )
    tokenizer.train_from_iterator([*TEXTS, " ".join(WORDS)] * 2, trainer)
    names = {"bos_token": "<|end|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
    if mask:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|end|> $A <|end|>", special_tokens=[("<|end|>", 0)]
        )
        names["mask_token"] = mask
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=CHAT, **names)


def byte_masked(folder: Path) -> Path:
    """A random masked model of byte-level pairs."""
    tokenizer = byte_tokenizer("<gap>")
    return save(folder, bert(len(tokenizer)), tokenizer)


def word_tokenizer(words: Sequence[str], **specials: str) -> Any:
    """Words between spaces; token 0 starts and ends, unless `specials` say otherwise."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["</s>", *words, "<other>"]
    tokenizer: Any = Tokenizer(models.WordLevel({word: i for i, word in enumerate(pieces)}, unk_token="<other>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    specials = specials or {"bos_token": "</s>", "eos_token": "</s>", "pad_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **specials)


def shuffled(count: int, seed: int = 0) -> Tensor:
    """(count,) a fixed random order."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def every_position(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and positions of all tokens of a batch, (K,) each."""
    pairs = [(row, place) for row, length in enumerate(lengths.tolist()) for place in range(length)]
    rows, places = torch.tensor(pairs).unbind(1)
    return rows, places


def tiny_encoder(folder: Path) -> Path:
    """A random sentence encoder."""
    from transformers import BertConfig, BertModel

    config = BertConfig(**shape(len(PIECES), max_position_embeddings=64))
    return save(folder, seeded(BertModel, config), wordpiece_tokenizer())


def roomy_causal(folder: Path, *, ascii_alone: bool = False) -> Path:
    """A random causal model with room for a request."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer(ascii_alone=ascii_alone)
    config = shape(len(tokenizer), num_key_value_heads=2, max_position_embeddings=4096)
    model = seeded(LlamaForCausalLM, LlamaConfig(**config, bos_token_id=0, eos_token_id=0))
    return save(folder, model, tokenizer)
