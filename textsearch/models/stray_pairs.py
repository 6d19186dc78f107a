"""Proofs that two tokens never stand side by side where the tokenizer itself has cut the text.

Byte-level pairs: a text is cut into pieces, and within each the pair of lowest rank is merged, again and again. Nothing
was merged across the edges of two tokens that stand side by side in the end, so that their bytes alone come to the same
two tokens. Where they do not, a row with the two within one piece is that of no text, however it goes on. (Vieira et
al., "Language models over canonical byte-pair encodings", 2025.)

Whether the place between two tokens is within a piece must not depend on what is still to come. The expression of GPT-2
cuts at spaces and between runs of letters, digits and other marks. A run that has begun goes on or ends, and so is not
cut within later on; but of white space at the end of a text the last character may become the next piece's. Added
tokens are cut out of a text before all else: what stands behind one is a text of its own, and a row that spells one
with other tokens is that of no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final
from weakref import WeakKeyDictionary

from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from textsearch.batch import Vocabulary
from textsearch.beginnings import Beginnings, TokenBytes
from textsearch.models.vocabulary import TokenizerVocabulary

# of pairs; all of them must be unset
_OPTIONS = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "byte_fallback",
    "ignore_merges",
)


@final
class StrayPairs:
    """What is known of the pairs of one tokenizer.

    >>> from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    >>> from transformers import PreTrainedTokenizerFast
    >>> from textsearch.models.vocabulary import TokenizerVocabulary
    >>> pairs = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, "-": 3}, [("a", "b")]))
    >>> pairs.pre_tokenizer, pairs.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    >>> vocabulary = TokenizerVocabulary(PreTrainedTokenizerFast(tokenizer_object=pairs), 9)
    >>> StrayPairs(vocabulary).behind([3, 0], [0, 1, 2, 3])
    [False, True, False, False]
    """

    def __init__(self, vocabulary: Any) -> None:
        self._pieces: Sequence[str] = vocabulary.pieces
        self._bytes: Sequence[bytes] = vocabulary.token_bytes
        self._added = frozenset(vocabulary.tokenizer.added_tokens_decoder)
        self._cutter = vocabulary.tokenizer.backend_tokenizer.pre_tokenizer
        self._pairs = vocabulary.tokenizer.backend_tokenizer.model
        self._apart: dict[tuple[int, int], bool] = {}

    def behind(self, row: Sequence[int], tokens: Sequence[int]) -> list[bool]:
        """Which tokens never follow the last one of a row in the row of a text; False proves nothing."""
        cut = max((place + 1 for place, token in enumerate(row) if token in self._added), default=0)
        if cut == len(row):
            return [False] * len(tokens)
        found = [token not in self._added and not self._stays(row[-1], token) for token in tokens]
        if any(found):
            written = b"".join(self._bytes[token] for token in row[cut:])
            found = [
                gone and self._within(written, self._bytes[token]) for token, gone in zip(tokens, found, strict=True)
            ]
        return found

    def _stays(self, first: int, second: int) -> bool:
        """Whether the bytes of two tokens come to these two."""
        pair = first, second
        if pair not in self._apart:
            both = self._pairs.tokenize(self._pieces[first] + self._pieces[second])
            self._apart[pair] = [one.id for one in both] == [first, second]
        return self._apart[pair]

    def _within(self, before: bytes, after: bytes) -> bool:
        """Whether the place between two strings of bytes is within one piece, whatever follows."""
        try:
            size, text = len(before.decode()), (before + after).decode()
        except UnicodeDecodeError:
            return False
        for _, (start, stop) in self._cutter.pre_tokenize_str(text):
            if start < size < stop:
                return stop < len(text) or not text[start:stop].isspace()
        return False


def stray_next(beginnings: Beginnings, tokens: Sequence[Sequence[int]]) -> list[list[bool]]:
    """For each beginning which of its `tokens` never follow in the row of a text; False proves nothing.

    The end, which is no token of texts, is never asked for. A vocabulary may tell by itself: `strays(row, tokens)`.
    """
    own = getattr(beginnings.vocabulary, "strays", None)
    if own is not None:
        return [own(row, asked) for row, asked in zip(beginnings.rows, tokens, strict=True)]
    known = pairs_of(beginnings.vocabulary)
    if known is None:
        return [[False] * len(asked) for asked in tokens]
    return [known.behind(row, asked) for row, asked in zip(beginnings.rows, tokens, strict=True)]


_KNOWN: WeakKeyDictionary[Vocabulary, StrayPairs | None] = WeakKeyDictionary()


def pairs_of(vocabulary: Vocabulary) -> StrayPairs | None:
    """Those of a vocabulary; None where nothing is known of how it writes texts."""
    if vocabulary not in _KNOWN:
        _KNOWN[vocabulary] = StrayPairs(vocabulary) if _is_known(vocabulary) else None
    return _KNOWN[vocabulary]


def _is_known(vocabulary: Any) -> bool:
    """Whether texts are cut and merged as the module says, and a row is what the tokenizer reads of its text."""
    if not isinstance(vocabulary, TokenizerVocabulary) or not isinstance(vocabulary, TokenBytes):
        return False
    backend = getattr(vocabulary.tokenizer, "backend_tokenizer", None)
    if backend is None or vocabulary.spellings:
        return False
    pairs, cutter = backend.model, backend.pre_tokenizer
    return (
        isinstance(pairs, BPE)
        and not any(getattr(pairs, option) for option in _OPTIONS)
        and backend.normalizer is None
        and isinstance(cutter, ByteLevel)
        and cutter.use_regex
        and not cutter.add_prefix_space
        and not any(
            one.lstrip or one.rstrip or one.single_word for one in vocabulary.tokenizer.added_tokens_decoder.values()
        )
    )
