"""An n-gram model as a causal language model: no network, no pass, a lookup for each order.

It knows what stands close together and nothing else, and costs next to nothing: an energy of its own, a surrogate of a
large model's (`samplers.DelayedAcceptance`), a writer of drafts and suffixes, and a judge of what is no text at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.ngram.tables import NgramTables, context_of
from textsearch.models.protocols import Scores
from textsearch.models.reading.token_by_token import TokenByToken, of_each
from textsearch.models.recipes import reduced
from textsearch.models.usage import Usage
from textsearch.models.vocabulary import TokenizerVocabulary

_PLACES = 256  # laws of the next token at once

Context = tuple[int, ...]
"""The last tokens of a row, and what marks its beginning."""


@final
@dataclass(frozen=True, eq=False)
class NgramLM(TokenByToken):
    """log p(text) of an interpolated modified Kneser-Ney model, its end included; after a prompt, log p(text | prompt).

    A part of a text that the tokenizer cannot write is scored as its unknown token. Threads may share the model.

    Attributes:
        model: the tables.
        vocabulary: the tokenizer that they were counted with.
        usage: counts what has been looked up so far, each call as one pass.
    """

    model: NgramTables
    vocabulary: TokenizerVocabulary
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        if self.vocabulary.size != self.model.settings.tokens:
            raise ValueError(
                f"the tokenizer has {self.vocabulary.size} tokens, the n-grams {self.model.settings.tokens}: they do "
                "not belong together; load them from one folder"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @property
    def eos(self) -> int:
        """The token that ends a text."""
        return self.model.settings.end

    @property
    def tree(self) -> ContextReader:
        """What it reads, for what is drawn from left to right."""
        return ContextReader(self.model, self.usage)

    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        """log p of each row's text given its prompt: one for all rows, or one for each. `least` saves nothing here."""
        own = self.in_own_tokens(batch)
        each = self._each(own, of_each(prompt, len(batch)))
        # one by one: the order of the sum does not depend on the batch
        sums = [sum(values.tolist()) for values in each]
        return Scores(torch.tensor(sums, dtype=torch.float64, device=batch.device), own.lengths + 1)

    def surprises(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """Of each text its tokens, as they are written, with -log p of each in nats; the end, "", is the last one."""
        own = Batch.of(self.vocabulary.read(texts), self.vocabulary)
        each = self._each(own, [""] * len(own))
        pieces = self.vocabulary.tokenizer.batch_decode
        return [
            list(zip([*pieces([[token] for token in row]), ""], (-values).tolist(), strict=True))
            for row, values in zip(own.token_lists(), each, strict=True)
        ]

    def next_log_probs(self, texts: Sequence[str], prompt: str | Sequence[str] = "") -> Tensor:
        """(B, V) float64 log-probabilities of the token that follows each text after its prompt."""
        rows = self.after(self.vocabulary.read(texts), of_each(prompt, len(texts)))
        return self.tree.logits([slots[-1] for slots in self.tree.read(rows)])

    def after(self, rows: Sequence[Sequence[int]], prompts: Sequence[str]) -> list[list[int]]:
        """The rows, each behind the beginning of a text and the tokens of its prompt."""
        told = dict(zip(given := list(dict.fromkeys(prompts)), self.vocabulary.read(given), strict=True))
        return [[self.model.begin, *told[prompt], *row] for prompt, row in zip(prompts, rows, strict=True)]

    def in_own_tokens(self, batch: Batch) -> Batch:
        """The batch if it is in this model's tokens, else its texts as the tokenizer reads them."""
        if batch.vocabulary is self.vocabulary:
            return batch
        return Batch.of(self.vocabulary.read(batch.texts()), self.vocabulary)

    def _each(self, batch: Batch, prompts: Sequence[str]) -> list[Any]:
        """log p of each token of each row, and of its end: (length + 1,) float64."""
        rows = batch.token_lists()
        full = [[*row, self.eos] for row in self.after(rows, prompts)]
        self.usage.count((1, sum(map(len, full))), sum(map(len, full)), rows=len(full))
        if not full:
            return []
        each = self.model.stream_log_probs(np.concatenate([np.array(row, dtype=np.int64) for row in full]))
        ends = np.cumsum([len(row) for row in full])
        return [each[end - len(row) - 1 : end] for row, end in zip(rows, ends.tolist(), strict=True)]


@final
@dataclass(frozen=True)
class ContextReader:
    """What `textsearch.models.reading` asks of a model that it draws from; nothing has to be remembered.

    The slot of a token is the context that it ends: the last n - 1 tokens.

    Attributes:
        model: the tables.
        usage: of the model.
    """

    model: NgramTables
    usage: Usage

    def portions(self, rows: Sequence[Sequence[int]], more: int = 0) -> Iterator[range]:
        """All rows at once."""
        if rows:
            yield range(len(rows))

    def read(self, rows: Sequence[Sequence[int]]) -> list[list[Context]]:
        """The context that each token of each row ends."""
        size = self.model.settings.order - 1
        return [[tuple(context_of(row[:end], size)) for end in range(1, len(row) + 1)] for row in rows]

    def logits(self, slots: Sequence[Context]) -> Tensor:
        """(K, V) float64 log-probabilities of what follows each of the contexts."""
        self.usage.count((1, len(slots)), len(slots), rows=len(slots))
        parts = [self._laws(slots[first : first + _PLACES]) for first in range(0, len(slots), _PLACES)]
        return torch.from_numpy(np.concatenate(parts) if parts else np.empty((0, self.model.settings.tokens)))

    def log_probs(self, slots: Sequence[Context], tokens: Sequence[int]) -> list[float]:
        """log p of each of the `tokens`, given its context."""
        contexts, places = np.unique(
            np.array(slots, dtype=np.int64).reshape(len(slots), -1), axis=0, return_inverse=True
        )
        laws = self.logits([tuple(row) for row in contexts.tolist()])
        found: list[float] = laws[torch.from_numpy(places.reshape(-1)), torch.tensor(tokens)].tolist()
        return found

    def _laws(self, slots: Sequence[Context]) -> Any:
        size = self.model.settings.order - 1
        return self.model.next_log_probs(np.array(slots, dtype=np.int64).reshape(len(slots), size))
