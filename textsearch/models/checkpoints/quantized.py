"""Masked language models packed small: matrices as int8 rows with a scale each, everything else as it was.

Row-wise absolute-maximum quantisation (Dettmers et al., "LLM.int8()", 2022), undone when the model loads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textsearch.models.checkpoints.silence import silenced

_SCALE = ".row_scale"


def pack(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each floating matrix as int8 rows and float32 scales; vectors as float32.

    >>> small = pack({"w": torch.tensor([[1.0, -0.5], [0.0, 0.0]]), "b": torch.tensor([0.25])})
    >>> small["w"].dtype, unpack(small)["w"].round(decimals=2).tolist()
    (torch.int8, [[1.0, -0.5], [0.0, 0.0]])
    """
    packed = {}
    for name, value in state.items():
        if value.ndim == 2:
            scale = value.float().abs().amax(1).clamp(min=1e-12) / 127
            packed[name] = (value.float() / scale[:, None]).round().to(torch.int8)
            packed[name + _SCALE] = scale
        else:
            packed[name] = value.float()
    return packed


def unpack(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """The float32 tensors that `pack` was given, to within half a step of each row's scale."""
    return {
        name: value.float() * packed[name + _SCALE][:, None] if value.dtype == torch.int8 else value
        for name, value in packed.items()
        if not name.endswith(_SCALE)
    }


def load_packed(folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """The packed BERT model in `folder`, in evaluation mode, and its tokenizer."""
    from safetensors.torch import load_file
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    with silenced():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = BertForMaskedLM(BertConfig.from_pretrained(folder))
    state = unpack(load_file(folder / "model.safetensors"))
    missing = set(model.load_state_dict(state, strict=False).missing_keys)
    # the projection shares the matrix and the bias that are there under another name
    if left := missing - {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}:
        raise ValueError(f"{folder} has no weights for {sorted(left)[:3]}: the package is damaged, install it again")
    model.tie_weights()
    return model.to(dtype=dtype).eval().requires_grad_(False), tokenizer
