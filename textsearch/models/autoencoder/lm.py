"""Text autoencoders as masked language models that need no mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from textsearch.models.contexts_lm import ContextsLM, by_row, in_order, read_padded
from textsearch.models.reading.hidden_cache import Context, tokens
from textsearch.models.reading.length_buckets import Tile


@final
@dataclass(frozen=True, eq=False)
class TextAutoencoder(ContextsLM):
    """Conditionals of every token given all the others, from one pass over a text (Shin, Lee and Yoon, 2020).

    What it says of a position does not depend on the token that stands there, to the bit. Load one with
    `textsearch.models.text_autoencoder`. Answers are remembered, and threads take turns, as with `masked_lm`.

    Attributes:
        model: a `textsearch.models.autoencoder.network.AutoencoderNetwork`, on its device.
        vocabulary: its tokenizer.
        max_tokens: tokens in one forward pass, padding included; more are cut into several passes.
        max_bytes: memory for remembered answers.
        usage: counts what the model has read so far.

    Raises:
        ValueError: nothing is set around texts, so the only token of one would be told from nothing.
    """

    needs_mask: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not any(self._frame):
            raise ValueError(
                "the tokenizer puts no special token before or after a text, and a text autoencoder tells a token from "
                "all the others: take a tokenizer of BERT's kind"
            )

    def _read(self, keys: list[Context]) -> Tensor:
        """(K, d) vectors for the head; a row is read once, whatever the number of its places."""
        own, asked = by_row(keys)

        @torch.no_grad()
        def read(tile: Tile) -> Tensor:
            hidden: Tensor = self.model(tile.tokens, tile.attention_mask)
            self.usage.count(tile.tokens.shape, tile.read)
            return hidden

        rows = [tokens((row, 0)).tolist() for row in own]
        pad, device = self.vocabulary.tokenizer.pad_token_id or 0, self.model.device
        hidden = read_padded(rows, read, pad=pad, max_tokens=self.max_tokens, device=device)
        return in_order([found[[p for _, p in places]] for found, places in zip(hidden, asked, strict=True)], asked)
