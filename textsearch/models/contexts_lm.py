"""What masked language models share that remember the vectors of the places they were asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.reading.hidden_cache import Context, Contexts, context
from textsearch.models.reading.length_buckets import Tile
from textsearch.models.reading.threads import read_tiles
from textsearch.models.reading.turns import in_turn
from textsearch.models.recipes import reduced
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary


@dataclass(frozen=True, eq=False)
class ContextsLM(ABC):
    """Conditionals at the positions asked for, and nowhere else.

    Answers are remembered: see `Contexts`. Threads may share the model; they take turns.

    Attributes:
        model: on its device.
        vocabulary: its tokenizer.
        max_tokens: tokens in one forward pass; more are cut into several passes.
        max_bytes: memory for remembered answers.
        usage: counts what the model has read so far.
    """

    model: Any
    vocabulary: TokenizerVocabulary
    max_tokens: int = 512
    max_bytes: int = 2**28
    usage: Usage = field(default_factory=Usage)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @abstractmethod
    def _read(self, keys: list[Context]) -> Tensor:
        """(K, d) vectors of these rows and places, which the head of the model projects onto its vocabulary."""

    @in_turn
    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float32 log-probabilities at `positions` (K,) of `rows` (K,); only those K are projected."""
        return self._contexts.log_probs(self._asked(batch, rows, positions)).to(batch.device)

    @in_turn
    def token_log_probs(self, batch: Batch, rows: Tensor, positions: Tensor, wanted: Tensor) -> Tensor:
        """(K,) float64 log-probability of the token `wanted[k]` at `positions[k]` of row `rows[k]`."""
        keys = self._asked(batch, rows, positions)
        return self._contexts.token_log_probs(keys, wanted.to(self.model.device)).to(batch.device)

    def input_embeddings(self) -> Tensor:
        """(V, D) the vectors that the model reads its tokens as."""
        weights: Tensor = self.model.get_input_embeddings().weight.detach()
        return weights

    def forgetful(self) -> Self:
        """The same model with nothing remembered and nothing counted, for measurements."""
        return type(self)(self.model, self.vocabulary, self.max_tokens, self.max_bytes)

    @cached_property
    def _contexts(self) -> Contexts:
        return Contexts(self.model, self.vocabulary.size, self._read, self.max_bytes)

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
        lists = dict(zip(numbers, batch.rows(numbers).token_lists(), strict=True))
        for number, place in zip(asked, places, strict=True):
            if not 0 <= place < len(lists[number]):
                raise IndexError(f"position {place} of a text of {len(lists[number])} tokens")
        row_keys = {number: context([*before, *row, *after], 0)[0] for number, row in lists.items()}
        keys = [(row_keys[number], place + len(before)) for number, place in zip(asked, places, strict=True)]
        if known := sum(key in self._contexts for key in keys):
            self.usage.remembered(known)
        return keys


def read_padded(
    rows: Sequence[Sequence[int]],
    read: Callable[[Tile], Tensor],
    *,
    pad: int,
    max_tokens: int,
    device: torch.device,
) -> list[Tensor]:
    """(length, d) vectors of each row, of rows that lie in lines of their own."""
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    for tile, hidden in read_tiles(rows, read, pad=pad, max_tokens=max_tokens, device=device):
        for number, own in zip(tile.rows.tolist(), hidden, strict=True):
            found[number] = own[: len(rows[number])]
    return found


def in_order(parts: Sequence[Tensor], asked: Sequence[Sequence[tuple[int, int]]]) -> Tensor:
    """(K, d) the vectors of rows, one row's after another's, in the order of their keys; see `by_row`."""
    vectors = torch.cat(list(parts))
    order = torch.tensor([index for own in asked for index, _ in own], device=vectors.device)
    return vectors[order.argsort()]


def by_row(keys: Sequence[Context]) -> tuple[list[Any], list[list[tuple[int, int]]]]:
    """The rows of some keys, each once, and of each the numbers of its keys with their places."""
    found: dict[Any, list[tuple[int, int]]] = {}
    for index, (row, place) in enumerate(keys):
        found.setdefault(row, []).append((index, place))
    return list(found), list(found.values())
