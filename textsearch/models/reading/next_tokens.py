"""Next tokens: what a causal model expects after given tokens, for texts that others write token by token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from textsearch.models.reading.suffixes import Reader


def log_probs_after(lm: Reader, rows: Sequence[Sequence[int]], prompts: Sequence[str], more: int) -> Tensor:
    """As `TokenLM.log_probs_after`."""
    behind = lm.after(rows, prompts)
    for whole, own in zip(behind, rows, strict=True):
        if len(whole) - 1 + more > lm.vocabulary.longest:
            raise ValueError(
                f"a prompt of {len(whole) - len(own)} tokens and texts of up to {len(own) + more} are over the model's "
                f"limit of {lm.vocabulary.longest}; shorten the prompt or the longest text"
            )
    out: list[Tensor] = []
    for part in lm.tree.portions(behind, more=more):
        found = lm.tree.read([behind[i] for i in part])
        out.append(lm.tree.logits([slots[-1] for slots in found]).double().log_softmax(-1))
    return torch.cat(out) if out else torch.zeros(0, lm.vocabulary.size, dtype=torch.float64)
