"""Two vocabularies matched: the token of one that what a token of the other writes begins with.

It takes seconds for two of tens of thousands of tokens, and depends on nothing but them and on how texts are spelt
here. So it is kept in the cache, under a hash of both tokenizers and of the code that spells. Two vocabularies of the
same byte-level tokens need no matching: a token is itself, and at the beginning of a text the one without the space.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary, every_token
from textsearch.cache import cache_folder, write_whole
from textsearch.models.reading.turns import remembered
from textsearch.models.rendered import tokens_of
from textsearch.models.token_bytes import SPACE, byte_level
from textsearch.models.vocabulary import TokenizerVocabulary

_HERE = Path(__file__)
_SPELLING = (
    _HERE,
    _HERE.with_name("vocabulary.py"),
    _HERE.with_name("byte_level.py"),
    _HERE.with_name("sources.py"),
    _HERE.with_name("token_bytes.py"),
    _HERE.parents[1] / "language" / "surface.py",
)
"""The code that an answer depends on."""

_SMALL = 10_000
"""Tokens of both that are matched in no time, and not kept."""


@remembered(most=4)
def first_pieces(vocabulary: Vocabulary, causal: Vocabulary) -> Tensor:
    """(2, V) int64: the first token of `causal` for each token of `vocabulary`, within a text and at its beginning."""
    if (same := _same(vocabulary, causal)) is not None:
        return same
    size = len(vocabulary.allowed)
    path = _place(vocabulary, causal) if size + len(causal.allowed) > _SMALL else None
    if path is None:
        return _matched(vocabulary, causal)
    try:
        kept = torch.from_numpy(np.load(path, allow_pickle=False))
        fits = kept.shape == (2, size) and kept.dtype == torch.int64
        if fits and bool(((kept >= 0) & (kept < len(causal.allowed))).all()):
            return kept
    except (OSError, ValueError, EOFError):
        pass
    found = _matched(vocabulary, causal)
    data = io.BytesIO()
    np.save(data, found.numpy(), allow_pickle=False)
    write_whole(path, data.getvalue())
    return found


def _same(vocabulary: Vocabulary, causal: Vocabulary) -> Tensor | None:
    """The answer for two vocabularies of the same tokens; None for any others."""
    if not isinstance(vocabulary, TokenizerVocabulary) or not isinstance(causal, TokenizerVocabulary):
        return None
    if not vocabulary.leading_space or vocabulary.pieces != causal.pieces:
        return None
    index = {piece: token for token, piece in enumerate(vocabulary.pieces) if piece}
    begin = [index.get(piece.removeprefix(SPACE), -1) for piece in vocabulary.pieces]
    others = [token for token, one in enumerate(begin) if one < 0]
    # a word that is no token by itself begins with one; what is no text begins with itself
    texts = [byte_level(vocabulary.pieces[token].removeprefix(SPACE)).decode(errors="ignore") for token in others]
    for token, row in zip(others, causal.read(texts), strict=True):
        begin[token] = row[0] if row else token
    return torch.stack([torch.arange(vocabulary.size), torch.tensor(begin)])


def _matched(vocabulary: Vocabulary, causal: Vocabulary) -> Tensor:
    single = every_token(vocabulary)
    begin = single.texts()
    # within a text the rendering after a plain word shows whether a space goes before
    plain = vocabulary.allowed & ~vocabulary.continues
    anchor = next(i for i in plain.nonzero().flatten().tolist() if begin[i].isalpha())
    pairs = torch.cat([torch.full_like(single.tokens, anchor), single.tokens], 1)
    both = torch.ones_like(pairs, dtype=torch.bool)
    double = Batch(pairs, 2 * single.lengths, both, torch.zeros_like(single.lengths), vocabulary)
    inner = [text[len(begin[anchor]) :] for text in double.texts()]
    firsts = []
    for texts in (inner, begin):
        rows = tokens_of(causal, [text or " " for text in texts])
        firsts.append([row[0] if row else 0 for row in rows])
    return torch.tensor(firsts)


def _place(*vocabularies: Vocabulary) -> Path | None:
    """Where the answer for two vocabularies is kept; None if one of them is no tokenizer's."""
    digest = hashlib.sha256()
    for file in _SPELLING:
        digest.update(file.read_bytes())
    for one in vocabularies:
        if not isinstance(one, TokenizerVocabulary) or one.spellings or one.sources:
            return None
        tokenizer = one.tokenizer
        own = (tokenizer.all_special_ids, tokenizer.clean_up_tokenization_spaces, one.longest, one.leading_space)
        digest.update(repr(own).encode() + tokenizer.backend_tokenizer.to_str().encode())
    return cache_folder() / f"first-pieces-{digest.hexdigest()[:32]}.npy"
