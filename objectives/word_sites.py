"""Words at sites: which tokens are words, and how many words stand before and behind a place.

For hard terms on words that tell a proposal which tokens could stand at a site. A token is a word of the
surface text only where nothing joins it to its neighbours, as an apostrophe or a piece does; a place where that is not
certain is one of which nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import final

import regex
import torch
from torch import Tensor

from objectives.keywords import one_character_words, words
from objectives.text_features import is_mark
from textsearch.batch import Batch, Vocabulary, every_token
from textsearch.models.reading.turns import remembered
from textsearch.models.rendered import unrendered

_PIECE = regex.compile(r"(##)?[\p{L}\p{M}\p{N}]+")
_REMEMBERED = 500  # sets of words

Condition = tuple[Hashable, Callable[[str], bool]]
"""What a word must be like, with a key that stands for it."""


@final
@dataclass(frozen=True, eq=False)
class TokenWords:
    """What the tokens of a vocabulary write when each stands alone.

    Attributes:
        words: V words, case folded; empty for tokens that are not exactly one word of letters which a proposal may
            write.
        is_word: (V,) bool, where there is one.
        counts: (V,) int64, words that a token begins.
        certain: (V,) bool; False for pieces that may be more than a part of one word.
    """

    words: tuple[str, ...]
    is_word: Tensor
    counts: Tensor
    certain: Tensor
    _sets: dict[Hashable, Tensor] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(vocabulary: Vocabulary) -> TokenWords:
        """Worked out once for a vocabulary, however its texts are rendered.

        >>> from textsearch.testing import letters
        >>> TokenWords.of(letters("aB")).words
        ('', 'a', '')
        """
        return _token_words(unrendered(vocabulary))

    def having(self, key: Hashable, holds: Callable[[str], bool]) -> Tensor:
        """(V,) bool, the tokens that are no words, and the words for which `holds`; `key` stands for the condition."""
        if key not in self._sets:
            if len(self._sets) >= _REMEMBERED:
                self._sets.clear()
            self._sets[key] = torch.tensor([not word or holds(word) for word in self.words])
        return self._sets[key]


@final
@dataclass(frozen=True, eq=False)
class WordSites:
    """Places at which a word may be put, each in a row of its own.

    Attributes:
        tokens: of the vocabulary.
        before: K numbers of words before the place.
        after: K numbers of words behind it.
        certain: for each, whether a word that is put there is word `before` of the text, and joined to nothing.
        goes_on: for each, whether a piece behind it goes on the word that is put there.
    """

    tokens: TokenWords
    before: list[int]
    after: list[int]
    certain: list[bool]
    goes_on: list[bool]

    @staticmethod
    def of(batch: Batch, rows: Tensor, positions: Tensor) -> WordSites:
        """The sites `positions` (K,) of `rows` (K,), told from the other tokens alone. An open mask counts as a word.

        >>> from textsearch.language.words import WordVocabulary
        >>> words = WordVocabulary.of(["the", "dog", "ran", "."])
        >>> batch = words.batch([["the", "dog", "ran", "."]])
        >>> sites = WordSites.of(batch, torch.tensor([0, 0]), torch.tensor([1, 2]))
        >>> sites.before, sites.after, sites.certain
        ([1, 2], [1, 0], [True, True])
        """
        found = TokenWords.of(batch.vocabulary)
        part = batch.rows(rows)
        anchor = int(found.is_word.to(torch.int64).argmax())
        # what stands at the site is not to be seen: any word does in its place, and in that of a mask
        tokens = part.tokens.masked_fill(part.tokens == batch.vocabulary.mask_id, anchor).where(part.present, 0)
        filled = replace(part, tokens=tokens).with_tokens(positions, torch.full_like(positions, anchor))
        counts = found.counts.to(batch.device)[filled.tokens] * filled.present
        column = torch.arange(batch.width, device=batch.device)
        before = (counts * (column < positions[:, None])).sum(1)
        after = (counts * (column > positions[:, None])).sum(1)
        certain = (found.certain.to(batch.device)[filled.tokens] | ~filled.present).all(1)
        # as many words in the text as its tokens begin: nothing has joined any two
        joined = [sum(not is_mark(word) for word in words(text)) for text in filled.texts()]
        alone = (before + after + 1).tolist()
        behind = batch.vocabulary.continues.to(batch.device)[torch.nn.functional.pad(filled.tokens, (0, 1))]
        goes_on = behind.gather(1, positions[:, None] + 1)[:, 0] & (positions + 1 < filled.lengths)
        known = bool(found.is_word.any())
        return WordSites(
            found,
            before.tolist(),
            after.tolist(),
            [known and ok and one == all_ for ok, one, all_ in zip(certain.tolist(), joined, alone, strict=True)],
            goes_on.tolist(),
        )

    def allowed(self, conditions: Sequence[Condition | None]) -> Tensor | None:
        """(K, V) bool, the words that may stand at each site, by its condition and the key of it; None for all.

        None as well where no site has a condition.
        """
        if all(condition is None for condition in conditions):
            return None
        every = torch.ones(len(self.tokens.words), dtype=torch.bool)
        return torch.stack([every if one is None else self.tokens.having(*one) for one in conditions])


# a run asks for the words of its vocabulary at every step
@remembered(most=4)
def _token_words(vocabulary: Vocabulary) -> TokenWords:
    continues = vocabulary.continues.tolist()
    usable = vocabulary.allowed.tolist()
    texts = every_token(vocabulary).texts()
    found, counts, certain = [], [], []
    for text, goes_on, ok in zip(texts, continues, usable, strict=True):
        own = [word for word in words(text) if not is_mark(word)]
        alone = len(own) == 1 == len(words(text)) and own[0].isalpha()
        found.append(own[0] if alone and ok and not goes_on else "")
        counts.append(0 if goes_on else len(own))
        certain.append(not goes_on or (bool(_PIECE.fullmatch(text)) and not any(map(one_character_words, text))))
    is_word = torch.tensor([bool(word) for word in found])
    return TokenWords(tuple(found), is_word, torch.tensor(counts), torch.tensor(certain))
