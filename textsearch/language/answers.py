"""Answers that a text gives: the numbers, names and terms in it that somebody could ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import final

import regex

from textsearch.checks import string, whole
from textsearch.language.inflection import is_common_noun, may_be_noun
from textsearch.language.mixed_up import small_words
from textsearch.language.terms import keywords_of

KINDS = ("date", "number", "name", "term")
"""What an answer may be."""

# march and may are months in small letters only where a day stands behind them
_MONTHS = (
    r"(?i:January|February|April|June|July|August|September|October|November|December)|March|May|(?:march|may)(?=\s\d)"
)
_DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_YEAR = r"(?:1[0-9]|20)\d\d(?:s\b|[–-]\d{2,4}\b)?(?![\d,.]*\d)"
_DATE = regex.compile(
    rf"(?<![\w.,$€£])(?:(?:\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?)?\b(?:{_MONTHS})\b"
    rf"(?:\s\d{{1,2}}(?:st|nd|rd|th)?\b(?!\d))?(?:\s?,?\s{_YEAR})?|{_YEAR}|\b(?:{_DAYS})\b)"
)
_WORDS = "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|hundred|thousand"
_UNITS = (
    "million|billion|trillion|percent|per cent|(?:kilo|centi|milli)?met(?:er|re)s?|km|miles|feet|(?:kilo)?grams|kg|tons"
    "|tonnes|degrees"
)
_NUMBER = regex.compile(
    r"(?<![\w.,])(?:[$€£¥]\s?)?(?:\d+(?:[.,]\d+)*(?:st|nd|rd|th)?(?![\p{L}\d])"
    rf"|\b(?i:{_WORDS})\b)(?:\s?%|(?:\s(?:{_WORDS}|{_UNITS})\b)*)"
)
_CAPITAL = r"\p{Lu}[\p{L}\p{M}\p{N}’'&.-]*(?<![.’'-])[+#]*"
_NAME = regex.compile(rf"(?<![\p{{L}}\p{{N}}]){_CAPITAL}(?:\s(?:(?:of|the|de|van|von)\s){{0,2}}{_CAPITAL})*")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_SENTENCE = regex.compile(r"(?:^|[.!?:]\s+|[\"“])\W*")


@final
@dataclass(frozen=True)
class Answer:
    """An answer, as it stands in the text, and its kind, one of `KINDS`."""

    text: str
    kind: str


def answers_of(text: str, most: int = 3) -> list[Answer]:
    """At most `most` answers that a text gives: of each kind the first ones, in turns, without one within another.

    Numbers and names are told by their form; terms, and words at the beginning of a sentence that are names, by
    `keywords_of`. Terms that only verbs have are left out.

    >>> [one.text for one in answers_of("Marie Curie won the Nobel Prize in 1903 for her work on radioactivity.", 4)]
    ['1903', 'Marie Curie', 'Nobel Prize', 'radioactivity']
    >>> [one.text for one in answers_of("The café in São Paulo sells C++ mugs and a C# book.")]
    ['São Paulo', 'C++', 'café']
    >>> [one.kind for one in answers_of("In May 1997 the company laid off 300 workers.")]
    ['date', 'number', 'term']
    """
    text, most = string("text", text), whole("most", most, 1, unit="answer")
    terms = keywords_of(text, 99)
    nouns = [term for term in terms if " " in term or may_be_noun(term)]
    dates = [found[0] for found in _DATE.finditer(text)]
    rest = _DATE.sub(lambda found: "_" * len(found[0]), text)
    names = list(_names(text, terms))
    numbers = [found[0].strip() for found in _NUMBER.finditer(rest)]
    kinds = zip(KINDS, (dates, numbers, names, nouns), strict=True)
    columns = [
        [Answer(one, kind_of(one) if kind == "term" else kind) for one in dict.fromkeys(own)] for kind, own in kinds
    ]
    found: list[Answer] = []
    for one in chain.from_iterable(zip_longest(*columns)):
        if (
            one is not None
            and holds(text, one.text)
            and not any(_within(*pair) for other in found for pair in _both(one.text, other.text))
        ):
            found.append(one)
    return found[:most]


def kind_of(answer: str) -> str:
    """What kind of answer a text is, by its form.

    >>> [kind_of(answer) for answer in ("4 July 1776", "1,200 miles", "the Nile", "sales had fallen")]
    ['date', 'number', 'name', 'term']
    """
    if _DATE.search(answer):
        return "date"
    if _NUMBER.match(answer.strip()):
        return "number"
    bare = regex.sub(r"^(?i:the|an?)\s", "", answer.strip())
    # a common noun has its capital from the beginning of a sentence
    return "name" if _NAME.match(bare) and (" " in bare or not is_common_noun(bare)) else "term"


def holds(text: str, answer: str) -> bool:
    """Whether the words of an answer stand in a text, whatever their capitals.

    >>> holds("The old bridge was built in 1894.", "bridge"), holds("Bridges burn.", "bridge")
    (True, False)
    """
    return _within(answer, text) and _WORD.search(answer) is not None


def _both(one: str, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (one, other), (other, one)


def _within(one: str, other: str) -> bool:
    """Whether the words of one text stand in the other, next to each other."""
    own, others = (_WORD.findall(text.casefold()) for text in (one, other))
    return any(others[start : start + len(own)] == own for start in range(len(others) - len(own) + 1)) or (
        # where no spaces are written, a word is anywhere
        regex.search(r"\p{Han}", one) is not None and one in other
    )


def _names(text: str, terms: list[str]) -> Iterator[str]:
    """Words with capitals; at the beginning of a sentence only those that carry the text."""
    known = {word for term in terms for word in term.split()}
    begins = {found.end() for found in _SENTENCE.finditer(text)}
    for found in _NAME.finditer(text):
        name = found[0]
        first, _, rest = name.partition(" ")
        if found.start() in begins and (first not in known or (not rest and is_common_noun(first))):
            name = regex.sub(r"^(?:(?:of|the|de|van|von)\s)+", "", rest)
        if name and name.casefold() not in small_words() and not _DATE.fullmatch(name) and len(name) > 1:
            yield name
