"""The bytes that each token of a tokenizer writes, where a text is the bytes of its tokens, one after another.

So it is of byte-level pairs (Radford et al., "Language models are unsupervised multitask learners", 2019), whose tokens
may be parts of characters, and of pieces that fall back to bytes (Kudo and Richardson, "SentencePiece", 2018), if the
tokenizer strips nothing. It is not so where spaces are put between pieces, as a WordPiece tokenizer does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from typing import Any, Protocol, final, overload

import regex

SPACE = "\u0120"
"""The character that stands for a space in byte-level pieces."""

_BYTE = regex.compile(r"<0x([0-9A-Fa-f]{2})>")


class Pieces(Protocol):
    """A vocabulary that has a tokenizer and knows the string of each token."""

    @property
    def tokenizer(self) -> Any:
        """A `PreTrainedTokenizerFast`."""

    @property
    def pieces(self) -> Sequence[str]:
        """V token strings by id."""


@final
class BytesOfTokens(Sequence[bytes]):
    """V strings of bytes, worked out when somebody asks for the first: most runs never do."""

    def __init__(self, vocabulary: Pieces, reader: Callable[[str], bytes]) -> None:
        self._vocabulary, self._reader = vocabulary, reader

    @cached_property
    def _found(self) -> tuple[bytes, ...]:
        return tuple(map(self._reader, self._vocabulary.pieces))

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._found)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        return self._found[index]


def bytes_of_tokens(vocabulary: Pieces) -> BytesOfTokens | None:
    """The bytes of each token; None if texts are not the bytes of their tokens, one after another."""
    reader = _reader_of(vocabulary.tokenizer)
    if reader is None or getattr(vocabulary.tokenizer, "clean_up_tokenization_spaces", False):
        return None
    return BytesOfTokens(vocabulary, reader)


def is_byte_level(tokenizer: Any) -> bool:
    """Whether each token of a tokenizer of transformers is of byte-level pairs."""
    return _reader_of(tokenizer) is byte_level


def _reader_of(tokenizer: Any) -> Callable[[str], bytes] | None:
    """What one token writes; None where that depends on the tokens around it."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    # without a decoder there are spaces between tokens
    return None if decoder is None else _reader(json.loads(decoder.__getstate__()))


def _reader(decoder: dict[str, Any]) -> Callable[[str], bytes] | None:
    """What one token writes, by the description of a decoder; None where that depends on the tokens around it."""
    steps = decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"]:
        return byte_level
    if "Fuse" not in kinds or not {"Replace", "ByteFallback", "Fuse"}.issuperset(kinds):
        return None
    # what stands behind the joining would be done to the whole text
    before = steps[: kinds.index("Fuse")]
    if kinds[-1] != "Fuse" or any(step["type"] == "Replace" and "String" not in step["pattern"] for step in before):
        return None

    def read(piece: str) -> bytes:
        for step in before:
            if step["type"] == "ByteFallback" and (byte := _BYTE.fullmatch(piece)):
                return bytes([int(byte[1], 16)])
            if step["type"] == "Replace":
                piece = piece.replace(step["pattern"]["String"], step["content"])
        return piece.encode()

    return read


def byte_level(piece: str) -> bytes:
    """A piece whose characters stand for bytes; one with another character, such as a special token, is itself."""
    table = _byte_of_character()
    return bytes(table[letter] for letter in piece) if all(letter in table for letter in piece) else piece.encode()


@cache
def _byte_of_character() -> dict[str, int]:
    """The 256 characters that stand for bytes: those that can be seen for themselves, the others from U+0100 on."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(0x100 + place): byte for place, byte in enumerate(others)}
