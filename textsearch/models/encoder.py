"""Sentence encoders: one vector a text (Reimers and Gurevych, "Sentence-BERT", 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from textsearch.models.reading.finite import check_finite
from textsearch.models.reading.length_buckets import Tile
from textsearch.models.reading.packing import bytes_a_token, read_rows, read_with
from textsearch.models.reading.threads import count_of, read_tiles
from textsearch.models.reading.token_budget import TokenBudget
from textsearch.models.reading.turns import in_turn
from textsearch.models.recipes import reduced
from textsearch.models.usage import Usage


@final
@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """The mean of a transformers encoder's last hidden states over a text's tokens, at length 1.

    Attributes:
        model: a transformers encoder, on its device.
        tokenizer: its fast tokenizer.
        longest: tokens in a text, special tokens included; a longer text is an error.
        max_tokens: tokens in one forward pass; more are cut into several passes.
        usage: counts what the model has read so far.
    """

    model: Any
    tokenizer: Any
    longest: int
    max_tokens: int = 4096
    usage: Usage = field(default_factory=Usage)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @in_turn
    def encode(self, texts: Sequence[str]) -> Tensor:
        """(B, D) float32 vectors of length 1: the cosine of two texts is their dot product.

        Raises:
            ValueError: a text is longer than the model can read, or a vector is nan or infinite.
        """
        rows = self.tokenizer(list(texts), return_attention_mask=False, verbose=False)["input_ids"] if texts else []
        for text, row in zip(texts, rows, strict=True):
            if len(row) > self.longest:
                raise ValueError(
                    f"a text of {len(row)} tokens is over the encoder's limit of {self.longest}: {text[:60]!r}...; "
                    "shorten or split it"
                )
        # of no tokens there is no mean: where a tokenizer adds none of its own, an empty text is one of padding
        rows = [row or [self._pad] for row in rows]
        with torch.inference_mode():
            sizes = [len(row) if self._flat else 0 for row in rows]
            if self._flat:
                threads = count_of(self.model.device)
                found = read_with(
                    self.model, lambda: self.budget.passes(sizes, lambda part: self._means(rows[part]), threads)
                )
            else:
                found = self.budget.passes(sizes, lambda part: self._padded(rows[part]))
            means = torch.cat([torch.empty(0, self.model.config.hidden_size, device=self.model.device), *found])
            return torch.nn.functional.normalize(check_finite(self.model, means, "vectors"), dim=1)

    @cached_property
    def budget(self) -> TokenBudget:
        """Tokens in one pass: `max_tokens`, or fewer after a pass did not fit into memory."""
        return TokenBudget(self.max_tokens)

    @cached_property
    def _flat(self) -> bool:
        """Whether rows can be laid end to end."""
        return bytes_a_token(self.model, causal=False, reader=_last_hidden) is not None

    @property
    def _pad(self) -> int:
        return self.tokenizer.pad_token_id or 0

    def _means(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """(R, D) means of rows laid end to end."""
        hidden = read_rows(self.model, rows, _last_hidden).float()
        lengths = list(map(len, rows))
        self.usage.count((1, len(hidden)), sum(lengths), rows=len(rows))
        # of one row at a time: a sum over many rounds as its neighbours would have it
        return torch.stack([own.mean(0) for own in torch.split(hidden[: sum(lengths)], lengths)])

    def _padded(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """(R, D) means of rows that each take a line of their own."""
        device = self.model.device
        out = torch.zeros(len(rows), self.model.config.hidden_size, device=device)

        def read(tile: Tile) -> Tensor:
            mask = tile.attention_mask
            hidden = _last_hidden(self.model, input_ids=tile.tokens, attention_mask=mask).float()
            self.usage.count(tile.tokens.shape, tile.read)
            return (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)

        for tile, means in read_tiles(rows, read, pad=self._pad, max_tokens=self.budget.most, device=device):
            out[tile.rows] = means
        return out


def _last_hidden(model: Any, **inputs: Any) -> Tensor:
    """(B, W, D) last hidden states of an encoder."""
    hidden: Tensor = model(**inputs).last_hidden_state
    return hidden
