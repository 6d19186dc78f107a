"""Vocabularies of listed tokens, the words or characters of some texts, which come back as they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from textsearch.batch import Batch


@dataclass(frozen=True, eq=False)
class ListedVocabulary(ABC):
    """Each listed token a word of its own.

    Attributes:
        tokens: V distinct ones, the mask first.
    """

    tokens: tuple[str, ...]
    # a token of several words, "a lot", is what one word was meant to be, and no other spelling
    one_spelling = True
    what: ClassVar[str] = "tokens"
    """What the tokens are, for messages."""

    @cached_property
    def number(self) -> dict[str, int]:
        """The id of each token."""
        return {token: number for number, token in enumerate(self.tokens)}

    @property
    def size(self) -> int:
        """V."""
        return len(self.tokens)

    @property
    def mask_id(self) -> int:
        """The first."""
        return 0

    @cached_property
    def allowed(self) -> Tensor:
        """(V,) bool: all but the mask."""
        return torch.arange(self.size) > 0

    @cached_property
    def continues(self) -> Tensor:
        """(V,) bool: none, a token is a word."""
        return torch.zeros(self.size, dtype=torch.bool)

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Batch:
        """The texts as tokens."""

    @abstractmethod
    def decode(self, batch: Batch) -> list[str]:
        """The texts as they are written."""

    @abstractmethod
    def shown(self, row: Sequence[str], token: str) -> tuple[str, str]:
        """A token and the text of its row, for messages."""

    def batch(self, rows: Sequence[Sequence[str]]) -> Batch:
        """Rows of tokens."""
        for row in rows:
            for token in row:
                if token not in self.number:
                    one, text = self.shown(row, token)
                    raise ValueError(
                        f"{one!r} of {text!r} is not among the {self.size - 1} {self.what} of this vocabulary: build "
                        "it from all texts"
                    )
        return Batch.of([[self.number[token] for token in row] for row in rows], self)

    def words(self, batch: Batch) -> list[list[str]]:
        """The tokens of each row."""
        return [[self.tokens[token] for token in row] for row in batch.token_lists()]
