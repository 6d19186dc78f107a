"""Project onto the vocabulary only where it is asked for: the most expensive matrix of a small model, on a few rows.

Whatever the weights are in, this product and all that follows is in float32: in bfloat16 the logit of a token and the
sum over all would be rounded apart, by up to .1 nats, and a probability could be above 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from textsearch.models.reading.finite import check_finite, wide
from textsearch.models.reading.hooks import hooked
from textsearch.models.reading.length_buckets import whole_blocks
from textsearch.models.reading.threads import abreast, count_of, even

Found = TypeVar("Found")

_COLUMNS = 1024


def project(model: Any, rows: Tensor, columns: Tensor, **inputs: Any) -> Tensor:
    """(K, V) float32 logits of `model(**inputs)` at (`rows`, `columns`), each (K,), and nowhere else."""
    return logits_of(model, hidden_states(model, **inputs)[rows, columns])


def hidden_states(model: Any, **inputs: Any) -> Tensor:
    """(B, W, d) what `model(**inputs)` would multiply with its vocabulary: the pass ends at that door.

    Works for any transformers model with output embeddings.
    """

    def leave(arguments: tuple[Tensor, ...]) -> None:
        raise _ReachedError(arguments[0])

    try:
        hooked(model.get_output_embeddings(), leave, lambda: model(**inputs))
    except _ReachedError as reached:
        return reached.hidden
    raise ValueError(f"{type(model).__name__} never used its output embeddings: it is no language model")


def logits_of(model: Any, hidden: Tensor) -> Tensor:
    """(K, V) float32 logits of (K, d) hidden states.

    Raises:
        ValueError: they are nan or infinite; a token may have -inf, as long as another has not.
    """
    head, count = model.get_output_embeddings(), len(hidden)
    hidden = hidden[whole_blocks(count, hidden.device)]
    parts = _by_columns(len(head.weight), hidden, lambda window: _finished(model, _product(head, hidden, window)))
    logits = torch.cat(parts, -1)[:count]
    # the largest is nan where any is
    check_finite(model, logits.detach().amax(-1), "logits")
    return logits


def log_probs_of(model: Any, hidden: Tensor, outputs: int) -> Tensor:
    """(K, outputs) float32 log-probabilities of the first tokens, for (K, d) hidden states.

    Raises:
        ValueError: as `logits_of`.
    """
    logits = logits_of(model, hidden)[:, :outputs]
    rows = even(len(logits), count_of(hidden.device))
    return torch.cat(abreast([partial(logits[part].log_softmax, -1) for part in rows]))


def _by_columns(size: int, hidden: Tensor, made: Callable[[slice], Found]) -> list[Found]:
    """What is `made` of some columns at a time of `size`, on several threads: each reads its own part of the matrix."""
    windows = _windows(size)

    def several(part: slice) -> list[Found]:
        return [made(window) for window in windows[part]]

    found = abreast([partial(several, part) for part in even(len(windows), count_of(hidden.device))])
    return [one for part in found for one in part]


def logits_at(model: Any, hidden: Tensor, tokens: Tensor) -> Tensor:
    """(K,) float32 logit of `tokens[k]` for `hidden[k]`; its bits do not depend on the other rows."""
    head = model.get_output_embeddings()
    # a product for each row, not one for all: of few rows the latter rounds differently
    logits = (wide(hidden) * wide(head.weight[tokens])).sum(-1)
    return _finished(model, logits if head.bias is None else logits + wide(head.bias[tokens]))


def log_sums(model: Any, hidden: Tensor, outputs: int) -> Tensor:
    """(K,) float32 log of the sum over the first `outputs` logits' exponentials, for (K, d) hidden states.

    Some columns at a time: the products are used up before they leave the processor's caches.

    Raises:
        ValueError: a logit is nan or +inf, or all are -inf.
    """
    head = model.get_output_embeddings()
    count = len(hidden)
    hidden = hidden[whole_blocks(count, hidden.device)]
    parts = _by_columns(outputs, hidden, lambda window: _finished(model, _product(head, hidden, window)).logsumexp(-1))
    return check_finite(model, torch.stack(parts, -1).logsumexp(-1)[:count], "logits")


def log_prob(logit: Tensor, log_sum: Tensor) -> Tensor:
    """float64 log-probabilities of tokens with these logits; rounding lifts none above 0."""
    return (logit.double() - log_sum.double()).clamp(max=0.0)


def _windows(size: int) -> list[slice]:
    return [slice(start, min(start + _COLUMNS, size)) for start in range(0, size, _COLUMNS)]


def _product(head: Any, hidden: Tensor, window: slice) -> Tensor:
    """(K, C) of the columns in `window`, in float32 at least."""
    bias = None if head.bias is None else wide(head.bias[window])
    return torch.nn.functional.linear(wide(hidden), wide(head.weight[window]), bias)


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
