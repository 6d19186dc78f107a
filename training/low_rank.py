"""Low-rank adapters that learn (LoRA; Hu et al., 2022): a frozen linear map, and beside it a product of two."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


class LowRank(nn.Module):
    """x -> W x + scale * B (A x), with W as it was; B begins at zero, so that nothing is changed at first.

    Args:
        linear: W.
        rank: rows of A.
        scale: of what is added.
    """

    def __init__(self, linear: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), scale
        bound = 1.0 / math.sqrt(linear.in_features)
        self.a = nn.Parameter(torch.empty(rank, linear.in_features).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        beside = (x @ self.a.T.to(x.dtype)) @ self.b.T.to(x.dtype)
        return torch.add(self.linear(x), beside, alpha=self.scale)


def adapt(model: Any, rank: int, scale: float) -> dict[str, LowRank]:
    """Put adapters beside all linear maps of a model's layers, and freeze all else; returns them by name."""
    model.requires_grad_(False)
    found: dict[str, LowRank] = {}
    for name, module in list(model.named_modules()):
        for child, linear in list(module.named_children()):
            if isinstance(linear, nn.Linear) and ".layers." in f".{name}.":
                found[f"{name}.{child}"] = LowRank(linear, rank, scale)
                setattr(module, child, found[f"{name}.{child}"])
    return found


def save(adapters: dict[str, LowRank], folder: Path, base: str) -> None:
    """Write adapters as the package peft does: `adapter_config.json` and `adapter_model.safetensors`, float16."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors, one = {}, next(iter(adapters.values()))
    for name, adapter in adapters.items():
        for letter, weight in (("A", adapter.a), ("B", adapter.b)):
            key = f"base_model.model.{name}.lora_{letter}.weight"
            tensors[key] = weight.detach().to(torch.float16).contiguous()
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": len(one.a),
        "lora_alpha": one.scale * len(one.a),
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "target_modules": sorted({name.rpartition(".")[2] for name in adapters}),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
