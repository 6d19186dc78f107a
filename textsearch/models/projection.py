"""Project onto the vocabulary only where it is asked for: the dearest matrix of a small model, on a few rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor


@contextmanager
def project_only(model: Any, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Within the block, `model(...).logits` is (K, V): for the hidden states at (`rows`, `columns`), each (K,).

    Works for any transformers model with output embeddings: a hook picks the hidden states before they are projected.
    """

    def pick(module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (arguments[0][rows, columns], *arguments[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()
