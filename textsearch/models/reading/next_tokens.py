"""Next tokens: what a causal model expects after given tokens, for texts that others write token by token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from textsearch.models.reading.suffixes import Reader


def log_probs_after(lm: Reader, rows: Sequence[Sequence[int]], prompts: Sequence[str], more: int) -> Tensor:
    """As `TokenLM.log_probs_after`."""
    out: list[Tensor] = []
    for _, slots in _ends(lm, rows, prompts, more):
        out.append(lm.tree.logits(slots).double().log_softmax(-1))
    return torch.cat(out) if out else torch.zeros(0, lm.vocabulary.size, dtype=torch.float64)


def log_probs_of(
    lm: Reader, rows: Sequence[Sequence[int]], prompts: Sequence[str], tokens: Sequence[Sequence[int]], more: int
) -> list[list[float]]:
    """log p of some tokens after each row, as those of `log_probs_after`: cheaper where they are few of the vocabulary.

    Args:
        lm: the model.
        rows: K rows of token ids, the beginnings of texts.
        prompts: one for each row.
        tokens: K times what may follow.
        more: tokens that each row may still grow by.
    """
    found: list[list[float]] = []
    for part, slots in _ends(lm, rows, prompts, more):
        own = [tokens[i] for i in part]
        several = [slot for slot, asked in zip(slots, own, strict=True) for _ in asked]
        values = iter(lm.tree.log_probs(several, [token for asked in own for token in asked]))
        found += [list(islice(values, len(asked))) for asked in own]
    return found


def _ends(
    lm: Reader, rows: Sequence[Sequence[int]], prompts: Sequence[str], more: int
) -> Iterator[tuple[range, list[Any]]]:
    """Some of the rows at a time, and the slots of their last tokens."""
    behind = lm.after(rows, prompts)
    for whole, own in zip(behind, rows, strict=True):
        if len(whole) - 1 + more > lm.vocabulary.longest:
            raise ValueError(
                f"a prompt of {len(whole) - len(own)} tokens and texts of up to {len(own) + more} are over the model's "
                f"limit of {lm.vocabulary.longest}; shorten the prompt or the longest text"
            )
    for part in lm.tree.portions(behind, more=more):
        yield part, [slots[-1] for slots in lm.tree.read([behind[i] for i in part])]
