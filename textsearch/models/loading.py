"""Load a transformers checkpoint the same careful way everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

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
        ValueError: no such model, or one without safetensors or without a fast tokenizer.
    """
    name = str(name_or_path)
    try:
        with quiet():
            tokenizer = load_tokenizer(name, trust_remote_code)
            model, report = auto_class.from_pretrained(
                name,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
            )
    except (OSError, ValueError, SafetensorError) as error:
        found = Path(name).is_dir()
        hint = (
            "the folder must hold config.json, model.safetensors and tokenizer files"
            if found
            else "pass the path of a folder, or the id of a model that this machine can reach"
        )
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"cannot load the model {name!r}: {first} -- {hint}") from error
    if missing := sorted(report["missing_keys"]):
        raise ValueError(
            f"{name!r} has no weights for {', '.join(missing[:3])}: it is not a {auto_class.__name__} checkpoint, and "
            "its answers would be random; use a model trained for this task"
        )
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"{name!r} has no fast tokenizer (tokenizer.json); save one next to the weights")
    return model.to(pick_device(device)).eval().requires_grad_(False), tokenizer


def load_tokenizer(name: str, trust_remote_code: bool) -> Any:
    """The checkpoint's own tokenizer, or WordPiece where a folder holds nothing but a `vocab.txt`."""
    from transformers import AutoTokenizer, BertTokenizerFast

    folder = Path(name)
    if (folder / "vocab.txt").exists() and not any(
        (folder / f"tokenizer{end}").exists() for end in (".json", "_config.json")
    ):
        return BertTokenizerFast.from_pretrained(name)
    return AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)


def pick_device(device: torch.device | str | None) -> torch.device:
    """The device asked for, else an accelerator if there is one, else the CPU."""
    if device is not None:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")
