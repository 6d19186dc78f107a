"""Project onto the vocabulary only where it is asked for: the dearest matrix of a small model, on a few rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_GRAIN = 16
"""Hidden states are projected in multiples of this: products of fewer rows round differently with their number."""


def project(model: Any, rows: Tensor, columns: Tensor, **inputs: Any) -> Tensor:
    """(K, V) float32 logits of `model(**inputs)` at (`rows`, `columns`), each (K,), and nowhere else.

    Works for any transformers model with output embeddings: a hook picks the hidden states before they are projected.
    """
    count = len(rows)
    # the last place again and again, up to a full grain
    index = torch.arange(-(-count // _GRAIN) * _GRAIN, device=rows.device).clamp(max=count - 1)

    def pick(module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (arguments[0][rows[index], columns[index]], *arguments[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        logits: Tensor = model(**inputs).logits
    finally:
        handle.remove()
    return logits[:count].float()
