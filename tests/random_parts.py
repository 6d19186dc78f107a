"""Parts that random calls are given: what is nobody's class but has the methods."""

from __future__ import annotations

from typing import Any

import torch


class Toy:
    """An encoder and a classifier by the count of letters, and an encoder that gives arrays."""

    labels = ("a", "b")

    def encode(self, texts: Any) -> torch.Tensor:
        counts = torch.tensor([[1.0 + text.count("a"), 1.0 + text.count("b")] for text in texts]).reshape(-1, 2)
        return torch.nn.functional.normalize(counts, dim=1)

    def log_probs(self, texts: Any) -> torch.Tensor:
        return self.encode(texts).double().log_softmax(1)


class ArrayEncoder:
    def encode(self, texts: Any) -> Any:
        return Toy().encode(texts).numpy()


class Outer:
    """A sampler of somebody else's: another's methods, no class of ours."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)
