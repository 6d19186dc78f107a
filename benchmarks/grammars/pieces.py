"""The vocabulary of a table of the real model: those of its tokens that the strings of a language need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.stray_pairs import pairs_of
from textsearch.models.vocabulary import TokenizerVocabulary

END, OUT = 0, 1
"""The ids of the end, and of any token that leads out of the language."""


@final
@dataclass(frozen=True, eq=False)
class Pieces:
    """The tokens of a real vocabulary that a language may be written with; 0 is the end, 1 any other.

    Attributes:
        tokenizer: encodes texts as the real one does.
        ids: of the real vocabulary, for tokens 2, 3, ...
        token_bytes: V' strings of bytes.
    """

    tokenizer: Any
    ids: tuple[int, ...]
    token_bytes: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """V'."""
        return len(self.token_bytes)

    @property
    def mask_id(self) -> int:
        """The end, which no text may hold."""
        return END

    @cached_property
    def allowed(self) -> Tensor:
        """All but the end."""
        return torch.arange(self.size) != END

    @cached_property
    def continues(self) -> Tensor:
        """None."""
        return torch.zeros(self.size, dtype=torch.bool)

    @cached_property
    def _places(self) -> dict[int, int]:
        return {real: own for own, real in enumerate(self.ids, start=2)}

    def encode(self, texts: Sequence[str]) -> Batch:
        """The real tokens of the texts; a ValueError for a text with others."""
        rows = self._rows(texts)
        for text, row in zip(texts, rows, strict=True):
            if row is None:
                raise ValueError(f"{text!r} has tokens that no string of the language has")
        return Batch.of([row for row in rows if row is not None], self)

    def respelled(self, batch: Batch) -> list[list[int] | None]:
        """The rows as the tokenizer writes their texts; None for one with tokens that no string has."""
        return self._rows(batch.texts())

    def strays(self, row: Sequence[int]) -> NDArray[np.bool_]:
        """(V',) bool, the tokens that never follow a row in that of a text, as the real vocabulary proves it."""
        found, pairs = np.zeros(self.size, dtype=np.bool_), pairs_of(self._real)
        if pairs is not None and OUT not in row:
            found[2:] = pairs.behind([self.ids[token - 2] for token in row])[list(self.ids)]
        return found

    @cached_property
    def _real(self) -> TokenizerVocabulary:
        return TokenizerVocabulary(self.tokenizer, 10**6)

    def _rows(self, texts: Sequence[str]) -> list[list[int] | None]:
        found = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        return [
            [self._places[token] for token in row] if all(token in self._places for token in row) else None
            for row in found
        ]

    def decode(self, batch: Batch) -> list[str]:
        """The bytes of the tokens, one after another."""
        rows = batch.token_lists()
        return [b"".join(self.token_bytes[token] for token in row).decode(errors="replace") for row in rows]
