"""Load a transformers checkpoint the same careful way everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from textsearch.models.characters import character_tokenizer, is_character_level
from textsearch.models.quiet import quiet


def load(
    auto_class: Any,
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str | None,
    dtype: torch.dtype,
    trust_remote_code: bool,
) -> tuple[Any, Any]:
    """The model, in evaluation mode on its device, and its tokenizer; safetensors only.

    Raises:
        ValueError: no such model, one of another kind, or one without safetensors or without a fast tokenizer.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

    name = str(name_or_path)
    try:
        with quiet():
            tokenizer = load_tokenizer(name, trust_remote_code)
            config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
            model, report = auto_class.from_pretrained(
                name,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
            )
    except (OSError, ValueError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0]
        if first.startswith("Unrecognized configuration class") and (loader := right_loader(name)):
            hint = f"it is a model of another kind: load it with {loader}()"
        elif Path(name).is_dir():
            hint = "the folder must hold config.json, model.safetensors and tokenizer files"
        else:
            hint = "pass the path of a folder, or the id of a model that this machine can reach"
        raise ValueError(f"cannot load the model {name!r}: {first} -- {hint}") from error
    if getattr(config, "is_encoder_decoder", False) and auto_class in (
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForMaskedLM,
    ):
        raise ValueError(
            f"{name!r} has an encoder and a decoder, and half of it would not be used: load it with seq2seq_lm()"
        )
    # the pooler of a bare encoder is never asked: sentence vectors are means
    unused = ("pooler.",) if auto_class is AutoModel else ()
    if missing := sorted(key for key in report["missing_keys"] if not key.startswith(unused)):
        raise ValueError(
            f"{name!r} has no weights for {', '.join(missing[:3])}: it is not a {auto_class.__name__} checkpoint, and "
            "its answers would be random; use a model trained for this task"
        )
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"{name!r} has no fast tokenizer (tokenizer.json); save one next to the weights")
    return model.to(pick_device(device)).eval().requires_grad_(False), tokenizer


def load_tokenizer(name: str, trust_remote_code: bool) -> Any:
    """The checkpoint's own tokenizer; where a folder holds nothing but a `vocab.txt`, characters or WordPiece."""
    from transformers import AutoTokenizer, BertTokenizerFast

    folder = Path(name)
    if (folder / "vocab.txt").exists() and not any(
        (folder / f"tokenizer{end}").exists() for end in (".json", "_config.json")
    ):
        pieces = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
        return character_tokenizer(pieces) if is_character_level(pieces) else BertTokenizerFast.from_pretrained(name)
    return AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)


def right_loader(name: str) -> str | None:
    """Which of `textsearch.models` loads a checkpoint of this kind, if any does."""
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto

    kind = type(AutoConfig.from_pretrained(name))
    # some kinds can be loaded in several ways; the first is what they were trained as
    for loader, kinds in (
        ("seq2seq_lm", modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING),
        ("masked_lm", modeling_auto.MODEL_FOR_MASKED_LM_MAPPING),
        ("causal_lm", modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING),
    ):
        if kind in kinds:
            return loader
    return None


def first_position(model: Any) -> int:
    """The number of a text's first position: 0, but RoBERTa and its kin count from behind the padding token's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.padding_idx) + 1
    return 0


def pick_device(device: torch.device | str | None) -> torch.device:
    """The device asked for, else an accelerator if there is one, else the CPU."""
    if device is not None:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")
