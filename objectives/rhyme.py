"""Rhyme: the last word must rhyme with a given one.

English by the pronouncing dictionary of Carnegie Mellon University, Chinese characters by the finals of their pinyin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, final

import regex
from torch import Tensor

from objectives.keywords import words
from objectives.text_features import is_mark, words_per_input, zero_or_inf
from objectives.word_sites import Condition, WordSites
from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.language.pinyin_rhymes import chinese_rhymes
from textsearch.objective import Cost, Objective
from textsearch.outline import Outline, Room
from textsearch.per_input import PerInput

_HAN = regex.compile(r"\p{Han}")


@cache
def rhymes(word: str) -> frozenset[str]:
    """The words that sound like `word` from its last stressed vowel on, in lower case, the word itself left out.

    Of a Chinese character, those of its class of rhymes; see `textsearch.language.pinyin_rhymes`.

    Raises:
        ImportError: pronouncing, or for Chinese pypinyin, is not installed.
        ValueError: the dictionary does not know the word, or nothing that rhymes with it.

    >>> {"way", "play"} <= rhymes("day"), "day" in rhymes("day"), "dog" in rhymes("day")
    (True, False, False)
    """
    if _HAN.fullmatch(word):
        alike = chinese_rhymes(word)
        if not alike:
            raise ValueError(
                f"{word!r} has no reading that is known, so nothing rhymes with it: give another character"
            )
        return alike
    dictionary = _pronouncing()
    if not dictionary.phones_for_word(word):
        raise ValueError(
            f"{word!r} is not in the CMU pronouncing dictionary, so nothing is known to rhyme with it; "
            "give an English word that sounds the same"
        )
    found = frozenset(dictionary.rhymes(word)) - {word}
    if not found:
        raise ValueError(f"no word in the CMU pronouncing dictionary rhymes with {word!r}; give another word")
    return found


def last_word(text: str) -> str:
    """The last word of a text without the marks behind it; of a word joined by hyphens the last part.

    >>> last_word("What a well-known play!")
    'play'
    """
    plain = [word for word in words(text) if not is_mark(word)]
    return plain[-1].rpartition("-")[2] if plain else ""


@final
@dataclass(frozen=True)
class Rhyme(Objective):
    """The last word rhymes with a given one: energy 0, or +inf. A word that the dictionary does not know never does.

    A word does not rhyme with itself.

    Attributes:
        word: what to rhyme with, one for all inputs or one for each; of a line, its last word counts.

    Raises:
        ImportError: pronouncing is not installed.
        ValueError: a word that is not in the dictionary, or that nothing rhymes with.

    >>> from textsearch.testing import letters
    >>> batch = letters("adglopswy ").encode(["a way", "a day", "a dog", "day so slow"])
    >>> Rhyme("day").energy(batch).tolist(), Rhyme("know").energy(batch).tolist()
    ([0.0, inf, inf, inf], [inf, inf, inf, 0.0])
    """

    word: str | Sequence[str]
    _rhymes: PerInput[frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = words_per_input("word", self.word)
        keep(self, word=given.values, _rhymes=given.map(lambda word: rhymes(last_word(word) or word)))

    @property
    def cost(self) -> Cost:
        """A look into a table."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts that rhyme, +inf for the others."""
        return zero_or_inf(batch, lambda text, number: last_word(text) in self._rhymes.of(number))

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
        """(K, V) bool: where no word comes behind, the words that rhyme."""
        sites = WordSites.of(batch, rows, positions)
        conditions: list[Condition | None] = []
        ends = zip(batch.inputs[rows].tolist(), sites.after, sites.certain, sites.goes_on, strict=True)
        for number, after, certain, goes_on in ends:
            among = self._rhymes.of(number)
            free = after or goes_on or not certain
            conditions.append(None if free else (("among", among), among.__contains__))
        found = sites.allowed(conditions)
        return None if found is None else found.to(batch.device)

    def outline(self, number: int) -> Outline:
        """Whatever there is, then one of the words that rhyme."""
        among = sorted(self._rhymes.of(number))
        return Outline((Room(), tuple(word + ("。" if _HAN.fullmatch(word) else ".") for word in among)))

    def check(self, batch: Batch) -> None:
        """Each input has its word."""
        self._rhymes.check(batch)


def _pronouncing() -> Any:
    try:
        import pronouncing
    except ImportError as error:
        raise ImportError("rhymes need pronouncing: pip install 'textsearch-sampling[tasks]'") from error
    return pronouncing
