"""Masked language models from transformers checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.projection import project
from textsearch.models.tiles import tiles
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary


@final
@dataclass(frozen=True, eq=False)
class TransformersMaskedLM:
    """Conditionals of a BERT-like model at the positions asked for, and nowhere else.

    Attributes:
        model: a transformers masked language model, on its device.
        vocabulary: its tokenizer.
        most_tokens: tokens in one forward pass, padding included; more are cut into several passes.
        usage: what has been asked of the model so far.
    """

    model: Any
    vocabulary: TokenizerVocabulary
    most_tokens: int = 4096
    usage: Usage = field(default_factory=Usage)

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float32 log-probabilities at `positions` (K,) of `rows` (K,); only those K are projected."""
        asked, place = torch.unique(rows, return_inverse=True)
        lists = batch.rows(asked).token_lists()
        before, after = self._frame
        framed = [[*before, *row, *after] for row in lists]
        device = self.model.device
        out = torch.empty(len(rows), self.vocabulary.size, device=device)
        place, columns = place.to(device), positions.to(device) + len(before)
        pad = self.vocabulary.tokenizer.pad_token_id or 0
        for tile in tiles(framed, pad=pad, most_tokens=self.most_tokens, device=device):
            local = torch.full((len(framed),), -1, device=device)
            local[tile.rows] = torch.arange(len(tile.rows), device=device)
            wanted = (local[place] >= 0).nonzero().squeeze(-1)
            logits = project(
                self.model,
                local[place[wanted]],
                columns[wanted],
                input_ids=tile.tokens,
                attention_mask=tile.attention_mask,
            )
            out[wanted] = logits[:, : self.vocabulary.size].log_softmax(-1)
            self.usage.count(tile.tokens.shape, tile.read)
        return out.to(batch.device)

    @property
    def _frame(self) -> tuple[Sequence[int], Sequence[int]]:
        """The special tokens that the model reads before and after a text."""
        tokenizer = self.vocabulary.tokenizer
        framed = tokenizer(tokenizer.mask_token)["input_ids"]
        middle = framed.index(self.vocabulary.mask_id)
        return framed[:middle], framed[middle + 1 :]
