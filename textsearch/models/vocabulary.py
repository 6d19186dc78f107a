"""A transformers tokenizer as the vocabulary of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import regex
import torch
from tokenizers.models import WordPiece
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import strings
from textsearch.models.characters import is_character_level
from textsearch.models.turns import lock_of
from textsearch.surface import join_words, truecase

_SEVERAL_MARKS = regex.compile(r"(?!##)[^\p{L}\p{M}\p{N}]{2,}")
_UNUSED = regex.compile(r"\[unused\d+\]|<unused\d+>|madeupword\d+")


@final
@dataclass(frozen=True, eq=False)
class TokenizerVocabulary:
    """Encodes and decodes with any fast transformers tokenizer.

    WordPiece texts are rendered deterministically: pieces joined, spaces set around punctuation, and capitals put back
    if the tokenizer had lower-cased them; other tokenizers decode themselves.

    Attributes:
        tokenizer: a `PreTrainedTokenizerFast`.
        longest: tokens that the model can read in one text, its special tokens not counted.
        capitals: for each input, words in the tokenizer's own form -> as they are written in its texts.
    """

    tokenizer: Any
    longest: int
    capitals: Sequence[Mapping[str, str]] = ()

    @cached_property
    def pieces(self) -> list[str]:
        """V token strings by id; empty for ids without one."""
        pieces = [""] * self.size
        for piece, index in self.tokenizer.get_vocab().items():
            pieces[index] = piece
        return pieces

    @cached_property
    def size(self) -> int:
        """V."""
        return 1 + int(max(self.tokenizer.get_vocab().values()))

    @cached_property
    def mask_id(self) -> int:
        """The tokenizer's mask; for a causal model's tokenizer, its unknown or end token serves."""
        for name in ("mask_token_id", "unk_token_id", "eos_token_id"):
            index = getattr(self.tokenizer, name, None)
            if index is not None:
                return int(index)
        return 0

    @cached_property
    def wordpiece(self) -> bool:
        """Whether the tokenizer is a WordPiece: "##" marks the pieces that go on a word."""
        return isinstance(self.tokenizer.backend_tokenizer.model, WordPiece)

    @cached_property
    def one_spelling(self) -> bool:
        """Whether no text has two spellings: each character is a token, and no token is more."""
        return is_character_level(self.pieces)

    @cached_property
    def lower_cases(self) -> bool:
        """Whether capitals are lost."""
        return bool(self._ids(["A"])[0] == self._ids(["a"])[0])

    @cached_property
    def allowed(self) -> Tensor:
        """(V,) bool: no special, unused or absent tokens, and none that no text is spelt with.

        Of an English WordPiece only Latin text and punctuation.
        """
        special = set(self.tokenizer.all_special_ids)
        plain = regex.compile(r"(##)?[\x21-\x7e]+") if self.wordpiece and self._mostly_latin else regex.compile(r".+")
        allowed = [
            index not in special and not _UNUSED.fullmatch(piece) and bool(plain.fullmatch(piece))
            for index, piece in enumerate(self.pieces)
        ]
        if self.wordpiece:
            # "..." is in the vocabulary, and read as three tokens: no text would be spelt with it
            marks = [i for i, piece in enumerate(self.pieces) if allowed[i] and _SEVERAL_MARKS.fullmatch(piece)]
            for index, row in zip(marks, self._ids([self.pieces[i] for i in marks]), strict=True):
                allowed[index] = row == [index]
        return torch.tensor(allowed)

    @cached_property
    def continues(self) -> Tensor:
        """(V,) bool: pieces that go on the word before them."""
        if self.wordpiece:
            return torch.tensor([piece.startswith("##") for piece in self.pieces])
        for mark in ("▁", "Ġ"):
            if sum(piece.startswith(mark) for piece in self.pieces) > self.size // 10:
                return torch.tensor([piece[:1].isalnum() and not piece.startswith(mark) for piece in self.pieces])
        return torch.zeros(self.size, dtype=torch.bool)

    def encode(self, texts: Sequence[str]) -> Batch:
        """The texts as token ids without special tokens; "[MASK]" in a text is the mask.

        Raises:
            ValueError: a text that the tokenizer cannot write, or one too long for the model.
        """
        texts = strings("texts", texts)
        rows = self._ids(list(texts))
        unknown = self.tokenizer.unk_token_id
        for text, row in zip(texts, rows, strict=True):
            if unknown is not None and unknown != self.tokenizer.mask_token_id and unknown in row:
                raise ValueError(
                    f"the tokenizer has no pieces for part of {text!r} (it reads {self.tokenizer.decode(row)!r}); "
                    "write it with other characters, or use a model whose tokenizer knows them"
                )
            if len(row) > self.longest:
                raise ValueError(
                    f"a text of {len(row)} tokens is over the model's limit of {self.longest}: {text[:60]!r}...; "
                    "shorten or split it"
                )
        return Batch.of(rows, self)

    def decode(self, batch: Batch) -> list[str]:
        """Surface texts."""
        rows = batch.token_lists()
        if not rows:
            return []  # an empty list would be decoded as one text
        if not self.wordpiece:
            with lock_of(self.tokenizer):
                return [str(text) for text in self.tokenizer.batch_decode(rows, skip_special_tokens=False)]
        known = len(self.capitals)
        inputs = batch.inputs.tolist() if known else [0] * len(rows)
        return [
            self._render(row, self.capitals[number] if number < known else {})
            for row, number in zip(rows, inputs, strict=True)
        ]

    def plain(self, word: str) -> str:
        """A word as the tokenizer normalises it."""
        normalizer = self.tokenizer.backend_tokenizer.normalizer
        return str(normalizer.normalize_str(word)) if normalizer else word

    def _render(self, row: list[int], capitals: Mapping[str, str]) -> str:
        words: list[str] = []
        for token in row:
            piece = self.pieces[token]
            if piece.startswith("##") and words:
                words[-1] += piece[2:]
            else:
                words.append(piece)
        return join_words(truecase(words, capitals) if self.lower_cases else words)

    def _ids(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        # a tokenizer is set up anew by some calls, which fails while another thread is in one
        with lock_of(self.tokenizer):
            encoded = self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)
        return [list(row) for row in encoded["input_ids"]]

    @cached_property
    def _mostly_latin(self) -> bool:
        latin = sum(bool(regex.fullmatch(r"(##)?[a-zA-Z]+", piece)) for piece in self.pieces)
        return latin > self.size // 2
