"""Beginnings of texts, token by token: what proposals that write from left to right ask of an objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, final, runtime_checkable

from textsearch.batch import Vocabulary


@runtime_checkable
class TokenBytes(Protocol):
    """A vocabulary whose texts are the bytes of their tokens, one after another."""

    @property
    def token_bytes(self) -> Sequence[bytes]:
        """V strings of bytes; b"" for tokens that write nothing. A token may be a part of a character."""


@final
@dataclass(frozen=True, eq=False)
class Beginnings:
    """K texts that are not finished, as the tokens written so far; what stands before them, a prompt, is no part.

    Attributes:
        vocabulary: of the tokens.
        end: the token that ends a text.
        rows: K rows of token ids.
        numbers: K numbers of the inputs that they are texts for.
    """

    vocabulary: Vocabulary
    end: int
    rows: Sequence[Sequence[int]]
    numbers: Sequence[int]

    def __len__(self) -> int:
        """K."""
        return len(self.rows)

    @cached_property
    def written(self) -> tuple[bytes, ...] | None:
        """K strings of bytes, UTF-8 that may end within a character; None if the vocabulary has no `token_bytes`."""
        if not isinstance(self.vocabulary, TokenBytes):
            return None
        pieces = self.vocabulary.token_bytes
        return tuple(b"".join(pieces[token] for token in row) for row in self.rows)


def characters(written: bytes) -> tuple[str, bytes] | None:
    r"""The whole characters of a beginning and the bytes of one that is not finished; None if no text begins so.

    >>> characters("né".encode()), characters("né".encode()[:2]), characters(b"n\xff")
    (('né', b''), ('n', b'\xc3'), None)
    """
    # a row of bytes that are no UTF-8 is never the canonical one of its text, and so is forbidden: no text begins so
    try:
        return written.decode(), b""
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return None
        return written[: error.start].decode(), written[error.start :]


def completions(rest: bytes) -> Sequence[str] | None:
    r"""All characters whose UTF-8 is some first bytes and one more; None if they lack more than one.

    >>> found = completions(b"\xc3")
    >>> found[0], found[-1], len(found), completions(b"\xe0")
    ('À', 'ÿ', 64, None)
    """
    size = 2 if rest[0] < 0xE0 else 3 if rest[0] < 0xF0 else 4
    if len(rest) < size - 1:  # thousands of characters begin so
        return None
    found = (characters(rest + bytes([last])) for last in range(0x80, 0xC0))
    return [one[0] for one in found if one is not None]
