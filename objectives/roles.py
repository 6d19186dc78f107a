"""Roles: who does what to whom in a text is what it is in its source, as far as the order of words tells."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.diversity import plain_words
from objectives.word_preservation import FUNCTION_WORDS
from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, text_per_input

_BE = frozenset("am is are was were be been being get gets got".split())  # noqa: SIM905
_PERSONS = ("i me my mine", "you your yours", "he him his", "she her hers", "we us our ours")
_PERSON = {word: line for line in _PERSONS for word in line.split()}
_PRONOUNS = frozenset("i me you he him she her we us they them".split())  # noqa: SIM905
_BETWEEN = frozenset({"not", "never", "also", "always", "just"})
_ENDINGS = re.compile(r"(?<=...)(?:ing|ed|es|en|s|e)$")


def swapped(text: str, source: str) -> int:
    """Pairs of words on either side of a verb that the text and the source share which have changed places.

    In "the dog chased the cat" the dog and the cat stand around "chased". A text in which they stand the other way
    about says something else, unless one of the two is in the passive voice, "was chased by", and then they must.

    >>> source = "The landlord paid the tenant."
    >>> swapped("The tenant paid the landlord.", source), swapped("The tenant was paid by the landlord.", source)
    (1, 0)
    >>> swapped("The landlord was paid by the tenant.", source), swapped("The tenant got money.", source)
    (1, 0)
    >>> swapped("The tenant is paying the landlord.", "The landlord pays the tenant.")
    1
    """
    said, meant = plain_words(text), plain_words(source)
    own, other = ([_stem(word) for word in part] for part in (said, meant))
    places, wanted = _places(own), _places(other)
    shared = sorted((word for word in wanted if word in places), key=wanted.__getitem__)
    count = 0
    for one, two in itertools.combinations(shared, 2):
        between = [word for word in shared if wanted[one] < wanted[word] < wanted[two] and word not in _PRONOUNS]
        low, high = sorted((places[one], places[two]))
        for verb in between:
            if low < places[verb] < high:
                turned = places[one] > places[two]
                count += turned != (_passive(said, places[verb]) != _passive(meant, wanted[verb]))
    # what stood behind the verb stands before it now, and nothing else that did
    for number, verb in enumerate(shared if not count else ()):
        ahead = any(place < wanted[verb] for word, place in wanted.items() if word != verb)
        kept = any(places[word] < places[verb] for word in shared[:number])
        moved = [word for word in shared[number + 1 :] if places[word] < places[verb]]
        if ahead and moved and not kept and verb not in _PRONOUNS:
            count += _passive(said, places[verb]) == _passive(meant, wanted[verb])
    return count


def strangers(text: str, source: str) -> int:
    """Persons that the text speaks of by a pronoun and its source does not; in a question "I" and "you" are anybody.

    >>> strangers("She paid me.", "He paid me."), strangers("How can you do it?", "How do I do it?")
    (1, 0)
    """
    mine, theirs = ({_PERSON.get(word) for word in _words(part)} for part in (text, source))
    anybody = {_PERSON["i"], _PERSON["you"], _PERSON["we"]} if source.rstrip().endswith("?") else set()
    return len(mine - theirs - anybody - {None})


def _words(text: str) -> list[str]:
    """Plain words, contractions cut."""
    return [part for word in plain_words(text) for part in re.split("['’]", word)]


def _stem(word: str) -> str:
    """One form for "chased" and "chasing"; a function word or a pronoun as it is."""
    return word if word in FUNCTION_WORDS else _ENDINGS.sub("", word).replace("z", "s")


def _places(words: Sequence[str]) -> dict[str, int]:
    """Where the words stand that are no function words, or are pronouns, and stand there once only."""
    return {
        word: place
        for place, word in enumerate(words)
        if (word not in FUNCTION_WORDS or word in _PRONOUNS) and words.count(word) == 1
    }


def _passive(words: Sequence[str], verb: int) -> bool:
    """Whether a form of "be" stands before the verb, an adverb or so between, and the verb is none in -ing."""
    before = verb - 1
    while before >= 0 and (words[before] in _BETWEEN or words[before].endswith("ly")):
        before -= 1
    return before >= 0 and words[before] in _BE and not words[verb].endswith("ing")


@final
@dataclass(frozen=True)
class Roles(Objective):
    """Pairs of words that have changed places around a verb and persons that were not there: `swapped`, `strangers`.

    English. It sees no roles where another verb is used ("sold to", "bought from"), and says 0 there.

    Attributes:
        sources: one text for all inputs, or one for each: row r is judged by `sources[batch.inputs[r]]`.

    Raises:
        ValueError: no sources.

    >>> from textsearch.testing import letters
    >>> batch = letters("acdeghost ").encode(["cats chased dogs", "dogs chased cats", "cats"])
    >>> Roles("dogs chased cats").energy(batch).tolist()
    [1.0, 0.0, 0.0]
    """

    sources: str | Sequence[str]
    _sources: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = text_per_input("sources", self.sources)
        keep(self, sources=given.values, _sources=given)

    @property
    def cost(self) -> Cost:
        """The order of words."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) a count."""
        own = zip(batch.texts(), self._sources.rows(batch), strict=True)
        values = [float(swapped(text, source) + strangers(text, source)) for text, source in own]
        return torch.tensor(values, dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its source."""
        self._sources.check(batch)
