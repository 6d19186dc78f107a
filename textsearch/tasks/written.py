"""Words and phrases that a user wrote come back as they were written: capitals, accents, spaces and marks.

A vocabulary that loses some of these renders them again. One that keeps texts has what the models wrote, so there the
texts in which a phrase is written otherwise are forbidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import regex

from objectives.pattern import Pattern
from textsearch.batch import Vocabulary
from textsearch.language.inflection import inflections
from textsearch.models.protocols import MaskedLM
from textsearch.models.rendered import SpellingVocabulary, keeps_texts, rendered
from textsearch.tasks.request import Request


def as_written(mlm: MaskedLM, phrases: Sequence[Iterable[str]]) -> MaskedLM:
    """The model with a vocabulary that writes the phrases of each input as they stand there.

    A phrase in small letters is still given the capitals of names and of the beginning of a sentence.
    """
    words = mlm.vocabulary
    if not isinstance(words, SpellingVocabulary):
        return mlm
    spellings = [words.spelling(own) for own in phrases]
    return rendered(mlm, words.rendering(spellings=tuple(spellings))) if any(spellings) else mlm


def letter_by_letter(
    vocabulary: Vocabulary, phrases: Sequence[Iterable[str]], *, inflections: bool = False
) -> Pattern | None:
    """The texts that hold the phrases of their input as they are written, +inf for others; None where none can differ.

    A phrase in small letters may begin with a capital, or be in capitals.
    """
    patterns = [verbatim(own, inflections) for own in phrases] if keeps_texts(vocabulary) else []
    return Pattern(patterns) if any(patterns) else None


def verbatim(phrases: Iterable[str], inflections: bool = False) -> str:
    """A regular expression of the texts that hold all phrases as they are written; empty where letters are enough.

    >>> found = verbatim(["C++", "don't", "dog"])
    >>> [bool(regex.search(found, text)) for text in ("Don't use C++.", "Don't use C ++.", "Don 't use C++.")]
    [True, False, False]
    """
    found = [_spelt(with_forms([phrase]) if inflections else [phrase]) for phrase in phrases if not _plain(phrase)]
    return "^" + "".join(f"(?=(?s:.*){one})" for one in dict.fromkeys(found)) if found else ""


def _plain(phrase: str) -> bool:
    """Whether a phrase is of small letters and spaces."""
    return phrase == phrase.lower() and phrase.replace(" ", "").isalpha()


def _spelt(forms: Sequence[str]) -> str:
    """A regular expression of any of these, as words of their own."""
    ways = []
    for form in forms:
        before = r"(?<![\p{L}\p{M}\p{N}])" if form[0].isalnum() else ""
        behind = r"(?![\p{L}\p{M}\p{N}])" if form[-1].isalnum() else ""
        ways.append(before + regex.escape(form) + behind)
    return f"(?{'i' * (forms[0] == forms[0].lower())}:{'|'.join(ways)})"


def with_forms(keywords: Iterable[str]) -> list[str]:
    """The keywords, and the English forms of those that have capitals.

    >>> with_forms(["iPhone", "dog"])
    ['iPhone', 'iPhoned', 'iPhones', 'dog']
    """
    found = []
    for keyword in keywords:
        found.append(keyword)
        if keyword != keyword.lower() and keyword.isalpha():
            plain = keyword.lower()
            found += [
                keyword + form.removeprefix(plain) for form in sorted(inflections(plain)) if form.startswith(plain)
            ]
    return list(dict.fromkeys(found))


def phrases_of(request: Request) -> list[str]:
    """What a request wants to read word for word.

    >>> phrases_of(Request(template="NASA * the *", suffix="in New York?"))
    ['in New York?', 'NASA', 'the']
    """
    return [text for _, _, text in request.fixed()]
