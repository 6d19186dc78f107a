"""How frequent English words are, by wordfreq (Speer, 2022)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache


@cache
def zipf(word: str) -> float:
    """How often an English word is written: the logarithm of its share of a billion words, 0 for one that is unknown.

    >>> zipf("the") > zipf("tree") > zipf("yew") > zipf("xqzzt") == 0.0
    True
    """
    known = _frequencies()
    # the list has each of them as one word, and asking it takes a tenth of what taking words apart first does
    if word.isascii() and word.isalpha() and word.islower():
        return _of_frequency(known.get(word, 0.0))
    from wordfreq import zipf_frequency

    return float(zipf_frequency(word, "en"))


@cache
def _frequencies() -> Mapping[str, float]:
    try:
        from wordfreq import get_frequency_dict
    except ImportError as error:
        raise ImportError("word frequencies need wordfreq: pip install 'textsearch-sampling[tasks]'") from error
    found: Mapping[str, float] = get_frequency_dict("en")
    return found


@cache
def _of_frequency(frequency: float) -> float:
    """The Zipf value that wordfreq gives a word: of its frequency to three digits, to two places."""
    if not frequency:
        return 0.0
    return round(math.log10(round(frequency, math.floor(-math.log10(frequency)) + 3)) + 9, 2)
