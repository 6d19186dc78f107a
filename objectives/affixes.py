"""Affixes: how a text must begin, and how it must end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import final

from torch import Tensor

from objectives.freezing import Kept, freeze_words
from objectives.keywords import words
from objectives.text_features import is_mark, words_per_input, zero_or_inf
from textsearch.batch import Batch
from textsearch.checks import flag, keep
from textsearch.objective import Cost, Objective
from textsearch.outline import Outline, Room
from textsearch.per_input import PerInput


@final
@dataclass(frozen=True)
class Prefix(Objective):
    """The text begins with these words: energy 0, or +inf. Case does not count.

    With `freeze_tokens` no proposal is wasted on the words of the prefix: they stay as the starting texts have them,
    and nothing is put in before them or between them. Chains sample exp(-E / T) over the texts that begin with those
    very tokens, capitals included. Frozen or not, each text counts once.

    Attributes:
        prefix: whole words, one text for all inputs or one for each: row r is judged by `prefix[batch.inputs[r]]`.
        freeze_tokens: whether to make its tokens in the starting texts uneditable, as above.

    Raises:
        ValueError: a prefix without a word.

    >>> from textsearch.testing import letters
    >>> batch = letters("acdgost ").encode(["a cat sat", "acat", "cat"])
    >>> Prefix("A cat").energy(batch).tolist()
    [0.0, inf, inf]
    """

    prefix: str | Sequence[str]
    _: KW_ONLY
    freeze_tokens: bool = True
    _prefixes: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = words_per_input("prefix", self.prefix)
        keep(self, prefix=given.values, _prefixes=given, freeze_tokens=flag("freeze_tokens", self.freeze_tokens))

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts that begin so, +inf for the others."""
        return zero_or_inf(batch, lambda text, number: bool(self._span(words(text), number)))

    def check(self, batch: Batch) -> None:
        """Each input has its prefix."""
        self._prefixes.check(batch)

    def freeze(self, batch: Batch) -> Batch:
        """The words of the prefix uneditable, unless `freeze_tokens=False`."""
        return freeze_words(batch, words, self._kept) if self.freeze_tokens else batch

    def outline(self, number: int) -> Outline:
        """The prefix, then whatever there is."""
        return Outline(((self._prefixes.of(number),), Room()))

    def _kept(self, text: Sequence[str], number: int) -> Kept:
        span = self._span(text, number)
        return Kept([(0, len(span))] if span else [], begins=True)

    def _span(self, text: Sequence[str], number: int) -> range:
        """The numbers of the words of the prefix, none where the text begins otherwise."""
        wanted = words(self._prefixes.of(number))
        return range(len(wanted) if list(text[: len(wanted)]) == wanted else 0)


@final
@dataclass(frozen=True)
class Suffix(Objective):
    """The text ends with these words: energy 0, or +inf. Case does not count.

    Marks of punctuation behind them are free, unless the suffix ends with one itself.

    With `freeze_tokens` the words of the suffix stay as the starting texts have them, and nothing is put in between
    them, nor behind them if the suffix ends with a mark. Chains sample exp(-E / T) over the texts that end with those
    very tokens, marks apart. Frozen or not, each text counts once.

    Attributes:
        suffix: whole words, one text for all inputs or one for each.
        freeze_tokens: whether to make its tokens in the starting texts uneditable, as above.

    Raises:
        ValueError: a suffix without a word.

    >>> from textsearch.testing import letters
    >>> batch = letters("acdgost .").encode(["a cat sat.", "a cat sat", "sat a cat"])
    >>> Suffix("sat").energy(batch).tolist(), Suffix("sat.").energy(batch).tolist()
    ([0.0, 0.0, inf], [0.0, inf, inf])
    """

    suffix: str | Sequence[str]
    _: KW_ONLY
    freeze_tokens: bool = True
    _suffixes: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = words_per_input("suffix", self.suffix)
        keep(self, suffix=given.values, _suffixes=given, freeze_tokens=flag("freeze_tokens", self.freeze_tokens))

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts that end so, +inf for the others."""
        return zero_or_inf(batch, lambda text, number: bool(self._span(words(text), number)))

    def check(self, batch: Batch) -> None:
        """Each input has its suffix."""
        self._suffixes.check(batch)

    def freeze(self, batch: Batch) -> Batch:
        """The words of the suffix uneditable, unless `freeze_tokens=False`."""
        return freeze_words(batch, words, self._kept) if self.freeze_tokens else batch

    def outline(self, number: int) -> Outline:
        """Whatever there is, then the suffix, with a mark behind it if it has none."""
        suffix = self._suffixes.of(number)
        return Outline((Room(), (suffix if is_mark(words(suffix)[-1]) else suffix + ".",)))

    def _kept(self, text: Sequence[str], number: int) -> Kept:
        span = self._span(text, number)
        ends = is_mark(words(self._suffixes.of(number))[-1])
        return Kept([(span.start, span.stop)] if span else [], ends=ends)

    def _span(self, text: Sequence[str], number: int) -> range:
        """The numbers of the words of the suffix, none where the text ends otherwise."""
        wanted = words(self._suffixes.of(number))
        stop = len(text)
        while not is_mark(wanted[-1]) and stop and is_mark(text[stop - 1]):
            stop -= 1
        start = stop - len(wanted)
        return range(start, stop) if start >= 0 and list(text[start:stop]) == wanted else range(0)
