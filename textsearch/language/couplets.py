"""What the two lines of a Chinese couplet have to do with one another: tones, and parts of speech.

Tones are those of modern Mandarin ("new rhymes"): the first and second are level (ping), the third and fourth oblique
(ze); a syllable without a tone may be either. Of a character with several readings the commonest counts, which is the
first of pypinyin. Parts of speech are those of jieba, and a character has that of the word that it stands in.
"""

from __future__ import annotations

from functools import cache

from textsearch.language.chinese_confusions import sounds_of
from textsearch.language.segmentation import tagged

LEVEL, OBLIQUE = "level", "oblique"

_LONGEST = 2

_KINDS = {
    "n": "noun",
    "v": "verb",
    "a": "adjective",
    "d": "adverb",
    "m": "number",
    "t": "noun",
    "s": "noun",
    "f": "place",
}


def tones(character: str) -> frozenset[str]:
    """Whether a character is level or oblique; both for one without a tone, neither for what is no known character.

    Raises:
        ImportError: pypinyin or jieba is not installed.

    >>> sorted(tones("春")), sorted(tones("綠")), sorted(tones("的")), sorted(tones("x"))
    (['level'], ['oblique'], ['level', 'oblique'], [])
    """
    sound = next(iter(sounds_of(character)), "")
    kinds = {"1": {LEVEL}, "2": {LEVEL}, "3": {OBLIQUE}, "4": {OBLIQUE}, "5": {LEVEL, OBLIQUE}}
    return frozenset(kinds.get(sound[-1:], ()))


def speech(line: str) -> list[str]:
    """The part of speech of each character of a line, marks left out, and whether it begins a word.

    Characters of words of more than two have each its own. Nouns of all kinds, names and times among them, are one part
    of speech; what is no open class goes by jieba's tag.

    Raises:
        ImportError: jieba is not installed.

    >>> speech("春风绿江南")
    ['noun', '-noun', 'adjective', 'noun', '-noun']
    """
    found = []
    for word, tag in tagged(line):
        if word.isalnum():
            # of a saying nothing is told but that it is one
            own = [_kind(one) for one in word] if len(word) > _LONGEST else [_KINDS.get(tag[:1], tag)] * len(word)
            found += [own[0], *("-" + kind for kind in own[1:])]
    return found


@cache
def _kind(character: str) -> str:
    """That of a character by itself."""
    tag = tagged(character)[0][1]
    return _KINDS.get(tag[:1], tag)
