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

import json
from collections.abc import Sequence
from threading import RLock
from typing import Any, final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from textsearch.batch import Vocabulary
from textsearch.beginnings import Beginnings, TokenBytes, characters, completions
from textsearch.models.merged_edges import MergedEdges
from textsearch.models.vocabulary import TokenizerVocabulary

Bools = NDArray[np.bool_]

# of pairs; all of them must be unset
_OPTIONS = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "byte_fallback",
    "ignore_merges",
)
_ENDINGS = ("s", "t", "m", "d", "ll", "re", "ve", "l", "r", "v", "e")
"""What may stand behind an apostrophe in one piece with it, and the first letters of that."""

_KEPT = 100_000  # places between two texts

_LOCK = RLock()


@final
class StrayPairs:
    """What is known of the pairs of one tokenizer.

    >>> from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    >>> from transformers import PreTrainedTokenizerFast
    >>> from textsearch.models.vocabulary import TokenizerVocabulary
    >>> pairs = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, "-": 3}, [("a", "b")]))
    >>> pairs.pre_tokenizer, pairs.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    >>> vocabulary = TokenizerVocabulary(PreTrainedTokenizerFast(tokenizer_object=pairs), 9)
    >>> StrayPairs(vocabulary).behind([3, 0])[:4].tolist()
    [False, True, False, False]
    """

    def __init__(self, vocabulary: Any) -> None:
        self._bytes: Sequence[bytes] = vocabulary.token_bytes
        self._added = frozenset(vocabulary.tokenizer.added_tokens_decoder)
        backend = vocabulary.tokenizer.backend_tokenizer
        self._cutter = backend.pre_tokenizer
        self._edges = MergedEdges(vocabulary.size, _merges(backend))
        self._kinds: dict[str, str] = {}
        self._cut: dict[tuple[str, str], bool] = {}
        numbers: dict[tuple[str, ...], int] = {}
        leads = map(self._leads_of, self._bytes)
        self._lead_of = np.array([numbers.setdefault(lead, len(numbers)) for lead in leads], dtype=np.int64)
        self._leads = list(numbers)

    def behind(self, row: Sequence[int]) -> Bools:
        """(V,) bool: the tokens that never follow a row in that of a text; False proves nothing."""
        cut = max((place + 1 for place, token in enumerate(row) if token in self._added), default=0)
        if cut == len(row):
            return np.zeros(len(self._bytes), dtype=np.bool_)
        found = self._edges.behind(row[-1])
        found[list(self._added)] = False
        within = np.zeros(len(self._leads), dtype=np.bool_)
        within[self._lead_of[found]] = True
        asked = within.nonzero()[0].tolist()
        written = b"".join(self._bytes[token] for token in row[cut:])
        within[asked] = self._within(written, [self._leads[number] for number in asked])
        kept: Bools = found & within[self._lead_of]
        return kept

    def _within(self, before: bytes, leads: Sequence[Sequence[str]]) -> list[bool]:
        """Whether the place between some bytes and each beginning is within one piece, whatever follows.

        Texts are cut between characters, and never within one.

        Args:
            before: the bytes.
            leads: of each beginning the texts of which it is one; none where they are not known.
        """
        found = characters(before)
        if found is None or found[1]:
            return [found is not None] * len(leads)
        text = found[0]
        # where a piece has begun stays so, but that an apostrophe may take in a piece
        begun = [start for _, (start, _) in self._cutter.pre_tokenize_str(text)[-2:]]
        tail = text[begun[0] :] if begun else ""
        return [bool(own) and all(self._is_within(tail, lead) for lead in own) for own in leads]

    def _is_within(self, before: str, after: str) -> bool:
        key = before, after
        found = self._cut.get(key)  # other threads may clear it
        if found is None:
            if len(self._cut) > _KEPT:
                self._cut.clear()
            found = self._cut[key] = self._found_within(before, after)
        return found

    def _found_within(self, before: str, after: str) -> bool:
        text = before + after
        for _, (start, stop) in self._cutter.pre_tokenize_str(text):
            if start < len(before) < stop:
                return stop < len(text) or not text[start:stop].isspace()
        return False

    def _leads_of(self, written: bytes) -> tuple[str, ...]:
        """Texts, one of which is cut from what stands before as that of a token is; none where they are not known."""
        found = characters(written)
        if found is None or not (found[0] or found[1]):
            return ()
        texts = [found[0]] if found[0] else completions(found[1])
        return () if texts is None else tuple(sorted(set(map(self._lead, texts))))

    def _lead(self, text: str) -> str:
        lead = ""
        for character in text:
            kind = self._kind(character)
            lead += kind or character
            if kind:
                break
        return next((own for own in _ENDINGS if text.startswith(own)), lead)

    def _kind(self, character: str) -> str:
        """A character that is cut from others as this one is, "" for white space: that stands for itself."""
        if character not in self._kinds:
            like = (one for one in "a1-" if len(self._cutter.pre_tokenize_str(one + character)) == 1)
            self._kinds[character] = next(like, "")
        return self._kinds[character]


def strays(beginnings: Beginnings) -> Bools | None:
    """(K, V) bool, the tokens that never follow a beginning in the row of a text; None where nothing is known.

    False proves nothing. The end is no token of texts, and no stray. A vocabulary may tell by itself: `strays(row)`.
    """
    behind = getattr(beginnings.vocabulary, "strays", None)
    if behind is None and (known := pairs_of(beginnings.vocabulary)) is not None:
        behind = known.behind
    if behind is None or not len(beginnings):
        return None
    found: Bools = np.stack([behind(row) for row in beginnings.rows])
    found[:, beginnings.end] = False
    return found


_KNOWN: WeakKeyDictionary[Vocabulary, StrayPairs | None] = WeakKeyDictionary()


def pairs_of(vocabulary: Vocabulary) -> StrayPairs | None:
    """Those of a vocabulary; None where nothing is known of how it writes texts."""
    with _LOCK:
        if vocabulary not in _KNOWN:
            try:
                _KNOWN[vocabulary] = StrayPairs(vocabulary) if _is_known(vocabulary) else None
            except ValueError:  # its merges are in no order of time
                _KNOWN[vocabulary] = None
        return _KNOWN[vocabulary]


def _merges(backend: Any) -> dict[tuple[int, int], int]:
    """Pairs of tokens and what they become, in order."""
    model = json.loads(backend.to_str())["model"]
    number, merges = model["vocab"], (one.split(" ") if isinstance(one, str) else one for one in model["merges"])
    return {(number[first], number[second]): number[first + second] for first, second in merges}


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
