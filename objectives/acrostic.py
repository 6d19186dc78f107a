"""Acrostic: what the first letters must spell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import final

import regex
from torch import Tensor

from objectives.keywords import words
from objectives.text_features import is_mark, words_per_input, zero_or_inf
from objectives.word_sites import Condition, WordSites
from textsearch.batch import Batch
from textsearch.checks import flag, keep
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput

_CLAUSE = regex.compile(r"(?:[,.;:!?](?=\s|$)|[，。；：！？\n])\s*")


def initials(text: str, *, clauses: bool = False) -> str:
    """The first letters of the words of a text, or of its clauses, case folded.

    >>> initials("Dogs often growl."), initials("床前明月光，疑是地上霜。", clauses=True)
    ('dog', '床疑')
    """
    parts = _CLAUSE.split(text) if clauses else [text]
    firsts = [[word[0] for word in words(part) if not is_mark(word)] for part in parts]
    return "".join("".join(letters[:1] if clauses else letters) for letters in firsts)


@final
@dataclass(frozen=True)
class Acrostic(Objective):
    """The first letters of all words, in order, spell this: energy 0, or +inf. Case does not count.

    Attributes:
        letters: one string for all inputs or one for each; spaces do not count.
        clauses: the first letters of the clauses instead, as in a Chinese acrostic (cang tou): what lies between
            marks of punctuation or line breaks.
        whole: whether the text must end with the last letter; otherwise it may go on.

    Raises:
        ValueError: letters that hold something else than letters and digits.

    >>> from textsearch.testing import letters
    >>> batch = letters("dogs ften rwl a").encode(["dogs often growl", "dogs often growl at", "growl"])
    >>> Acrostic("DOG").energy(batch).tolist(), Acrostic("dog", whole=False).energy(batch).tolist()
    ([0.0, inf, inf], [0.0, 0.0, inf])
    """

    letters: str | Sequence[str]
    _: KW_ONLY
    clauses: bool = False
    whole: bool = True
    _spelled: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keep(self, clauses=flag("clauses", self.clauses), whole=flag("whole", self.whole))
        given = words_per_input("letters", self.letters)
        for letters in given.values:
            if not "".join(letters.split()).isalnum():
                raise ValueError(f"letters={letters!r} must be letters and digits, which words can begin with")
        spelled = given.map(lambda letters: "".join(letters.split()).casefold())
        keep(self, letters=spelled.values, _spelled=spelled)

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts that spell it, +inf for the others."""
        return zero_or_inf(batch, self._holds)

    def check(self, batch: Batch) -> None:
        """Each input has its letters."""
        self._spelled.check(batch)

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
        """(K, V) bool, the words that begin with the letter of their place. Of clauses nothing is said."""
        if self.clauses:
            return None
        sites = WordSites.of(batch, rows, positions)
        inputs = batch.inputs[rows].tolist()
        conditions = []
        for number, place, certain in zip(inputs, sites.before, sites.certain, strict=True):
            letters = self._spelled.of(number)
            free = not certain or (place >= len(letters) and not self.whole)
            conditions.append(None if free else _begins(letters[place : place + 1]))
        found = sites.allowed(conditions)
        return None if found is None else found.to(batch.device)

    def _holds(self, text: str, number: int) -> bool:
        found, wanted = initials(text, clauses=self.clauses), self._spelled.of(number)
        return found == wanted if self.whole else found.startswith(wanted)


def _begins(letter: str) -> Condition:
    """Words that begin with a letter; none, if there is no letter left."""
    return ("begins", letter), lambda word: bool(letter) and word.startswith(letter)
