"""Masked language models from transformers checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.contexts import Context, Contexts, context, tokens
from textsearch.models.flat import Span, bytes_a_token, own_keys, read_flat
from textsearch.models.loading import first_position
from textsearch.models.projection import hidden_states
from textsearch.models.tiles import tiles
from textsearch.models.token_budget import TokenBudget
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary


@final
@dataclass(frozen=True, eq=False)
class TransformersMaskedLM:
    """Conditionals of a BERT-like model at the positions asked for, and nowhere else.

    What was asked before is remembered: see `Contexts`.

    Attributes:
        model: a transformers masked language model, on its device.
        vocabulary: its tokenizer.
        most_tokens: tokens in one forward pass; more are cut into several passes.
        most_bytes: memory for what was asked before.
        usage: what has been asked of the model so far.
    """

    model: Any
    vocabulary: TokenizerVocabulary
    most_tokens: int = 512
    most_bytes: int = 2**28
    usage: Usage = field(default_factory=Usage)

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float32 log-probabilities at `positions` (K,) of `rows` (K,); only those K are projected."""
        return self._contexts.log_probs(self._asked(batch, rows, positions)).to(batch.device)

    def token_log_probs(self, batch: Batch, rows: Tensor, positions: Tensor, wanted: Tensor) -> Tensor:
        """(K,) float64 log-probability of the token `wanted[k]` at `positions[k]` of row `rows[k]`."""
        keys = self._asked(batch, rows, positions)
        return self._contexts.token_log_probs(keys, wanted.to(self.model.device)).to(batch.device)

    def forgetful(self) -> TransformersMaskedLM:
        """The same model with nothing remembered and nothing counted: for measurements that start afresh."""
        return TransformersMaskedLM(self.model, self.vocabulary, self.most_tokens, self.most_bytes)

    @cached_property
    def _contexts(self) -> Contexts:
        return Contexts(self.model, self.vocabulary.size, self._read, self.most_bytes)

    @cached_property
    def budget(self) -> TokenBudget:
        """Of tokens in one pass: `most_tokens`, or fewer once these did not fit into memory."""
        return TokenBudget(self.most_tokens)

    @cached_property
    def _flat(self) -> bool:
        """Whether rows can be laid end to end."""
        return bytes_a_token(self.model, causal=False) is not None

    @cached_property
    def _frame(self) -> tuple[Sequence[int], Sequence[int]]:
        """The special tokens that the model reads before and after a text."""
        tokenizer = self.vocabulary.tokenizer
        framed = tokenizer(tokenizer.mask_token)["input_ids"]
        middle = framed.index(self.vocabulary.mask_id)
        return framed[:middle], framed[middle + 1 :]

    def _asked(self, batch: Batch, rows: Tensor, positions: Tensor) -> list[Context]:
        before, after = self._frame
        asked, places = rows.tolist(), positions.tolist()
        numbers = list(dict.fromkeys(asked))
        lists = batch.rows(numbers).token_lists()
        framed = dict(zip(numbers, ([*before, *row, *after] for row in lists), strict=True))
        for number, place in zip(asked, places, strict=True):
            if not 0 <= place < (length := len(framed[number]) - len(before) - len(after)):
                raise IndexError(f"position {place} of a text of {length} tokens")
        row_keys = {number: context(row, 0)[0] for number, row in framed.items()}
        keys = [(row_keys[number], place + len(before)) for number, place in zip(asked, places, strict=True)]
        known = sum(key in self._contexts for key in keys)
        if known:
            self.usage.remembered(known)
        return keys

    def _read(self, keys: list[Context]) -> Tensor:
        """(K, d) what the model hands to its vocabulary."""
        numbers = {key: number for number, key in enumerate(dict.fromkeys(row for row, _ in keys))}
        rows = [tokens((row, 0)).tolist() for row in numbers]
        out: Tensor | None = None
        asked: dict[int, list[tuple[int, int]]] = {}
        for index, (row, place) in enumerate(keys):
            asked.setdefault(numbers[row], []).append((index, place))
        for chosen, begins, hidden in self._passes(rows):
            wanted = [
                (index, begin + place) for row, begin in zip(chosen, begins, strict=True) for index, place in asked[row]
            ]
            to, of = torch.tensor(wanted, device=hidden.device).unbind(1)
            if out is None:
                out = hidden.new_empty(len(keys), hidden.shape[-1])
            out[to] = hidden[of]
        assert out is not None
        return out

    def _passes(self, rows: Sequence[Sequence[int]]) -> Iterator[tuple[Sequence[int], Sequence[int], Tensor]]:
        """Numbers of rows, where each begins, and the (T, d) of all their tokens."""
        if not self._flat:
            yield from self._padded_passes(rows)
            return
        first, start = first_position(self.model), 0
        while start < len(rows):
            begins: list[int] = []
            line: list[int] = []
            while start + len(begins) < len(rows):
                row = rows[start + len(begins)]
                if line and len(line) + len(row) > self.budget.most:
                    break
                begins.append(len(line))
                line += row
            stop = start + len(begins)
            ends = [*begins[1:], len(line)]
            spans = [Span(begin, end - begin, range(begin, end)) for begin, end in zip(begins, ends, strict=True)]
            positions = [first + place for row in rows[start:stop] for place in range(len(row))]
            try:
                hidden = read_flat(self.model, line, positions, spans, own_keys, causal=False)
            except RuntimeError as error:
                self.budget.halve(error)
                continue
            self.usage.count((1, len(hidden)), len(line), rows=len(begins))
            yield range(start, stop), begins, hidden
            start = stop

    def _padded_passes(self, rows: Sequence[Sequence[int]]) -> Iterator[tuple[Sequence[int], Sequence[int], Tensor]]:
        """The same for models that need every row in a line of its own."""
        pad = self.vocabulary.tokenizer.pad_token_id or 0
        for tile in tiles(rows, pad=pad, most_tokens=self.most_tokens, device=self.model.device):
            hidden = hidden_states(self.model, input_ids=tile.tokens, attention_mask=tile.attention_mask)
            self.usage.count(tile.tokens.shape, tile.read)
            width = tile.tokens.shape[1]
            yield tile.rows.tolist(), range(0, width * len(tile.rows), width), hidden.flatten(0, 1)
