"""Words and phrases that a user wrote come back as they were written: capitals, accents, spaces and marks.

A vocabulary that loses some of these renders them again. One that keeps texts has what the models wrote, so there the
texts in which a phrase is written otherwise are forbidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from objectives.verbatim import Verbatim
from textsearch.batch import Vocabulary
from textsearch.language.inflection import inflections
from textsearch.models.protocols import MaskedLM
from textsearch.models.rendered import SpellingVocabulary, keeps_texts, rendered
from textsearch.objective import Objective
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
) -> Verbatim | None:
    """The texts that hold the phrases of their input as they are written, +inf for others; None where none can differ.

    A phrase in small letters may begin with a capital, or be in capitals. Where letters are enough nothing is asked.
    """
    own = [[one for one in some if not _plain(one)] for some in phrases] if keeps_texts(vocabulary) else []
    if not any(own):
        return None
    ways = {one: _ways(one, inflections) for some in own for one in some}
    return Verbatim(own, ways=ways, freeze_tokens=False)


def _plain(phrase: str) -> bool:
    """Whether a phrase is of small letters and spaces."""
    return phrase == phrase.lower() and phrase.replace(" ", "").isalpha()


def _ways(phrase: str, inflections: bool) -> list[str]:
    """Other ways to write a phrase that are as good.

    >>> _ways("don't", False), _ways("NASA", False)
    (["Don't", "DON'T"], [])
    """
    if phrase == phrase.lower():
        return list(dict.fromkeys([phrase[0].upper() + phrase[1:], phrase.upper()]))
    return with_forms([phrase])[1:] if inflections else []


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


def word_for_word(vocabulary: Vocabulary, requests: Sequence[Request]) -> list[Objective]:
    """`letter_by_letter` of each kind of constraint: what two of them name may stand at one place."""
    names = dict.fromkeys(name for request in requests for name, _, _ in request.fixed())
    every = [[[text for own, _, text in one.fixed() if own == name] for one in requests] for name in names]
    return [term for own in every if (term := letter_by_letter(vocabulary, own)) is not None]
