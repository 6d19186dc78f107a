"""Contractions of English, and how they look when the apostrophe is missing or misplaced.

A contraction is a word and its clitic, with `TIGHT` between the two: "do" and "n't". Its letters, "dont", tell which
one was meant. If the letters are not a word ("dont", "theyre"), they must be a contraction; if they are ("its",
"were"), they may be one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from textsearch.language.words import TIGHT

_WITH: Mapping[str, str] = {
    "n't": "ai are ca could did do does had has have is might must need sha should was were wo would",
    "'m": "i",
    "'re": "you we they",
    "'ve": "i you we they could might must should would",
    "'ll": "i you he she it we they that there who",
    "'d": "i you he she it we they who",
    "'s": "he she it that there here what who where how let",
}
"""Clitic -> the words that it goes with; 's goes with any noun too."""

_WORDS = frozenset({"its", "were", "well", "ill", "id", "shell", "hell", "wed", "shed", "lets"})
"""Letters of contractions that are words of their own."""

_SAME = (
    ("do", "does", "did"),
    ("is", "are", "was", "were"),
    ("has", "have", "had"),
    ("ca", "could", "wo", "would", "should", "must", "might"),
)
"""What else may stand before n't."""

_PARTS = re.compile(r"(.+?)(n['’]t|['’](?:s|re|ve|ll|d|m))", re.IGNORECASE)


@cache
def contractions() -> Mapping[str, str]:
    """Letters of each contraction -> the contraction: "dont" -> "do~n't", ~ for `TIGHT`."""
    table = {
        (word + clitic).replace("'", ""): word + TIGHT + clitic
        for clitic, words in _WITH.items()
        for word in words.split()
    }
    return {**table, "oclock": "o'clock"}


def letters(word: str) -> str:
    """The word in lower case without apostrophes.

    >>> letters("Ca'nt")
    'cant'
    """
    return re.sub(f"['’{TIGHT}]", "", word.lower())


def parts(word: str) -> tuple[str, str] | None:
    """A contracted word and its clitic; None for a word that is not contracted.

    >>> parts("isn't"), parts("they" + TIGHT + "'re"), parts("dog's"), parts("ca'nt"), parts("won")
    (('is', "n't"), ('they', "'re"), ('dog', "'s"), None, None)
    """
    found = _PARTS.fullmatch(word.replace(TIGHT, ""))
    if not found:
        return None
    before, clitic = found.groups()
    plain = clitic.lower().replace("’", "'")
    goes = before.lower() in _WITH[plain].split() or (plain == "'s" and before.isalpha())
    return (before, clitic) if goes else None


def must_be_contracted(word: str) -> bool:
    """Whether the word can only be a contraction with a mistake in it.

    >>> [word for word in ("dont", "Theyre", "ca'nt", "its", "don't", "dog's") if must_be_contracted(word)]
    ['dont', 'Theyre', "ca'nt"]
    """
    own = letters(word)
    return own in contractions() and parts(word) is None and word.lower() != "o'clock" and own not in _WORDS


def restored(word: str) -> str | None:
    """The contraction with the same letters, if the word is not spelt like that already.

    >>> restored("dont") == "do" + TIGHT + "n't", restored("don't"), restored("moon")
    (True, None, None)
    """
    found = contractions().get(letters(word))
    return None if found is None or found == word.lower() or parts(word) else found


def alike(word: str, clitic: str) -> tuple[str, ...]:
    """Other words that take the same clitic in the same sense.

    >>> alike("does", "n't")
    ('do', 'did')
    """
    if clitic.lower().replace("’", "'") != "n't":
        return ()
    return tuple(other for group in _SAME if word.lower() in group for other in group if other != word.lower())
