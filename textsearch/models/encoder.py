"""Sentence encoders: one vector a text (Reimers and Gurevych, "Sentence-BERT", 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from textsearch.models.tiles import tiles
from textsearch.models.usage import Usage


@final
@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """The mean of a transformers encoder's last hidden states over a text's tokens, at length 1.

    Attributes:
        model: a transformers encoder, on its device.
        tokenizer: its fast tokenizer.
        longest: tokens read of a text, special tokens included; what goes beyond is an error.
        most_tokens: tokens in one forward pass, padding included; more are cut into several passes.
        usage: what has been asked of the model so far.
    """

    model: Any
    tokenizer: Any
    longest: int
    most_tokens: int = 4096
    usage: Usage = field(default_factory=Usage)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(B, D) float32 vectors of length 1: the cosine of two texts is their dot product.

        Raises:
            ValueError: a text is longer than the model can read.
        """
        rows = self.tokenizer(list(texts), return_attention_mask=False, verbose=False)["input_ids"] if texts else []
        for text, row in zip(texts, rows, strict=True):
            if len(row) > self.longest:
                raise ValueError(
                    f"a text of {len(row)} tokens is over the encoder's limit of {self.longest}: {text[:60]!r}...; "
                    "shorten or split it"
                )
        device = self.model.device
        out = torch.zeros(len(rows), self.model.config.hidden_size, device=device)
        pad = self.tokenizer.pad_token_id or 0
        with torch.inference_mode():
            for tile in tiles(rows, pad=pad, most_tokens=self.most_tokens, device=device):
                mask = tile.attention_mask
                hidden = self.model(input_ids=tile.tokens, attention_mask=mask).last_hidden_state.float()
                mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
                out[tile.rows] = torch.nn.functional.normalize(mean, dim=1)
                self.usage.count(tile.tokens.shape, tile.read)
        return out
