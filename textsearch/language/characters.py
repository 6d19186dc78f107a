"""Characters: a vocabulary of the single characters of some texts, which come back letter by letter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch

MASK = "\ufdd1"
"""Stands for a character that is to be filled in: a noncharacter, which no text holds."""


@final
@dataclass(frozen=True, eq=False)
class CharacterVocabulary:
    """Each character a token, white space too.

    Attributes:
        characters: V distinct ones, the mask first.

    >>> characters = CharacterVocabulary.of("你好 A")
    >>> characters.encode(["好 A你"]).texts()
    ['好 A你']
    >>> characters.encode(["你们"])
    Traceback (most recent call last):
        ...
    ValueError: '们' of '你们' is not among the 4 characters of this vocabulary: build it from all texts
    """

    characters: tuple[str, ...]
    one_spelling = True

    @staticmethod
    def of(characters: Iterable[str]) -> CharacterVocabulary:
        """The given ones, each once, in order, after the mask."""
        return CharacterVocabulary(tuple(dict.fromkeys([MASK, *characters])))

    @cached_property
    def number(self) -> dict[str, int]:
        """The id of each character."""
        return {one: number for number, one in enumerate(self.characters)}

    @property
    def size(self) -> int:
        """V."""
        return len(self.characters)

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
        """(V,) bool: none, a character is a word."""
        return torch.zeros(self.size, dtype=torch.bool)

    def encode(self, texts: Sequence[str]) -> Batch:
        """The texts, character by character."""
        for text in texts:
            for one in text:
                if one not in self.number:
                    raise ValueError(
                        f"{one!r} of {text!r} is not among the {self.size - 1} characters of this vocabulary: build it "
                        "from all texts"
                    )
        return Batch.of([[self.number[one] for one in text] for text in texts], self)

    def decode(self, batch: Batch) -> list[str]:
        """The texts."""
        return ["".join(self.characters[token] for token in row) for row in batch.token_lists()]
