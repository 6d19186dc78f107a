"""Terms that carry a text: what it says more often than a background does.

Of a term that stands k times among the n words of a text and has the share q of a background, the log-likelihood ratio

    2 [ k log(k / (n q)) + (n - k) log((n - k) / (n (1 - q))) ]

is how much a share of its own explains better than the background's (Dunning, "Accurate methods for the statistics of
surprise and coincidence", 1993). Unlike a ratio of frequencies it does not favour what was met once by chance; of terms
met once it puts the rarer first. Words next to one another are a term where the text says them twice, or as a name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import regex

from textsearch.checks import string, whole
from textsearch.language.mixed_up import small_words
from textsearch.language.segmentation import chinese_total, chinese_words, dictionary, english_share

_LEAST = 1e-8  # share of a word that no background holds
_LONGEST = 3  # words of a term
_HAN = regex.compile(r"\p{Han}")
_CHINESE = regex.compile(r"[\p{L}\p{M}]{2,}")
_ENGLISH = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PLAIN = math.log(1400)
"""Nats of a word that is grammar or plain; see `textsearch.language.segmentation`."""


def keywords_of(
    text: str, most: int = 10, *, lang: str | None = None, background: Mapping[str, float] | None = None
) -> list[str]:
    """At most `most` terms that carry a text, the weightiest first, as they stand there.

    Args:
        text: a sentence or many.
        most: terms wanted; fewer come back from a short text.
        lang: "en" or "zh"; by default Chinese where a third of the letters are Chinese.
        background: word in small letters -> its share of all words; by default that of wordfreq, or of jieba's
            dictionary. A corpus of the field leaves out what is common in the field.

    Raises:
        ValueError: `lang` is another one, or `most` is below 1.
        ImportError: wordfreq or jieba is not installed.

    >>> keywords_of("Marie Curie won the Nobel Prize. The prize was for radium, and radium was new.", 3)
    ['radium', 'Marie Curie', 'Nobel Prize']
    >>> keywords_of("蝙蝠靠回声定位。回声定位让蝙蝠在夜里找到昆虫。", 3)
    ['回声定位', '蝙蝠', '昆虫']
    """
    text, most = string("text", text), whole("most", most, 1, unit="term")
    if lang not in (None, "en", "zh"):
        raise ValueError(f"lang={lang!r} is not known: choose en or zh, or leave it out")
    letters = sum(one.isalpha() for one in text)
    chinese = lang == "zh" or (lang is None and 3 * len(_HAN.findall(text)) > letters)
    runs = list(_chinese_runs(text) if chinese else _english_runs(text))
    joint = "" if chinese else " "
    count = sum(map(len, runs))
    told: Counter[tuple[str, ...]] = Counter()
    written: dict[tuple[str, ...], str] = {}
    for run in runs:
        for size in range(1, _LONGEST + 1):
            for start in range(len(run) - size + 1):
                own = run[start : start + size]
                term = tuple(word.casefold() for word in own)
                told[term] += 1
                if size == 1 or not _is_name(own):
                    written.setdefault(term, joint.join(own))
                else:
                    written[term] = joint.join(own)
    shares = {word: _share(word, chinese, background) for (word, *more) in told if not more}
    carries = {word for word, share in shares.items() if -math.log(share) > _PLAIN and word not in small_words()}
    weights: dict[tuple[str, ...], float] = {}
    for term, times in told.items():
        named = len(term) > 1 and _is_name(written[term].split(" ")) and not chinese
        if set(term) <= carries and (len(term) == 1 or times > 1 or named):
            # words that say nothing of one another stand together by chance so often
            weights[term] = _ratio(times, count, math.prod(shares[word] for word in term))
    return [written[term] for term in _apart(weights, told)][:most]


def _apart(weights: Mapping[tuple[str, ...], float], told: Mapping[tuple[str, ...], int]) -> Iterator[tuple[str, ...]]:
    """Terms in order, but for those whose words are nearly always said within a weightier one."""
    within: Counter[tuple[str, ...]] = Counter()
    for term in sorted(weights, key=lambda one: (-weights[one], one)):
        if within[term] >= told[term]:
            continue
        yield term
        for size in range(1, len(term) + 1):
            for start in range(len(term) - size + 1):
                within[term[start : start + size]] += told[term]


def _ratio(times: int, count: int, share: float) -> float:
    """The log-likelihood ratio; 0 of what is said no more often than in the background."""
    if times <= count * share:
        return 0.0
    rest = count - times
    other = rest * math.log(rest / (count * (1 - share))) if rest else 0.0
    return 2 * (times * math.log(times / (count * share)) + other)


def _share(word: str, chinese: bool, background: Mapping[str, float] | None) -> float:
    if background is not None:
        return max(background.get(word, 0.0), _LEAST)
    if not chinese:
        return english_share(word, _LEAST)
    return max(dictionary().get(word, 0) / chinese_total(), _LEAST)


def _is_name(words: Sequence[str]) -> bool:
    return all(word[:1].isupper() for word in words)


def _english_runs(text: str) -> Iterator[list[str]]:
    """Words with nothing but spaces between them."""
    for part in re.split(r"[^\w'’ -]+|\s[-–—]\s|\n", text):
        if found := _ENGLISH.findall(part):
            yield found


def _chinese_runs(text: str) -> Iterator[list[str]]:
    """Words with nothing between them."""
    run: list[str] = []
    for word in chinese_words(text):
        if _CHINESE.fullmatch(word):
            run.append(word)
        elif run:
            yield run
            run = []
    if run:
        yield run
