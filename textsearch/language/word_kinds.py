"""Whether one word may take another's place in a sentence, by the kinds of word that both may be."""

from __future__ import annotations

from functools import lru_cache

from textsearch.language.inflection import kinds_of
from textsearch.language.segmentation import tagged

_NAMING = {"n": "n", "t": "n", "s": "n", "v": "v", "a": "a"}
"""The first letter of a tag of jieba -> a kind: what is named (times and places too), what is done, what it is like."""


def may_replace(word: str, other: str, lang: str) -> bool:
    """Whether a word may stand where another stands: both may be nouns, verbs, adjectives or adverbs.

    Raises:
        ImportError: jieba is not installed, or lemminflect.

    >>> may_replace("医生", "司机", "zh"), may_replace("医生", "跑", "zh"), may_replace("春天", "的", "zh")
    (True, False, False)
    >>> may_replace("dog", "cats", "en"), may_replace("dog", "the", "en"), may_replace("sofa", "quickly", "en")
    (True, False, False)
    """
    kinds = _chinese if lang == "zh" else _english
    return not kinds(word).isdisjoint(kinds(other))


@lru_cache(maxsize=100_000)
def _chinese(word: str) -> frozenset[str]:
    tags = tagged(word)
    # of a word that is two to the tagger the last one tells: 导演组 is a noun
    return frozenset(_NAMING[tag[:1]] for _, tag in tags[-1:] if tag[:1] in _NAMING)


@lru_cache(maxsize=100_000)
def _english(word: str) -> frozenset[str]:
    return kinds_of(word) & {"NOUN", "VERB", "ADJ", "ADV"}
