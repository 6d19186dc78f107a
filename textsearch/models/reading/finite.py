"""What a model says must be numbers: a nan or an infinite logit is an error, not a text without probability."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def name_of(model: Any) -> str:
    """The path or id that a model was loaded from, else its class."""
    return str(getattr(model, "name_or_path", "") or type(model).__name__)


def check_finite(model: Any, numbers: Tensor, what: str) -> Tensor:
    """`numbers` that `model` gave, as they are.

    Raises:
        ValueError: one is nan or infinite; the message names the model, the reason and the remedy.
    """
    if not bool(numbers.isfinite().all()):
        raise ValueError(f"the model {name_of(model)!r} gave {what} that are nan or infinite: {_reason(model)}")
    return numbers


def unsound_weights(model: Any) -> list[str]:
    """The names of weights that hold nan or inf."""
    # a sum shows both, and is cheap; of half precision it would overflow by itself
    return [
        name
        for name, weight in model.named_parameters()
        if weight.is_floating_point()
        and not bool(weight.detach().sum(dtype=_wider(weight.dtype)).isfinite())
        and not bool(weight.detach().isfinite().all())
    ]


def wide(numbers: Tensor) -> Tensor:
    """As float32 at least: what a sum over a vocabulary is made of must not be rounded to 8 or 11 bits before."""
    return numbers.to(_wider(numbers.dtype))


def _wider(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.itemsize >= torch.float32.itemsize else torch.float32


def _reason(model: Any) -> str:
    if bad := unsound_weights(model):
        return f"{len(bad)} of its weights hold nan or inf, such as {bad[0]!r}; fetch or save the checkpoint again"
    dtype = next(model.parameters()).dtype
    if dtype == torch.float16:
        return "its numbers are too large for float16; load it with dtype=torch.bfloat16 or torch.float32"
    if dtype != torch.float32:
        return f"its numbers are too large for {str(dtype).removeprefix('torch.')}; load it with dtype=torch.float32"
    return "its weights are numbers, but what it makes of this text is not; use another model"
