"""Stems of English words: the beginning that related words share."""

from __future__ import annotations

import re

_ENDINGS = re.compile(
    r"(ization|isation|ational|ability|ibility|ically|ations?|ments?|ances?|ences?|ively|fully|ously|ities|iness|ional|"
    r"able|ible|ally|ancy|ency|ants?|ents?|ions?|ists?|ness|ful|ous|ive|ing|ity|ies|ers?|ors?|ial|ic|al|ly|ed|es|s|e|y)$"
)


def stem(word: str) -> str:
    """The word without its endings, of at least four letters.

    >>> stem("correctness"), stem("corrections"), stem("bees")
    ('correct', 'correct', 'bees')
    """
    while True:
        shorter = _ENDINGS.sub("", word)
        if shorter == word or len(shorter) < 4:
            return word
        word = shorter
