"""Characters: a vocabulary of the single characters of some texts, which come back letter by letter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from textsearch.batch import Batch
from textsearch.language.listed import ListedVocabulary

MASK = "\ufdd1"
"""Stands for a character that is to be filled in: a noncharacter, which no text holds."""


@final
@dataclass(frozen=True, eq=False)
class CharacterVocabulary(ListedVocabulary):
    """Each character a token, white space too.

    Attributes:
        tokens: V distinct characters, the mask first.

    >>> characters = CharacterVocabulary.of("你好 A")
    >>> characters.encode(["好 A你"]).texts()
    ['好 A你']
    >>> characters.encode(["你们"])
    Traceback (most recent call last):
        ...
    ValueError: '们' of '你们' is not among the 4 characters of this vocabulary: build it from all texts
    """

    what: ClassVar[str] = "characters"

    @staticmethod
    def of(characters: Iterable[str]) -> CharacterVocabulary:
        """The given ones, each once, in order, after the mask."""
        return CharacterVocabulary(tuple(dict.fromkeys([MASK, *characters])))

    def encode(self, texts: Sequence[str]) -> Batch:
        """The texts, character by character."""
        return self.batch(texts)

    def decode(self, batch: Batch) -> list[str]:
        """The texts."""
        return ["".join(row) for row in self.words(batch)]

    def shown(self, row: Sequence[str], token: str) -> tuple[str, str]:
        """A character and its text."""
        return token, "".join(row)
