"""Words and phrases that a user wrote come back as they were written: capitals, accents, spaces and marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textsearch.language.inflection import inflections
from textsearch.models.protocols import MaskedLM
from textsearch.models.rendered import SpellingVocabulary, rendered
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
