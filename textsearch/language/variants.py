"""Words that look alike but are not mistaken for each other: accents, and prefixes and suffixes that negate."""

from __future__ import annotations

import re
import unicodedata

from textsearch.language.words import TIGHT

_DENYING = frozenset({"un", "in", "im", "il", "ir", "dis", "non", "non-", "mis"})


def plain(word: str) -> str:
    """The word in small letters without its accents.

    >>> plain("Résumé")
    'resume'
    """
    letters = unicodedata.normalize("NFKD", word.replace(TIGHT, "").lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def foreign(word: str) -> bool:
    """Whether the word has a letter of another script than the Latin one.

    >>> [one for one in ("café", "Straße", "don't", "我", "Привет", "αβ", "2,5") if foreign(one)]
    ['我', 'Привет', 'αβ']
    """
    return any(one.isalpha() and not unicodedata.name(one, "").startswith("LATIN") for one in plain(word))


def denied(word: str, other: str) -> bool:
    """Whether one of the two is the other with a negating prefix or suffix.

    >>> denied("unmeaningful", "meaningful"), denied("careful", "careless"), denied("under", "der")
    (True, True, False)
    """
    short, long = sorted((word, other), key=len)
    if len(short) > 3 and long.endswith(short) and long[: -len(short)] in _DENYING:
        return True
    bases = [re.sub("(?:less|ful)$", "", one) for one in (word, other)]
    return bases[0] == bases[1] and word.endswith("less") != other.endswith("less")
