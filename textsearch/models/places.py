"""Places: what a causal model thinks of given words at every place of a text, from one pass over it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.causal import TransformersCausalLM


def next_at_places(
    model: TransformersCausalLM, batch: Batch, tokens: Sequence[Sequence[int]], prompts: Sequence[str]
) -> Tensor:
    """(B, N + 1, W) float64, log p(tokens[b][w] | prompt, first n tokens of row b) for n = 0 .. length; -inf beyond.

    Args:
        model: reads each row once.
        batch: in the model's own tokens.
        tokens: what might come next, up to W ids for each row.
        prompts: one for each row.
    """
    device = model.model.device
    most = max(map(len, tokens), default=0)
    wanted = torch.tensor([[*row, *[0] * (most - len(row))] for row in tokens], device=device).reshape(len(batch), most)
    present = torch.tensor([[i < len(row) for i in range(most)] for row in tokens], device=device).reshape(wanted.shape)
    out = torch.full((len(batch), batch.width + 1, most), -math.inf, dtype=torch.float64, device=device)
    for tile, prefixes in model._tiles(batch.token_lists(), [model._prefix(prompt) for prompt in prompts]):
        row, column = tile.attention_mask.nonzero(as_tuple=True)
        log_probs = model._logits(tile, prefixes, row, column).log_softmax(-1)
        whole = tile.rows[row]
        found = log_probs.gather(1, wanted[whole]).double()
        out[whole, column] = found.masked_fill(~present[whole], -math.inf)
    return out.to(batch.device)
