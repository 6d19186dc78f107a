"""The second line of a couplet (dui lian): as long as the first, of other words, and of the opposite tones.

The rule of tones is the common one, "the first, third and fifth are free, the second, fourth and sixth are not"
(Wang Li, "The metrics of Chinese verse", 1958): every second place of a clause and its last are opposed. What comes
again in the first line comes again in the second, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.keywords import words
from objectives.text_features import is_mark, words_per_input, zero_or_inf
from objectives.word_sites import Condition, TokenWords, WordSites
from textsearch.batch import Batch
from textsearch.checks import function, keep
from textsearch.language.couplets import tones as chinese_tones
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput

Tones = Callable[[str], Collection[str]]
"""The kinds of tone that a word may have; none for a word that can stand in no couplet."""


@final
@dataclass(frozen=True)
class FirstLine:
    """A first line, taken apart.

    Attributes:
        words: of the line, without its marks.
        opposed: places whose tones are opposed.
        marks: of the line, those at its end left out, each with the number of words before it.
    """

    words: tuple[str, ...]
    opposed: frozenset[int]
    marks: tuple[tuple[int, str], ...]

    @staticmethod
    def of(text: str) -> FirstLine:
        """Taken apart.

        >>> line = FirstLine.of("海内存知己，天涯若比邻。")
        >>> len(line.words), sorted(line.opposed), line.marks
        (10, [1, 3, 4, 6, 8, 9], ((5, '，'),))
        """
        found: list[str] = []
        marks: list[tuple[int, str]] = []
        for word in words(text):
            if is_mark(word):
                marks.append((len(found), word))
            else:
                found.append(word)
        inner = tuple(mark for mark in marks if mark[0] < len(found))
        ends = sorted({place for place, _ in inner} | {len(found)})
        starts = [0, *ends[:-1]]
        opposed = {place for start, end in zip(starts, ends, strict=True) for place in range(start + 1, end, 2)}
        return FirstLine(tuple(found), frozenset(opposed | {end - 1 for end in ends if end}), inner)


@final
@dataclass(frozen=True)
class Couplet(Objective):
    """A text is a second line to a given first one: energy 0, or +inf.

    It has as many words as the first line, none of which stands there, and the same marks at the same places but for
    those at its end; every second word of a clause and the last one are of the opposite tone; and two of its words are
    the same just where those of the first line are. A Chinese character is a word.

    Attributes:
        line: the first line, one for all inputs or one for each.
        tones: the kinds of tone that a word may have; by default those of Chinese characters.

    Raises:
        ImportError: pypinyin or jieba is not installed, and `tones` are not given.
        ValueError: a line with a word that has no tone.

    >>> from textsearch.testing import letters
    >>> batch = letters("abcdexyz ").encode(["c d", "x d", "b y", "c d e"])
    >>> Couplet("a b", lambda word: {"late" if word > "m" else "early"}).energy(batch).tolist()
    [inf, inf, inf, inf]
    >>> Couplet("a z", lambda word: {"late" if word > "m" else "early"}).energy(batch).tolist()
    [0.0, 0.0, inf, inf]
    """

    line: str | Sequence[str]
    tones: Tones = chinese_tones
    _lines: PerInput[FirstLine] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        function("tones", self.tones, "a function of a word that tells its kinds of tone", "{'level'}")
        given = words_per_input("line", self.line)
        for line in given.values:
            for word in FirstLine.of(line).words:
                if not self.tones(word):
                    raise ValueError(
                        f"line={line!r} holds {word!r}, which has no tone that is known: write it otherwise"
                    )
        keep(self, line=given.values, _lines=given.map(FirstLine.of))

    @property
    def cost(self) -> Cost:
        """A look into a table."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for second lines, +inf for all others."""
        return zero_or_inf(batch, self._holds)

    def check(self, batch: Batch) -> None:
        """Each input has its line."""
        self._lines.check(batch)

    def fits(self, first: FirstLine, place: int) -> Condition:
        """Whether a word may stand at a place by itself, with a key that stands for the condition."""

        def holds(word: str) -> bool:
            own = self.tones(word)
            opposed = place not in first.opposed or _opposed(self.tones(first.words[place]), own)
            return bool(own) and opposed and word not in first.words

        return ("couplet", self.tones, first, place), holds

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
        """(K, V) bool, the words that fit at their place and beside the words that stand already."""
        sites = WordSites.of(batch, rows, positions)
        found = TokenWords.of(batch.vocabulary)
        conditions: list[Condition | None] = []
        inputs = batch.inputs[rows].tolist()
        told_of = zip(inputs, sites.before, sites.certain, sites.goes_on, strict=True)
        for number, place, certain, goes_on in told_of:
            first = self._lines.of(number)
            conditions.append(self.fits(first, place) if certain and not goes_on and place < len(first.words) else None)
        told = sites.allowed(conditions)
        if told is None:
            return None
        part = batch.rows(rows)
        for site, (tokens, here) in enumerate(zip(part.token_lists(), positions.tolist(), strict=True)):
            # a word of several pieces is not told from its first one
            others = [token for at, token in enumerate(tokens) if at != here]
            if conditions[site] is None or bool(batch.vocabulary.continues[others].any()):
                continue
            line, place = self._lines.of(inputs[site]).words, sites.before[site]
            # an open mask is a word that is not known yet
            standing = [
                "" if token == batch.vocabulary.mask_id else found.words[token]
                for at, token in enumerate(tokens)
                if at != here and (token == batch.vocabulary.mask_id or found.words[token])
            ]
            standing.insert(place, "")
            for own, word in zip(line, standing, strict=False):
                if word:
                    same = torch.tensor([not one or one == word for one in found.words]) if own == line[place] else None
                    told[site] &= found.having(("not", word), word.__ne__) if same is None else same
        return told.to(batch.device)

    def _holds(self, text: str, number: int) -> bool:
        first, second = self._lines.of(number), FirstLine.of(text)
        size = len(first.words)
        if len(second.words) != size or second.marks != first.marks:
            return False
        pattern = [line.index(word) for line in (first.words, second.words) for word in line]
        return pattern[:size] == pattern[size:] and all(
            self.fits(first, place)[1](word) for place, word in enumerate(second.words)
        )


def _opposed(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two words may have tones that are not the same."""
    return any(own != tone for own in one for tone in other)
