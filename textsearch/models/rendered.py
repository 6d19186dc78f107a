"""Masked models whose texts are rendered by another vocabulary of the same tokens.

So words come back as a user wrote them. What a vocabulary can do beyond encoding and decoding is found by its methods;
a vocabulary without these methods is used as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.language.surface import Spellings
from textsearch.models.protocols import MaskedLM, remembers, token_log_probs


@runtime_checkable
class SpellingVocabulary(Vocabulary, Protocol):
    """A vocabulary that can render certain words and phrases as they were written."""

    @property
    def unrendered(self) -> Vocabulary:
        """The same tokens, rendered without `spellings` or other texts of users."""

    def spelling(self, phrases: Iterable[str], *, as_written: bool = False) -> Spellings:
        """Words of a phrase -> the phrase as it is written, for those phrases that would be rendered otherwise.

        With `as_written` no capital is given to it at the beginning of a sentence either.
        """

    def rendering(self, *, spellings: Sequence[Spellings] = ()) -> Vocabulary:
        """The same tokens, the texts of each input rendered with its `spellings`."""


@runtime_checkable
class CasingVocabulary(SpellingVocabulary, Protocol):
    """One of words, which may lose their capitals."""

    @property
    def wordpiece(self) -> bool:
        """Whether texts are rendered word by word."""

    @property
    def lower_cases(self) -> bool:
        """Whether capitals are lost."""

    def plain(self, word: str) -> str:
        """A word as it is read."""


@runtime_checkable
class StringVocabulary(Vocabulary, Protocol):
    """A vocabulary that knows texts with gaps, and what each token adds to them."""

    @property
    def sources(self) -> Sequence[object]:
        """The text with gaps of each input; empty where it knows none."""

    def strings(self, batch: Batch) -> list[list[str]]:
        """What each token of each row adds to its text."""


@runtime_checkable
class GapVocabulary(Vocabulary, Protocol):
    """A vocabulary that keeps what stands around gaps character by character."""

    def gapped(
        self, texts: Sequence[Sequence[str]], stems: Sequence[Mapping[int, str]] | None = None, space: str = " "
    ) -> tuple[Vocabulary, Batch]:
        """Texts, given by the parts between their gaps, with a mask in each gap; nothing else is editable.

        `stems` has, of each text, how the words in some gaps begin, by their numbers; `space` goes between the words of
        a gap that has come to hold several.
        """


def keeps_texts(vocabulary: Vocabulary) -> bool:
    """Whether texts come back from it as they were written, capitals and spaces included, and new words bring theirs.

    >>> from textsearch.testing import letters
    >>> keeps_texts(letters("ab"))
    False
    """
    return bool(getattr(vocabulary, "leading_space", False))


def unrendered(vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary of the same tokens that knows no texts of users."""
    return vocabulary.unrendered if isinstance(vocabulary, SpellingVocabulary) else vocabulary


def gapped(
    vocabulary: Vocabulary,
    texts: Sequence[Sequence[str]],
    stems: Sequence[Mapping[int, str]] | None = None,
    space: str = " ",
) -> tuple[Vocabulary, Batch]:
    """Texts, given by the parts between their gaps, as rows with a mask in each gap; nothing else is editable.

    Args:
        vocabulary: of the tokens.
        texts: of each, the parts between its gaps.
        stems: of each, number of a gap -> how its word begins, for a vocabulary that keeps what was written.
        space: between the words of a gap that has come to hold several, for such a vocabulary.

    Returns:
        The vocabulary of the rows, and the rows. A `GapVocabulary` keeps the parts as they were written; any other
        renders them as it renders all texts.

    >>> from textsearch.testing import letters
    >>> _, batch = gapped(letters("ab"), [["a", "b"], ["", ""]])
    >>> batch.texts(), batch.editable.tolist()
    (['a_b', '_'], [[False, True, False], [True, False, False]])
    """
    if isinstance(vocabulary, GapVocabulary):
        return vocabulary.gapped(texts, stems, space)
    rows = []
    for parts in texts:
        first, *others = vocabulary.encode(list(parts)).token_lists()
        rows.append([*first, *(token for own in others for token in (vocabulary.mask_id, *own))])
    batch = Batch.of(rows, vocabulary)
    return vocabulary, batch.frozen(batch.tokens != vocabulary.mask_id)


def tokens_of(vocabulary: Vocabulary, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each text; the mask for a text that the vocabulary cannot write.

    >>> from textsearch.testing import letters
    >>> tokens_of(letters("ab"), ["ba", "c"])
    [[2, 1], [0]]
    """
    try:
        return vocabulary.encode(list(texts)).token_lists()
    except ValueError:
        if len(texts) == 1:
            return [[vocabulary.mask_id]]
        return [row for text in texts for row in tokens_of(vocabulary, [text])]


def rendered(mlm: MaskedLM, vocabulary: Vocabulary) -> MaskedLM:
    """The masked model with another vocabulary of the same tokens; what it has read is not read again."""
    return RenderedRememberingMaskedLM(mlm, vocabulary) if remembers(mlm) else RenderedMaskedLM(mlm, vocabulary)


@final
@dataclass(frozen=True, eq=False)
class RenderedMaskedLM:
    """A masked model whose texts another vocabulary renders.

    Attributes:
        mlm: gives the probabilities.
        vocabulary: of the same tokens.
    """

    mlm: MaskedLM
    vocabulary: Vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) log-probabilities in nats at `positions` (K,) of the `rows` (K,) of `batch`."""
        return self.mlm.log_probs(batch, rows, positions)


@final
@dataclass(frozen=True, eq=False)
class RenderedRememberingMaskedLM:
    """As `RenderedMaskedLM`, of a model that remembers its answers.

    Attributes:
        mlm: gives the probabilities.
        vocabulary: of the same tokens.
    """

    mlm: MaskedLM
    vocabulary: Vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) log-probabilities in nats at `positions` (K,) of the `rows` (K,) of `batch`."""
        return self.mlm.log_probs(batch, rows, positions)

    def token_log_probs(self, batch: Batch, rows: Tensor, positions: Tensor, wanted: Tensor) -> Tensor:
        """(K,) float64 log-probability in nats of the token `wanted[k]` at `positions[k]` of row `rows[k]`."""
        return token_log_probs(self.mlm, batch, rows, positions, wanted)
