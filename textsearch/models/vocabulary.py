"""A transformers tokenizer as the vocabulary of batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from threading import RLock
from typing import Any, final
from weakref import WeakValueDictionary

import regex
import torch
from tokenizers.models import WordPiece
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import strings
from textsearch.language.surface import AsWritten, Spellings, cased, join_words, spelt, truecase
from textsearch.models.byte_level import (
    MASK,
    adds,
    first_unwritable,
    goes_on,
    is_layout,
    parts_of,
    unwritable,
)
from textsearch.models.checkpoints.characters import is_character_level
from textsearch.models.reading.turns import lock_of
from textsearch.models.recipes import reduced_as_one
from textsearch.models.sources import Source, begins_sentence, runs
from textsearch.models.token_bytes import byte_level, bytes_of_tokens, is_byte_level

_OF_TOKENS = ("pieces", "size", "mask_id", "wordpiece", "one_spelling", "lower_cases", "allowed", "continues", "_bytes")
_ANCHOR = ["x"]  # what follows is within a sentence
_SEVERAL_MARKS = regex.compile(r"(?!##)[^\p{L}\p{M}\p{N}]{2,}")
_LATIN = regex.compile(r"(##)?[a-zA-Z]+")
_PRINTED = regex.compile(r"(##)?[\x21-\x7e]+")
_ANY = regex.compile(r".+")
_WITHIN = regex.compile(r"##\p{Han}")
_UNUSED = regex.compile(r"\[unused\d+\]|<unused\d+>|madeupword\d+")


@final
@dataclass(frozen=True, eq=False)
class TokenizerVocabulary:
    """Encodes and decodes with any fast transformers tokenizer.

    WordPiece texts are rendered deterministically: pieces joined, spaces set around punctuation, and capitals put back
    if the tokenizer had lower-cased them; other tokenizers decode themselves. What a user wrote is rendered as it was
    written: words and phrases by `spellings`, and all that stands around the gaps of a text by `sources`.

    Where a text is the bytes of its tokens, one after another, the vocabulary has `token_bytes`, see
    `textsearch.beginnings`; a WordPiece has no such attribute, and none that knows texts with gaps, or with a
    `leading_space`.

    Attributes:
        tokenizer: a `PreTrainedTokenizerFast`.
        longest: tokens that the model can read in one text, its special tokens not counted.
        spellings: for each input, how words are written in its texts, alone or one after another; see `spelling`.
        sources: for each input, the text whose gaps the editable tokens of its rows fill; see `gapped`.
        leading_space: texts are read with a space in front, which is no part of them, and come back character by
            character; of a byte-level tokenizer. See `textsearch.models.byte_level`.
    """

    tokenizer: Any
    longest: int
    spellings: Sequence[Spellings] = ()
    sources: Sequence[Source] = ()
    leading_space: bool = False

    def __post_init__(self) -> None:
        # set where it is true only: a property that raises is still an attribute to isinstance, from Python 3.12 on
        if not self.sources and not self.leading_space and (token_bytes := bytes_of_tokens(self)) is not None:
            vars(self)["token_bytes"] = token_bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced_as_one(self)

    @cached_property
    def unrendered(self) -> TokenizerVocabulary:
        """The same tokenizer without `spellings` and `sources`; what single tokens write is remembered for this one."""
        return replace(self, spellings=(), sources=()) if self.spellings or self.sources else self

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
    def _bytes(self) -> Sequence[bytes]:
        """V strings of bytes, what each token writes, the mask as users write it; of a byte-level tokenizer only."""
        if not is_byte_level(self.tokenizer):
            return ()
        pieces = [byte_level(piece) for piece in self.pieces]
        if self.leading_space:
            pieces[self.mask_id] = f" {MASK}".encode()
        return pieces

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

        Of an English WordPiece only Latin text and punctuation. With a `leading_space` no line breaks, control
        characters or runs of spaces: texts keep those that they have.
        """
        special = set(self.tokenizer.all_special_ids)
        if self.leading_space:
            special |= {index for index, added in self.tokenizer.added_tokens_decoder.items() if added.special}
            special |= {index for index, piece in enumerate(self._bytes) if piece != b" " and is_layout(piece)}
        plain = _PRINTED if self.wordpiece and self._mostly_latin else _ANY
        allowed = [
            index not in special and not _UNUSED.fullmatch(piece) and bool(plain.fullmatch(piece))
            for index, piece in enumerate(self.pieces)
        ]
        if self.wordpiece:
            # "..." is in the vocabulary, and read as three tokens: no text would be spelt with it
            marks = [i for i, piece in enumerate(self.pieces) if allowed[i] and _SEVERAL_MARKS.fullmatch(piece)]
            for index, row in zip(marks, self._ids([self.pieces[i] for i in marks]), strict=True):
                allowed[index] = row == [index]
            # a Chinese character is a word by itself in most, and yet BERT's Chinese vocabulary has each of them twice
            within = [i for i, piece in enumerate(self.pieces) if allowed[i] and _WITHIN.match(piece)]
            for index, row in zip(within, self._ids(["一" + self.pieces[i][2:] for i in within]), strict=True):
                allowed[index] = index in row
        return torch.tensor(allowed)

    @cached_property
    def continues(self) -> Tensor:
        """(V,) bool: pieces that go on the word before them."""
        if self.wordpiece:
            return torch.tensor([piece.startswith("##") for piece in self.pieces])
        if self._bytes:
            return torch.tensor(list(map(goes_on, self._bytes)))
        if sum(piece.startswith("▁") for piece in self.pieces) > self.size // 10:
            return torch.tensor([piece[:1].isalnum() for piece in self.pieces])
        return torch.zeros(self.size, dtype=torch.bool)

    def encode(self, texts: Sequence[str]) -> Batch:
        """The texts as token ids without special tokens; "[MASK]" in a text is the mask.

        Raises:
            ValueError: a text that the tokenizer cannot write, or one too long for the model.
        """
        texts = strings("texts", texts)
        if self.leading_space:
            self._check_writable(texts)
        rows = self._ids(list(texts))
        unknown = self.tokenizer.unk_token_id
        for text, row in zip(texts, rows, strict=True):
            if unknown is not None and unknown != self.tokenizer.mask_token_id and unknown in row:
                raise ValueError(
                    f"the tokenizer has no pieces for part of {text!r} (it reads {self.tokenizer.decode(row)!r}); "
                    "write it with other characters, or use a model whose tokenizer knows them"
                )
            self._check_length(text, row)
        return Batch.of(rows, self)

    def read(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, whatever its length; what the tokenizer cannot write is its unknown token."""
        return self._ids(list(strings("texts", texts)))

    def gapped(
        self,
        texts: Sequence[Sequence[str]],
        stems: Sequence[Mapping[int, str]] | None = None,
        space: str = " ",
    ) -> tuple[TokenizerVocabulary, Batch]:
        """Texts with gaps as rows that are rendered as they were written, a mask in each gap; nothing else is editable.

        The vocabulary of the batch, which is given with it, knows the texts.

        Args:
            texts: of each, the parts between its gaps.
            stems: of each, number of a gap -> how its word begins, which is written as it is here.
            space: what stands between the words of a gap that has come to hold several.

        Raises:
            ValueError: one too long for the model.

        >>> from transformers import BertTokenizerFast
        >>> pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cafe", "##s", "big"]
        >>> vocabulary = TokenizerVocabulary(BertTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)}), 9)
        >>> _, batch = vocabulary.gapped([["THE  ", "", " Café\\t😀"]])
        >>> batch.texts(), batch.with_tokens(torch.tensor([1]), torch.tensor([8])).texts()
        (['THE  [MASK][MASK] Café\\t😀'], ['THE  big[MASK] Café\\t😀'])
        """
        rows, sources = [], []
        for parts, begun in zip(texts, [{}] * len(texts) if stems is None else stems, strict=True):
            ids, ends = self._kept_ids(parts) if self.leading_space else self._ids_and_ends(list(parts))
            row = list(ids[0])
            for own in ids[1:]:
                row += [self.mask_id, *own]
            self._check_length("[MASK]".join(parts), row)
            rows.append(row)
            sources.append(Source.of(parts, ends, begun, space))
        knowing = self.rendering(sources=tuple(sources))
        batch = Batch.of(rows, knowing)
        return knowing, batch.frozen(batch.tokens != self.mask_id)

    def rendering(self, *, spellings: Sequence[Spellings] = (), sources: Sequence[Source] = ()) -> TokenizerVocabulary:
        """The same tokenizer with texts rendered otherwise; what was worked out about its tokens is kept."""
        other = replace(self, spellings=spellings, sources=sources)
        vars(other).update({name: getattr(self, name) for name in (*_OF_TOKENS, "unrendered")})
        return other

    def decode(self, batch: Batch) -> list[str]:
        """Surface texts."""
        inputs = batch.inputs.tolist()
        if self.sources:
            return [
                "".join(own) + self.sources[number].tail
                for own, number in zip(self.strings(batch), inputs, strict=True)
            ]
        rows = batch.token_lists()
        if self.leading_space:
            return [text.removeprefix(" ") for text in self._decoded(rows)]
        if not self.wordpiece:
            return self._decoded(rows)
        known = len(self.spellings)
        return [
            self._render(row, self.spellings[number] if number < known else {})
            for row, number in zip(rows, inputs, strict=True)
        ]

    def strings(self, batch: Batch) -> list[list[str]]:
        """What each token of each row adds to its text, the tail apart, where the vocabulary has `sources`."""
        return [
            self.sources[number].strings(row, editable, begins, self._written)
            for row, editable, begins, number in zip(
                batch.token_lists(),
                batch.editable.tolist(),
                batch.word_starts.tolist(),
                batch.inputs.tolist(),
                strict=True,
            )
        ]

    def respelled(self, batch: Batch) -> list[list[int]] | None:
        """The rows with each word in a gap as the tokenizer reads it (`textsearch.spelling`); None without `sources`.

        What stands around the gaps may be nothing that the tokenizer knows, and is the user's.
        """
        if not self.sources:
            return None
        flags = zip(batch.token_lists(), batch.editable.tolist(), batch.word_starts.tolist(), strict=True)
        cut = [list(runs(*own)) for own in flags]
        words = list(dict.fromkeys(tuple(tokens) for own in cut for tokens, is_kept in own if not is_kept))
        texts = (
            ["".join(self._words(word)) for word in words] if self.wordpiece else self._decoded(list(map(list, words)))
        )
        read = dict(zip(words, self._ids_within(texts) if self.leading_space else self._ids(texts), strict=True))
        return [
            [token for tokens, is_kept in own for token in (tokens if is_kept else read[tuple(tokens)])] for own in cut
        ]

    def spelling(self, phrases: Iterable[str], *, as_written: bool = False) -> Spellings:
        """Words of a phrase -> the phrase as it is written, for those phrases that would be rendered otherwise.

        A phrase in small letters gets capitals like any other, unless it is to stay `as_written` at the beginning of a
        sentence too; one that the tokenizer cannot read has no spelling.

        >>> from transformers import BertTokenizerFast
        >>> pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "i", "##phone", "dog", "u", "s", "."]
        >>> vocabulary = TokenizerVocabulary(BertTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)}), 9)
        >>> vocabulary.spelling(["iPhone", "dog", "U.S."])
        {('iphone',): 'iPhone', ('u', '.', 's', '.'): 'U.S.'}
        """
        if not self.wordpiece:
            return {}
        found: dict[tuple[str, ...], str] = {}
        for phrase, row in zip(phrases := list(phrases), self._ids(phrases), strict=True):
            words = self._words(row)
            if as_written:
                if words and self.tokenizer.unk_token_id not in row:
                    found.setdefault(tuple(words), AsWritten(phrase))
                continue
            within = join_words(truecase([*_ANCHOR, *words])[1:] if self.lower_cases else words)
            plain = within.lower() == phrase
            if words and within != phrase and not plain and self.tokenizer.unk_token_id not in row:
                found.setdefault(tuple(words), phrase)
        return found

    def plain(self, word: str) -> str:
        """A word as the tokenizer normalises it."""
        normalizer = self.tokenizer.backend_tokenizer.normalizer
        return str(normalizer.normalize_str(word)) if normalizer else word

    def as_text(self, text: str) -> str:
        """The text with each special token that it spells out taken apart: in a prompt it would be one.

        A prompt is read as the chat format writes it, so that "<|im_end|>" in what somebody asks about would end it.
        """
        for token in self._special:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    @cached_property
    def _special(self) -> tuple[str, ...]:
        """What special tokens are written like, the longest first."""
        added = (token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special)
        found = {*added, *self.tokenizer.all_special_tokens}
        return tuple(sorted((token for token in found if len(token) > 1), key=lambda token: (-len(token), token)))

    def _check_writable(self, texts: Sequence[str]) -> None:
        """Refuse a text with a character that no tokens write."""
        for text in texts:
            if one := first_unwritable(text, self._unwritable):
                raise ValueError(
                    f"the tokenizer has no pieces for the character {one!r} of {text[:60]!r}; take it out, or write it "
                    "with others"
                )

    @cached_property
    def _unwritable(self) -> frozenset[int]:
        """Bytes of which no token is."""
        return unwritable(self._bytes)

    def _check_length(self, text: str, row: Sequence[int]) -> None:
        if len(row) > self.longest:
            raise ValueError(
                f"a text of {len(row)} tokens is over the model's limit of {self.longest}: {text[:60]!r}...; "
                "shorten or split it"
            )

    def _render(self, row: list[int], spellings: Spellings) -> str:
        words = self._words(row)
        return join_words(
            truecase(words, spellings) if self.lower_cases else [word for word, _ in spelt(words, spellings)]
        )

    def _words(self, row: Sequence[int]) -> list[str]:
        """The pieces of a WordPiece, joined."""
        words: list[str] = []
        for token in row:
            piece = self.pieces[token]
            if piece.startswith("##") and words:
                words[-1] += piece[2:]
            else:
                words.append(piece)
        return words

    def _written(self, tokens: list[int], before: str) -> list[str]:
        """What each token of a word in a gap adds to the text `before`."""
        sizes = range(1, len(tokens) + 1)
        if self.wordpiece:
            begun = ["".join(self._words(tokens[:size])) for size in sizes]
            if self.lower_cases and len(whole := cased(begun[-1], begins_sentence(before))) == len(begun[-1]):
                begun = [whole[: len(part)] for part in begun]
        elif self._bytes:
            # the space before it is that of the text
            first, *rest = adds([self._bytes[token] for token in tokens])
            return [first.removeprefix(" "), *rest]
        else:
            begun = [part.removeprefix(" ") for part in self._decoded([tokens[:size] for size in sizes])]
        return [part[len(old) :] for old, part in pairwise(["", *begun])]

    def _decoded(self, rows: list[list[int]]) -> list[str]:
        """The rows as texts, by the tokenizer alone."""
        if self.leading_space:
            return [b"".join([self._bytes[token] for token in row]).decode(errors="replace") for row in rows]
        if not rows:
            return []  # an empty list would be decoded as one text
        with lock_of(self.tokenizer):
            return [str(text) for text in self.tokenizer.batch_decode(rows, skip_special_tokens=False)]

    def _kept_ids(self, parts: Sequence[str]) -> tuple[list[list[int]], list[list[int]]]:
        """As `_ids_and_ends`, of the parts between gaps, where the word in a gap brings the space before it."""
        read = [part.removesuffix(" ") for part in parts[:-1]] + list(parts[-1:])
        # what stands right behind a gap begins anew: a word with a frozen piece could not be edited
        fronts = [
            " " if part and (number == 0 or goes_on(part[0].encode(errors="replace"))) else ""
            for number, part in enumerate(read)
        ]
        ids, ends = self._ids_and_ends([front + part for front, part in zip(fronts, read, strict=True)])
        return ids, [[max(end - len(front), 0) for end in own] for front, own in zip(fronts, ends, strict=True)]

    def _ids_and_ends(self, texts: list[str]) -> tuple[list[list[int]], list[list[int]]]:
        """Token ids, and where each token ends in its text, in characters."""
        encoded = self._tokenized(texts, return_offsets_mapping=True)
        return encoded["input_ids"], [[end for _, end in own] for own in encoded["offset_mapping"]]

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return self._ids_of([parts_of(text) if self.leading_space else [text] for text in texts])

    def _ids_within(self, texts: list[str]) -> list[list[int]]:
        """Of words within a text, which have the space before them."""
        return self._ids_of([text.split(f" {MASK}") for text in texts])

    def _ids_of(self, texts: list[list[str]]) -> list[list[int]]:
        """Of texts in parts, with a mask between any two."""
        flat = [part for parts in texts for part in parts]
        if not flat:
            return []
        found = iter(self._tokenized(flat, return_attention_mask=False)["input_ids"])
        rows = []
        for parts in texts:
            row = list(next(found))
            for _ in parts[1:]:
                row += [self.mask_id, *next(found)]
            rows.append(row)
        return rows

    def _tokenized(self, texts: list[str], **settings: bool) -> Any:
        # what is written like a special token is text all the same, where texts come back as they were written
        own = {"split_special_tokens": True} if self.leading_space else {}
        # a tokenizer is set up anew by some calls, which fails while another thread is in one
        with lock_of(self.tokenizer):
            return self.tokenizer(texts, add_special_tokens=False, verbose=False, **settings, **own)

    @cached_property
    def _mostly_latin(self) -> bool:
        latin = sum(_LATIN.fullmatch(piece) is not None for piece in self.pieces)
        return latin > self.size // 2


_TURN = RLock()
_PACKAGED: WeakValueDictionary[str, TokenizerVocabulary] = WeakValueDictionary()


def packaged(made: TokenizerVocabulary) -> TokenizerVocabulary:
    """The one vocabulary of all models that come with textsearch in this process: the first that was made of it."""
    with _TURN:
        return _PACKAGED.setdefault("packaged", made)
