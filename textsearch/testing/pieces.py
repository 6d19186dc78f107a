"""A toy vocabulary whose tokens are strings of bytes: several letters, or parts of a character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep, sequence, strings
from textsearch.kinds import nature, shown
from textsearch.models.byte_level import goes_on
from textsearch.models.recipes import reduced_as_one


@final
@dataclass(frozen=True, eq=False)
class ByteVocabulary:
    """Tokens that are strings of bytes; id 0 is "_", the mask. A text is spelt from the left, the longest token first.

    So most texts have several rows of tokens, one of them canonical, and some rows end within a character.

    Attributes:
        token_bytes: the bytes of each token, "_" for the first one.
        leading_space: texts are read with a space in front, which is no part of them, and words begin where
            `textsearch.models.byte_level` has them; without it every token is a word.

    >>> vocabulary = ByteVocabulary((b"_", b"a", b"b", b"ab", b"\\xc3", b"\\xa9"))
    >>> vocabulary.encode(["abaé"]).tokens.tolist(), vocabulary.encode(["abaé"]).texts()
    ([[3, 1, 4, 5]], ['abaé'])
    >>> words = ByteVocabulary((b"_", b" a", b"a", b" "), leading_space=True)
    >>> words.encode(["a aa"]).tokens.tolist(), words.encode(["a aa"]).texts(), words.continues.tolist()
    ([[1, 1, 2]], ['a aa'], [False, False, True, False])
    """

    token_bytes: tuple[bytes, ...]
    leading_space: bool = False

    def __post_init__(self) -> None:
        found = sequence("token_bytes", self.token_bytes, "strings of bytes", '[b"_", b"a"]')
        for place, one in enumerate(found):
            if not isinstance(one, bytes) or not one:
                raise TypeError(f"token_bytes[{place}]={shown(one)} is {nature(one)}, not a string of one byte or more")
        if not found or found[0] != b"_" or len(set(found)) < len(found):
            raise ValueError(f'token_bytes={shown(found)} must begin with b"_", the mask, and have no two alike')
        keep(self, token_bytes=found)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced_as_one(self)

    @property
    def size(self) -> int:
        """The tokens, the mask among them."""
        return len(self.token_bytes)

    @property
    def mask_id(self) -> int:
        """Zero."""
        return 0

    @property
    def allowed(self) -> Tensor:
        """(V,) all but the mask."""
        return torch.arange(self.size) > 0

    @property
    def continues(self) -> Tensor:
        """(V,) none, or with a `leading_space` those that begin with a letter or within a character."""
        return torch.tensor([self.leading_space and one != b"_" and goes_on(one) for one in self.token_bytes])

    def encode(self, texts: Sequence[str]) -> Batch:
        """The longest token that fits, again and again; where none does is an error."""
        return Batch.of([self._spelt(text) for text in strings("texts", texts)], self)

    def decode(self, batch: Batch) -> list[str]:
        """The bytes as UTF-8, the replacement character for what is none."""
        front = " " if self.leading_space else ""
        return [
            b"".join(self.token_bytes[token] for token in row).decode(errors="replace").removeprefix(front)
            for row in batch.token_lists()
        ]

    def _spelt(self, text: str) -> list[int]:
        index = {piece: token for token, piece in enumerate(self.token_bytes)}
        longest = max(map(len, self.token_bytes))
        left, row = (f" {text}" if self.leading_space and text else text).encode(), []
        while left:
            size = next((size for size in range(min(longest, len(left)), 0, -1) if left[:size] in index), None)
            if size is None:
                raise ValueError(f"{text!r} goes on with {left[:20]!r}, which begins with none of {self.token_bytes}")
            row.append(index[left[:size]])
            left = left[size:]
        return row
