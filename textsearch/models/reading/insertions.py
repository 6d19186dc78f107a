"""Places: what a causal model thinks of given words at every place of a text, from one pass over it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.reading.suffixes import Reader


def next_at_places(model: Reader, batch: Batch, tokens: Sequence[Sequence[int]], prompts: Sequence[str]) -> Tensor:
    """(B, N + 1, W) float64, log p(tokens[b][w] | prompt, first n tokens of row b) for n = 0 .. length; -inf beyond.

    Args:
        model: reads each row once.
        batch: in the model's own tokens.
        tokens: what might come next, up to W ids for each row.
        prompts: one for each row.
    """
    most = max(map(len, tokens), default=0)
    out = torch.full((len(batch), batch.width + 1, most), -math.inf, dtype=torch.float64, device=batch.device)
    own = batch.token_lists()
    rows = model.after(own, prompts)
    for part in model.tree.portions(rows):
        slots, asked, places = [], [], []
        for i, found in zip(part, model.tree.read([rows[i] for i in part]), strict=True):
            for place, slot in enumerate(found[len(found) - len(own[i]) - 1 :]):
                for column, token in enumerate(tokens[i]):
                    slots.append(slot)
                    asked.append(token)
                    places.append((i, place, column))
        if slots:
            index = torch.tensor(places, device=batch.device).unbind(1)
            out[index] = torch.tensor(model.tree.log_probs(slots, asked), dtype=out.dtype, device=out.device)
    return out
