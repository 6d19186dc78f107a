"""Project onto the vocabulary only where it is asked for: the dearest matrix of a small model, on a few rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from textsearch.models.tiles import whole_blocks

_COLUMNS = 2048


def project(model: Any, rows: Tensor, columns: Tensor, **inputs: Any) -> Tensor:
    """(K, V) float32 logits of `model(**inputs)` at (`rows`, `columns`), each (K,), and nowhere else."""
    return logits_of(model, hidden_states(model, **inputs)[rows, columns])


def hidden_states(model: Any, **inputs: Any) -> Tensor:
    """(B, W, d) what `model(**inputs)` would multiply with its vocabulary: the pass ends at that door.

    Works for any transformers model with output embeddings.
    """

    def leave(module: Any, arguments: tuple[Tensor, ...]) -> None:
        raise _ReachedError(arguments[0])

    handle = model.get_output_embeddings().register_forward_pre_hook(leave)
    try:
        model(**inputs)
    except _ReachedError as reached:
        return reached.hidden
    finally:
        handle.remove()
    raise ValueError(f"{type(model).__name__} never used its output embeddings: it is no language model")


def logits_of(model: Any, hidden: Tensor) -> Tensor:
    """(K, V) float32 logits of (K, d) hidden states."""
    count = len(hidden)
    return _finished(model, model.get_output_embeddings()(hidden[whole_blocks(count, hidden.device)])[:count])


def logits_at(model: Any, hidden: Tensor, tokens: Tensor) -> Tensor:
    """(K,) float32 logit of `tokens[k]` for `hidden[k]`; its bits do not depend on the other rows."""
    head = model.get_output_embeddings()
    # a product for each row, not one for all: of few rows the latter rounds differently
    logits = (hidden * head.weight[tokens]).sum(-1)
    return _finished(model, logits if head.bias is None else logits + head.bias[tokens])


def log_sums(model: Any, hidden: Tensor, outputs: int) -> Tensor:
    """(K,) float32 log of the sum over the first `outputs` logits' exponentials, for (K, d) hidden states.

    Some columns at a time: the products are used up before they leave the processor's caches.
    """
    head = model.get_output_embeddings()
    count = len(hidden)
    hidden = hidden[whole_blocks(count, hidden.device)]
    parts = []
    for start in range(0, outputs, _COLUMNS):
        window = slice(start, min(start + _COLUMNS, outputs))
        bias = None if head.bias is None else head.bias[window]
        logits = torch.nn.functional.linear(hidden, head.weight[window], bias)
        parts.append(_finished(model, logits).logsumexp(-1))
    return torch.stack(parts, -1).logsumexp(-1)[:count]


def _finished(model: Any, logits: Tensor) -> Tensor:
    """What some families do with their logits after the product."""
    logits, config = logits.float(), model.config
    if scale := getattr(config, "logit_scale", None):
        logits = logits * scale
    if divisor := getattr(config, "logits_scaling", None):
        logits = logits / divisor
    if cap := getattr(config, "final_logit_softcapping", None):
        logits = cap * torch.tanh(logits / cap)
    return logits


class _ReachedError(Exception):
    """Carries hidden states out of a forward pass."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden
