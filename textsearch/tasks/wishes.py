"""Keywords and wishes: `dog park frisbee?` asks for a frisbee, and does without where it would strain the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import final

import regex

from objectives.keywords import words
from textsearch.kinds import shown

WORTH = 15.0
"""Nats that a sentence without a wish costs, where nothing is said: a word costs it about as much, counted twice."""

_WISH = regex.compile(r"(?P<word>.*\S)[?？](?P<weight>\d+(?:\.\d+)?)?")


_SLIP = regex.compile(r"(?P<word>.*\w)[?？](?:[-+]?\.?\d.*|[-+]?(?:nan|inf))", regex.IGNORECASE)
"""What begins as a wish with its weight, and is none."""


@final
@dataclass(frozen=True)
class Wanted:
    """What a set asks for.

    Attributes:
        keywords: words and phrases that must be there.
        wishes: others that should be, and what it costs to leave each out, in nats.
    """

    keywords: tuple[str, ...]
    wishes: dict[str, float]

    @property
    def all(self) -> tuple[str, ...]:
        """Both, the wishes last, those that are worth most first."""
        return (*self.keywords, *sorted(self.wishes, key=lambda word: -self.wishes[word]))


def wanted(given: Sequence[str]) -> Wanted:
    """A set as it is written: `frisbee?` is a wish, `frisbee?30` one that is worth 30 nats, `frisbee` a keyword.

    A question mark by itself is a keyword: "why ?" for a sentence that asks.

    Raises:
        ValueError: nothing but wishes, one that is a keyword or a wish already, that is worth nothing, or more than any
            number, or whose weight is no number.

    >>> wanted(["dog", "hot dog?", "?", "frisbee?30"])
    Wanted(keywords=('dog', '?'), wishes={'hot dog': 15.0, 'frisbee': 30.0})
    """
    keywords, wishes = list[str](), dict[str, float]()
    for one in given:
        found = _WISH.fullmatch(one)
        if found is None and (slip := _SLIP.fullmatch(one)):
            raise ValueError(
                f"{shown(one)} is no wish: behind the ? stand the nats that it is worth, a number such as "
                f"{slip['word']}?30"
            )
        # what has no letter before its mark is punctuation
        if found is None or not any(letter.isalnum() for letter in found["word"]):
            keywords.append(one)
            continue
        word, weight = found["word"], WORTH if found["weight"] is None else float(found["weight"])
        if weight <= 0:
            raise ValueError(f"{shown(one)} is a wish that is worth nothing: leave it out, or write {word}?")
        if not isfinite(weight):
            raise ValueError(f"{shown(one)} is a wish that is worth more than any number: write {word}, which must be")
        if any(words(word) == words(other) for other in wishes):
            raise ValueError(f"{shown(list(given))} wishes for {shown(word)} twice: once is enough")
        wishes[word] = weight
    if wishes and not keywords:
        raise ValueError(
            f"{shown(list(given))} holds wishes alone, and nothing that must be there: take the ? away from one of them"
        )
    for word in wishes:
        if any(words(word) == words(other) for other in keywords):
            raise ValueError(
                f"{shown(list(given))} wishes for {shown(word)}, which must be there anyway: leave one out"
            )
    return Wanted(tuple(keywords), wishes)
