"""Arguments that all loaders of models take, checked before anything is read."""

from __future__ import annotations

import os
from typing import Any

import torch

from textsearch.checks import flag, model_name, whole
from textsearch.kinds import nature, shown


def check_loading(
    name_or_path: str | os.PathLike[str] | None, *, device: Any, dtype: Any, trust_remote_code: bool, **counts: Any
) -> None:
    """Refuse what cannot be meant.

    Args:
        name_or_path: a hub id or a folder.
        device: of torch, by name or not; None for any.
        dtype: of torch; None for float32.
        trust_remote_code: whether to run code that the checkpoint brings.
        counts: whole numbers, None where the default is meant.

    >>> check_loading("gpt2", device="gpu", dtype=None, trust_remote_code=False)
    Traceback (most recent call last):
    ...
    ValueError: device='gpu' is no device of torch: pass "cpu", "cuda" or "mps", or leave it out
    """
    model_name("name_or_path", name_or_path)
    try:
        known = device is None or torch.device(device) is not None
    except (RuntimeError, TypeError):
        known = False
    if not known:
        raise ValueError(f'device={shown(device)} is no device of torch: pass "cpu", "cuda" or "mps", or leave it out')
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype={shown(dtype)} is {nature(dtype)}: pass torch.float32, torch.bfloat16 or torch.float16")
    flag("trust_remote_code", trust_remote_code)
    for name, value in counts.items():
        if value is not None:
            whole(name, value, 1 if name == "max_tokens" else 0)
