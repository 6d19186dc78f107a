"""Language models: protocols, adapters for transformers, and defaults that need no model hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textsearch.calls import told
from textsearch.kinds import nature, shown
from textsearch.models.checkpoints.limits import check_shared, check_token, max_tokens_of, positions
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.protocols import (
    CausalLM,
    ConditionalLM,
    Encoder,
    InstructedLM,
    MaskedLM,
    NextTokenLM,
    Scores,
    SuffixLM,
    Writer,
)

if TYPE_CHECKING:
    import torch

    from textsearch.models.autoencoder.lm import TextAutoencoder
    from textsearch.models.causal import TransformersCausalLM
    from textsearch.models.classifier import LinearClassifier, TransformersClassifier
    from textsearch.models.encoder import SentenceEncoder
    from textsearch.models.masked import TransformersMaskedLM
    from textsearch.models.ngram.lm import NgramLM
    from textsearch.models.right_to_left import RightToLeftLM
    from textsearch.models.seq2seq import TransformersSeq2Seq
    from textsearch.models.vocabulary import TokenizerVocabulary

__all__ = [
    "CausalLM",
    "ConditionalLM",
    "Encoder",
    "GuidedMaskedLM",
    "InstructedLM",
    "MaskedLM",
    "NextTokenLM",
    "Scores",
    "SuffixLM",
    "Writer",
    "adapted_causal_lm",
    "causal_lm",
    "masked_lm",
    "ngram_lm",
    "sentence_encoder",
    "seq2seq_lm",
    "text_autoencoder",
    "text_classifier",
]

_NO_LIMIT = 2**20  # tokens of a text


@told
def masked_lm(
    name_or_path: str | os.PathLike[str] | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    max_tokens: int | None = None,
    max_bytes: int = 2**28,
    trust_remote_code: bool = False,
) -> TransformersMaskedLM:
    """A masked language model; without a name, the English one that comes with this package.

    Args:
        name_or_path: a hub id or a folder with safetensors weights and a fast tokenizer.
        device: by default an accelerator if there is one, else the CPU.
        dtype: of the weights; by default float32.
        max_tokens: tokens in one forward pass; by default 512 on a CPU, where larger passes fall out of its caches,
            and 16,384 on an accelerator.
        max_bytes: memory for what was read before, and is not read again.
        trust_remote_code: run code that the checkpoint brings; never on by itself.

    Raises:
        ValueError: no such model, one that is not a masked language model, or one without safetensors.
    """
    from textsearch.models.checkpoints.arguments import check_loading

    check_loading(
        name_or_path,
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        max_tokens=max_tokens,
        max_bytes=max_bytes,
    )
    import torch
    from transformers import AutoModelForMaskedLM

    from textsearch.models.byte_level import keeps_texts
    from textsearch.models.masked import TransformersMaskedLM
    from textsearch.models.recipes import load, load_default_masked
    from textsearch.models.vocabulary import TokenizerVocabulary, packaged

    dtype = dtype or torch.float32
    if name_or_path is None:
        model, tokenizer = load_default_masked(device=device, dtype=dtype)
    else:
        model, tokenizer = load(
            AutoModelForMaskedLM, name_or_path, device=device, dtype=dtype, trust_remote_code=trust_remote_code
        )
    if tokenizer.mask_token_id is None:
        raise ValueError(f"the tokenizer of {str(name_or_path)!r} has no mask token; use a masked language model")
    special = tokenizer.num_special_tokens_to_add()
    longest = positions(model) - special
    vocabulary = TokenizerVocabulary(tokenizer, longest, leading_space=keeps_texts(tokenizer))
    vocabulary = packaged(vocabulary) if name_or_path is None else vocabulary
    return TransformersMaskedLM(model, vocabulary, max_tokens or max_tokens_of(model), max_bytes)


@told
def causal_lm(
    name_or_path: str | os.PathLike[str] | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    bos: int | None = None,
    eos: int | None = None,
    max_tokens: int | None = None,
    max_bytes: int = 2**30,
    trust_remote_code: bool = False,
) -> TransformersCausalLM:
    """A causal language model; without a name, SmolLM2-135M-Instruct, fetched once.

    Args:
        name_or_path: a hub id or a folder with safetensors weights and a fast tokenizer.
        device: by default an accelerator if there is one, else the CPU.
        dtype: of the weights; by default float32.
        bos: token id that texts begin after; by default the tokenizer's or the model's, or else the end token.
        eos: token id that ends texts; by default the tokenizer's or the model's.
        max_tokens: tokens in one forward pass; by default 512 on a CPU, where larger passes fall out of its caches,
            and 16,384 on an accelerator.
        max_bytes: memory for what was read before, and is not read again.
        trust_remote_code: run code that the checkpoint brings; never on by itself.

    Raises:
        ValueError: no such model, one without safetensors, or one without start and end tokens.
        RuntimeError: the default model is not there yet and cannot be fetched.
    """
    from textsearch.models.checkpoints.arguments import check_loading

    check_loading(
        name_or_path,
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        bos=bos,
        eos=eos,
        max_tokens=max_tokens,
        max_bytes=max_bytes,
    )
    import torch
    from transformers import AutoModelForCausalLM

    from textsearch.models.recipes import load

    if name_or_path is None:
        from textsearch.models.checkpoints.default import smollm2_folder

        name_or_path = smollm2_folder()
        # <|endoftext|>, what its pretraining texts began with: 4.18 nats a token on 150 Wikipedia sentences, where the
        # chat marker that the tokenizer names as its start gives 4.56. It ends a text with the tokenizer's own
        # <|im_end|> (5.9 nats after a plain sentence, where <|endoftext|> costs 14.6).
        bos = 0 if bos is None else bos
    model, tokenizer = load(
        AutoModelForCausalLM,
        name_or_path,
        device=device,
        dtype=dtype or torch.float32,
        trust_remote_code=trust_remote_code,
    )
    return _causal(model, tokenizer, str(name_or_path), bos, eos, max_tokens, max_bytes)


@told
def adapted_causal_lm(
    model: Any,
    tokenizer: Any,
    *,
    bos: int | None = None,
    eos: int | None = None,
    max_tokens: int | None = None,
    max_bytes: int = 2**30,
) -> TransformersCausalLM:
    """A causal language model of transformers that is loaded already, put in evaluation mode.

    Args:
        model: with its weights on their device.
        tokenizer: that belongs to it, a fast one.
        bos: token id that texts begin after; by default the tokenizer's or the model's, or else the end token.
        eos: token id that ends texts; by default the tokenizer's or the model's.
        max_tokens: tokens in one forward pass, as in `causal_lm`.
        max_bytes: memory for what was read before, and is not read again.

    Raises:
        TypeError: no such model, or no fast tokenizer.
        ValueError: a model without start and end tokens, or one that looks ahead.
    """
    if not all(hasattr(model, name) for name in ("config", "forward", "eval", "device")):
        raise TypeError(
            f"model={shown(model)} is {nature(model)}, not a model of transformers: load one with "
            "AutoModelForCausalLM.from_pretrained(name), or pass its name to causal_lm"
        )
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise TypeError(
            f"tokenizer={shown(tokenizer)} is {nature(tokenizer)}, not a fast tokenizer of transformers: load one with "
            "AutoTokenizer.from_pretrained(name)"
        )
    name = str(getattr(model.config, "_name_or_path", "") or type(model).__name__)
    return _causal(model.eval(), tokenizer, name, bos, eos, max_tokens, max_bytes)


def _causal(
    model: Any,
    tokenizer: Any,
    name: str,
    bos: int | None,
    eos: int | None,
    max_tokens: int | None,
    max_bytes: int,
) -> TransformersCausalLM:
    """A model and its tokenizer as one that the rest can ask, checked."""
    import torch

    from textsearch.models.causal import TransformersCausalLM
    from textsearch.models.reading.finite import check_finite
    from textsearch.models.vocabulary import TokenizerVocabulary

    ends = (eos, tokenizer.eos_token_id, getattr(model.config, "eos_token_id", None))
    eos = next((end for end in ends if isinstance(end, int)), None)
    starts = (bos, tokenizer.bos_token_id, getattr(model.config, "bos_token_id", None), eos)
    bos = next((start for start in starts if isinstance(start, int)), None)
    if bos is None or eos is None:
        raise ValueError(f"{name!r} names no start and end tokens: pass bos= and eos=")
    for token in (bos, eos):
        check_token(model, token, name)
    # both in one pass: to read the weights is what a pass over few tokens takes
    pairs = torch.tensor([[bos, 0], [bos, 1]], device=model.device)
    with torch.inference_mode():
        seen, changed = check_finite(model, model(input_ids=pairs).logits[:, 0].float(), "logits")
    if not torch.allclose(seen, changed, rtol=1e-3, atol=1e-3):
        raise ValueError(
            f"{name!r} looks ahead: what it says after the first token changes with the second; "
            "use a causal language model"
        )
    vocabulary = TokenizerVocabulary(tokenizer, positions(model) - 1)
    return TransformersCausalLM(model, vocabulary, bos, eos, max_tokens or max_tokens_of(model), max_bytes)


@told
def ngram_lm(
    folder: str | os.PathLike[str], *, vocabulary: TokenizerVocabulary | None = None
) -> NgramLM | RightToLeftLM:
    """An n-gram model that `training/ngram.py` wrote, mapped into memory.

    Args:
        folder: that of the model. One that was trained from right to left is given as a `RightToLeftLM`.
        vocabulary: of a model of the same tokens, to be shared, as moves need that take turns: `forward.vocabulary`.

    Raises:
        ValueError: it holds no such model, or one of other tokens.
    """
    from textsearch.checks import folder_name

    path = Path(folder_name("folder", folder))
    from textsearch.models.ngram.lm import NgramLM
    from textsearch.models.recipes import load_ngrams
    from textsearch.models.right_to_left import RightToLeftLM
    from textsearch.models.vocabulary import TokenizerVocabulary

    tables, tokenizer = load_ngrams(path)
    if vocabulary is not None:
        check_shared(vocabulary, tokenizer, _NO_LIMIT, path)
    lm = NgramLM(tables, vocabulary or TokenizerVocabulary(tokenizer, _NO_LIMIT))
    return RightToLeftLM(lm) if tables.settings.direction == "right_to_left" else lm


@told
def text_autoencoder(
    folder: str | os.PathLike[str] | None = None,
    *,
    vocabulary: TokenizerVocabulary | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    max_tokens: int | None = None,
    max_bytes: int = 2**28,
) -> TextAutoencoder:
    """A text autoencoder: all conditionals of a text in one pass; without a folder, the English one of this package.

    Args:
        folder: that of a model that `training/text_autoencoder.py` wrote.
        vocabulary: of a model of the same tokens, to be shared, so that one can judge what the other proposes:
            `masked_lm().vocabulary`. By default its own; all models of this package share one, so that they go
            together.
        device: by default an accelerator if there is one, else the CPU.
        dtype: of the weights; by default float32.
        max_tokens: tokens in one forward pass, as in `masked_lm`.
        max_bytes: memory for what was read before, and is not read again.

    Raises:
        ValueError: it holds no such model, or one of other tokens.
    """
    from textsearch.models.checkpoints.arguments import check_loading

    check_loading(
        folder, device=device, dtype=dtype, trust_remote_code=False, max_tokens=max_tokens, max_bytes=max_bytes
    )
    import torch

    from textsearch.models.autoencoder.lm import TextAutoencoder
    from textsearch.models.recipes import load_autoencoder
    from textsearch.models.vocabulary import TokenizerVocabulary, packaged

    name = None if folder is None else os.fspath(folder)
    network, tokenizer = load_autoencoder(name, device=device, dtype=dtype or torch.float32)
    longest = positions(network) - tokenizer.num_special_tokens_to_add()
    if vocabulary is not None:
        check_shared(vocabulary, tokenizer, longest, name or "of textsearch")
    else:
        vocabulary = TokenizerVocabulary(tokenizer, longest)
        vocabulary = packaged(vocabulary) if folder is None else vocabulary
    return TextAutoencoder(network, vocabulary, max_tokens or max_tokens_of(network), max_bytes)


@told
def seq2seq_lm(
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    start: int | None = None,
    eos: int | None = None,
    max_tokens: int = 2048,
    trust_remote_code: bool = False,
) -> TransformersSeq2Seq:
    """A sequence-to-sequence model, such as T5, mT5, BART or Marian: log p(text | source).

    Args:
        name_or_path: a hub id or a folder with safetensors weights and a fast tokenizer.
        device: by default an accelerator if there is one, else the CPU.
        dtype: of the weights; by default float32.
        start: token id that the decoder begins after; by default the one that the model names.
        eos: token id that ends texts; by default the tokenizer's or the model's.
        max_tokens: tokens in one forward pass, padding included: the bound on memory.
        trust_remote_code: run code that the checkpoint brings; never on by itself.

    Raises:
        ValueError: no such model, one without safetensors, of another kind, or without start and end tokens.
    """
    from textsearch.models.checkpoints.arguments import check_loading

    if name_or_path is None:
        raise TypeError("name_or_path=None: there is no default model of this kind; pass the name or folder of one")
    check_loading(
        name_or_path,
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        start=start,
        eos=eos,
        max_tokens=max_tokens,
    )
    import torch
    from transformers import AutoModelForSeq2SeqLM

    from textsearch.models.recipes import load
    from textsearch.models.seq2seq import TransformersSeq2Seq
    from textsearch.models.vocabulary import TokenizerVocabulary

    model, tokenizer = load(
        AutoModelForSeq2SeqLM,
        name_or_path,
        device=device,
        dtype=dtype or torch.float32,
        trust_remote_code=trust_remote_code,
    )
    settings = (model.config, getattr(model, "generation_config", None))
    starts = (start, *(getattr(own, "decoder_start_token_id", None) for own in settings))
    ends = (eos, tokenizer.eos_token_id, *(getattr(own, "eos_token_id", None) for own in settings))
    start = next((token for token in starts if isinstance(token, int)), None)
    eos = next((token for token in ends if isinstance(token, int)), None)
    if start is None or eos is None:
        raise ValueError(f"{str(name_or_path)!r} names no start and end tokens: pass start= and eos=")
    for token in (start, eos):
        check_token(model, token, name_or_path)
    longest = positions(model) - tokenizer.num_special_tokens_to_add() - 1
    return TransformersSeq2Seq(model, TokenizerVocabulary(tokenizer, longest), start, eos, max_tokens)


@told
def sentence_encoder(
    name_or_path: str | os.PathLike[str] | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    max_tokens: int = 4096,
    trust_remote_code: bool = False,
) -> SentenceEncoder:
    """A mean-pooling sentence encoder; without a name, all-MiniLM-L6-v2, fetched once.

    Args:
        name_or_path: a hub id or a folder with safetensors weights and a fast tokenizer.
        device: by default an accelerator if there is one, else the CPU.
        dtype: of the weights; by default float32.
        max_tokens: tokens in one forward pass, padding included: the bound on memory.
        trust_remote_code: run code that the checkpoint brings; never on by itself.

    Raises:
        ValueError: no such model, or one without safetensors.
        RuntimeError: the default model is not there yet and cannot be fetched.
    """
    from textsearch.models.checkpoints.arguments import check_loading

    check_loading(
        name_or_path,
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        max_tokens=max_tokens,
    )
    import torch
    from transformers import AutoModel

    from textsearch.models.encoder import SentenceEncoder
    from textsearch.models.recipes import load

    if name_or_path is None:
        from textsearch.models.checkpoints.default import minilm_folder

        name_or_path = minilm_folder()
    model, tokenizer = load(
        AutoModel, name_or_path, device=device, dtype=dtype or torch.float32, trust_remote_code=trust_remote_code
    )
    return SentenceEncoder(model, tokenizer, positions(model), max_tokens)


@told
def text_classifier(
    name_or_path: str | os.PathLike[str],
    *,
    encoder: Encoder | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    max_tokens: int = 4096,
    trust_remote_code: bool = False,
) -> TransformersClassifier | LinearClassifier:
    """A classifier of texts: a transformers sequence classifier, or what `LinearClassifier.save` wrote.

    Args:
        name_or_path: a hub id, a folder with safetensors weights and a fast tokenizer, or one of a linear classifier.
        encoder: that the linear classifier was fitted on; by default all-MiniLM-L6-v2.
        device: by default an accelerator if there is one, else the CPU.
        dtype: of the weights; by default float32.
        max_tokens: tokens in one forward pass, padding included: the bound on memory.
        trust_remote_code: run code that the checkpoint brings; never on by itself.

    Raises:
        ValueError: no such model, one that is no classifier, or one without safetensors.
    """
    from textsearch.models.checkpoints.arguments import check_loading

    if name_or_path is None:
        raise TypeError("name_or_path=None: there is no default model of this kind; pass the name or folder of one")
    check_loading(
        name_or_path,
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        max_tokens=max_tokens,
    )
    import torch
    from transformers import AutoModelForSequenceClassification

    from textsearch.models.classifier import LinearClassifier, TransformersClassifier, is_linear
    from textsearch.models.recipes import load

    if is_linear(name_or_path):
        return LinearClassifier.load(name_or_path, encoder or sentence_encoder(device=device))
    model, tokenizer = load(
        AutoModelForSequenceClassification,
        name_or_path,
        device=device,
        dtype=dtype or torch.float32,
        trust_remote_code=trust_remote_code,
    )
    names = model.config.id2label
    labels = tuple(str(names[number]) for number in range(model.config.num_labels))
    return TransformersClassifier(model, tokenizer, labels, positions(model), max_tokens)
