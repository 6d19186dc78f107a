"""Masked language models from transformers checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, final

import torch
from torch import Tensor

from textsearch.models.contexts_lm import ContextsLM, by_row, in_order, read_padded
from textsearch.models.reading.hidden_cache import Context, tokens
from textsearch.models.reading.last_layer import last_output, narrowed
from textsearch.models.reading.length_buckets import BLOCK, GRAIN, Tile
from textsearch.models.reading.packing import bytes_a_token, read_rows, read_with
from textsearch.models.reading.projection import hidden_states
from textsearch.models.reading.threads import count_of
from textsearch.models.reading.token_budget import TokenBudget


@final
@dataclass(frozen=True, eq=False)
class TransformersMaskedLM(ContextsLM):
    """Conditionals of a BERT-like model at the positions asked for, and nowhere else.

    Answers are remembered: see `Contexts`. Threads may share the model; they take turns.

    Attributes:
        model: a transformers masked language model, on its device.
        vocabulary: its tokenizer.
        max_tokens: tokens in one forward pass; more are cut into several passes.
        max_bytes: memory for remembered answers.
        usage: counts what the model has read so far.
    """

    @cached_property
    def budget(self) -> TokenBudget:
        """Tokens in one pass: `max_tokens`, or fewer after a pass did not fit into memory."""
        return TokenBudget(self.max_tokens)

    @cached_property
    def _flat(self) -> bool:
        """Whether rows can be laid end to end."""
        return bytes_a_token(self.model, causal=False) is not None

    @cached_property
    def _door(self) -> Any | None:
        """The layer from which only the positions asked for need to go on, if a trial shows that it works."""
        door = last_output(self.model)
        if door is None or not self._flat:
            return None
        row = [place % self.vocabulary.size for place in range(GRAIN)]
        with torch.no_grad():
            whole = read_rows(self.model, [row])[3:9]
            try:
                places = torch.arange(3, 9, device=whole.device)
                found = narrowed(door, places, lambda: read_rows(self.model, [row]))[:6]
            except (RuntimeError, TypeError, ValueError):
                return None
        return door if torch.allclose(found, whole, rtol=1e-4, atol=1e-5) else None

    def _read(self, keys: list[Context]) -> Tensor:
        """(K, d) last hidden states, which the model projects onto its vocabulary."""
        own, asked = by_row(keys)
        rows = [tokens((row, 0)).tolist() for row in own]
        # a row a line is padded, and cut by the same budget, further down
        sizes = [len(row) if self._flat else 0 for row in rows]
        threads = count_of(self.model.device) if self._flat else 1
        door = self._door

        def read() -> list[Tensor]:
            return self.budget.passes(sizes, lambda part: self._hidden(rows[part], asked[part], door), threads)

        parts = read_with(self.model, read) if self._flat else read()
        return in_order(parts, asked)

    def _hidden(
        self, rows: Sequence[Sequence[int]], asked: Sequence[Sequence[tuple[int, int]]], door: Any | None
    ) -> Tensor:
        """(K, d) at the K places `asked` of each of the rows, row after row."""
        begins = accumulate(map(len, rows), initial=0)
        wanted = [begin + place for begin, own in zip(begins, asked, strict=False) for _, place in own]
        places = torch.tensor(wanted, device=self.model.device)
        if not self._flat:
            return torch.cat(self._padded(rows))[places]

        def read_all() -> Tensor:
            return read_rows(self.model, rows)

        hidden = read_all() if door is None else narrowed(door, places, read_all)
        read = sum(map(len, rows))
        self.usage.count((1, read + -read % BLOCK), read, rows=len(rows))
        return hidden[places] if door is None else hidden[: len(places)]

    def _padded(self, rows: Sequence[Sequence[int]]) -> list[Tensor]:
        """(length, d) of each row, for models that need every row in a line of its own."""

        def read(tile: Tile) -> Tensor:
            self.usage.count(tile.tokens.shape, tile.read)
            return hidden_states(self.model, input_ids=tile.tokens, attention_mask=tile.attention_mask)

        pad = self.vocabulary.tokenizer.pad_token_id or 0
        return read_padded(rows, read, pad=pad, max_tokens=self.budget.most, device=self.model.device)
