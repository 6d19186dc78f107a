"""Text autoencoders as masked language models that need no mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.reading.hidden_cache import Context, Contexts, context, tokens
from textsearch.models.reading.length_buckets import Tile
from textsearch.models.reading.threads import read_tiles
from textsearch.models.reading.turns import in_turn
from textsearch.models.recipes import reduced
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary


@final
@dataclass(frozen=True, eq=False)
class TextAutoencoder:
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

    model: Any
    vocabulary: TokenizerVocabulary
    max_tokens: int = 512
    max_bytes: int = 2**28
    usage: Usage = field(default_factory=Usage)

    needs_mask: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not any(self._frame):
            raise ValueError(
                "the tokenizer puts no special token before or after a text, and a text autoencoder tells a token from "
                "all the others: take a tokenizer of BERT's kind"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

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

    def forgetful(self) -> TextAutoencoder:
        """The same model with nothing remembered and nothing counted, for measurements."""
        return TextAutoencoder(self.model, self.vocabulary, self.max_tokens, self.max_bytes)

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

    def _read(self, keys: list[Context]) -> Tensor:
        """(K, d) vectors for the head; a row is read once, whatever the number of its places."""
        numbers = {row: number for number, row in enumerate(dict.fromkeys(row for row, _ in keys))}
        lists = [tokens((row, 0)).tolist() for row in numbers]
        asked: list[list[tuple[int, int]]] = [[] for _ in lists]
        for index, (row, place) in enumerate(keys):
            asked[numbers[row]].append((index, place))
        device = self.model.device
        pad = self.vocabulary.tokenizer.pad_token_id or 0

        @torch.no_grad()
        def read(tile: Tile) -> Tensor:
            hidden: Tensor = self.model(tile.tokens, tile.attention_mask)
            self.usage.count(tile.tokens.shape, tile.read)
            return hidden

        width = self.model.get_output_embeddings().weight.shape[1]
        out = torch.empty(len(keys), width, dtype=self.input_embeddings().dtype, device=device)
        for tile, hidden in read_tiles(lists, read, pad=pad, max_tokens=self.max_tokens, device=device):
            wanted = [(index, row, place) for row, n in enumerate(tile.rows.tolist()) for index, place in asked[n]]
            at, rows, places = torch.tensor(wanted, device=device).unbind(1)
            out[at] = hidden[rows, places]
        return out
