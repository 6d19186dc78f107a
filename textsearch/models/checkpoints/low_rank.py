"""Low-rank adapters (LoRA; Hu et al., 2022) in the format of peft, added to the weights that they belong to.

A folder holds `adapter_config.json`, which names the model beneath, and `adapter_model.safetensors`, two thin matrices
A (r, in) and B (out, r) for each weight W (out, in) that changes. The sum W + alpha / r * B A is worked out once, so
that an adapted model reads as fast as the one beneath.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_BEFORE, _A, _B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
_PLAIN = {"bias": "none", "fan_in_fan_out": False, "use_dora": False, "rank_pattern": {}, "alpha_pattern": {}}
"""Settings that are read at these values alone."""


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def settings(folder: Path) -> dict[str, Any]:
    """What `adapter_config.json` says.

    Raises:
        ValueError: it cannot be read, names no model beneath, or is of another kind of adapter.
    """
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind, base, rank = found["peft_type"], found["base_model_name_or_path"], found["r"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"cannot load the adapter {str(folder)!r}: {CONFIG} does not say peft_type, base_model_name_or_path and r "
            f"({type(error).__name__}: {error}); save it with peft's save_pretrained"
        ) from error
    if kind != "LORA" or not isinstance(base, str) or not base or not isinstance(rank, int) or rank < 1:
        raise ValueError(
            f"cannot load the adapter {str(folder)!r}: peft_type={kind!r}, base_model_name_or_path={base!r}, "
            f"r={rank!r}; only LORA adapters that name the model beneath are read: merge others with peft's "
            "merge_and_unload"
        )
    if is_adapter(Path(base)):
        raise ValueError(
            f"cannot load the adapter {str(folder)!r}: base_model_name_or_path={base!r} is an adapter too; merge that "
            "one with peft's merge_and_unload, and name the whole model"
        )
    for name, plain in _PLAIN.items():
        if (value := found.get(name) or plain) != plain:
            raise ValueError(
                f"cannot load the adapter {str(folder)!r}: {name}={value!r} is not read here; merge it with peft's "
                "merge_and_unload, and pass the folder of the whole model"
            )
    return dict(found)


def merge(model: Any, folder: Path) -> None:
    """Add an adapter to the weights of the model beneath it, in place.

    Raises:
        ValueError: the adapter cannot be read, or belongs to another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    said = settings(folder)
    rank, alpha = said["r"], float(said.get("lora_alpha") or said["r"])
    scale = alpha / (math.sqrt(rank) if said.get("use_rslora") else rank)
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"cannot load the adapter {str(folder)!r}: {error}; fetch or save it again") from error
    names = sorted(key.removeprefix(_BEFORE).removesuffix(_A) for key in tensors if key.endswith(_A))
    used = {_BEFORE + name + end for name in names for end in (_A, _B)}
    if not names or used != tensors.keys():
        odd = sorted(used ^ tensors.keys())[:1] or ["nothing"]
        raise ValueError(
            f"cannot load the adapter {str(folder)!r}: {WEIGHTS} should hold pairs of lora_A and lora_B, and has or "
            f"lacks {odd[0]!r}; merge it with peft's merge_and_unload"
        )
    weights = dict(model.named_parameters())
    for name in names:
        a, b = tensors[_BEFORE + name + _A], tensors[_BEFORE + name + _B]
        weight = weights.get(f"{name}.weight")
        if weight is None or weight.shape != (len(b), a.shape[1]) or len(a) != rank or b.shape[1] != rank:
            shape = None if weight is None else tuple(weight.shape)
            raise ValueError(
                f"cannot load the adapter {str(folder)!r}: it changes {name!r} by {tuple(b.shape)} x {tuple(a.shape)}, "
                f"and the model {said['base_model_name_or_path']!r} has {shape} there; pass the adapter of this model"
            )
        with torch.no_grad():
            added = scale * (b.to(torch.float32) @ a.to(torch.float32))
            weight.add_(added.to(weight.device, weight.dtype))
