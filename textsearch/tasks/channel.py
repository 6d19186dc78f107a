"""The noisy channel of corrections: the cost of assuming that a word was meant to be another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep, positive
from textsearch.kinds import CONFUSIONS, instance
from textsearch.language.confusions import Confusions, EnglishConfusions
from textsearch.language.contractions import must_be_contracted, parts
from textsearch.language.edit_distance import letters_apart, slipped
from textsearch.language.surface import proper_names
from textsearch.language.words import TIGHT, WordVocabulary, bare, gap
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput

COSTS: Mapping[str, float] = MappingProxyType(
    {
        "sentence": 4.0,
        "name": 0.0,
        "capital": 2.0,
        "small letter": 5.5,
        "apostrophe": 0.5,
        "spelling": 1.0,
        "splitting": 1.5,
        "inflection": 2.0,
        "confusion": 1.0,
        "small word": 4.0,
        "family": 2.5,
        "look-alike": 5.0,
        "other": 12.0,
        "insert an article": 1.5,
        "insert a comma": 0.5,
        "insert a full stop": 2.0,
        "insert": 3.0,
        "delete an article": 2.0,
        "delete a comma": 3.5,
        "delete": 4.5,
    }
)
"""Nats by which an edit must make a text likelier, by its kind, and those for changing a sentence at all.

Chosen on the first sentences of JFLEG dev and on correct ones, see docs/results/correct.md.
"""

_ARTICLES = frozenset({"a", "an", "the"})
_ENDS = frozenset({".", "!", "?", "..."})


@final
@dataclass(frozen=True)
class Channel:
    """Nats for an edit, by the kind of mistake that it mends; a cost for `Closeness`.

    Attributes:
        confusions: says of what kind a replacement is.
        costs: nats for each kind of mistake.
        letter: nats for each letter beyond the first that an unknown word is away from what replaces it.
        slip: nats less where letters of it are in another order only, or one is doubled or not.
        strictness: times all of it: above 1 fewer edits are worth their cost, below 1 more are.

    >>> from textsearch.language.confusions import ListedConfusions
    >>> channel = Channel(ListedConfusions({"then": {"than": "confusion"}}))
    >>> channel("then", "than"), channel("then", "moon"), channel(None, "the")
    (1.0, 12.0, 1.5)
    """

    confusions: Confusions
    costs: Mapping[str, float] = field(default_factory=lambda: COSTS)
    letter: float = 5.0
    slip: float = 1.0
    strictness: float = 1.0

    def __post_init__(self) -> None:
        instance("confusions", self.confusions, CONFUSIONS)
        keep(self, strictness=positive("strictness", self.strictness, remedy=": 1 is usual, more keeps more as it was"))

    def __call__(self, old: str | None, new: str | None) -> float:
        """Nats; None is nothing. The gap before a word is no part of it."""
        return self.strictness * self._cost(old and old.strip(), new and new.strip())

    def _cost(self, old: str | None, new: str | None) -> float:
        if old is None or new is None:
            return self.costs[_small("insert" if old is None else "delete", (old or new or "").lower())]
        if old.lower() == new.lower():
            kind = self._kind(old, new)
            return self.costs[kind if kind == "name" else ("capital" if new[:1].isupper() else "small letter")]
        kind, cost = self._kind(old, new), 0.0
        if kind == "other" and old[:1].isupper() != new[:1].isupper():
            # a word and its capital mended in one are two mistakes, else a capital would come for nothing
            kind = self._kind(old, new[:1].swapcase() + new[1:])
            cost = 0.0 if kind == "other" else self.costs["capital" if new[:1].isupper() else "small letter"]
        cost += self.costs[kind]
        if (
            isinstance(self.confusions, EnglishConfusions)
            and kind not in {"splitting", "apostrophe"}
            and not self.confusions.known(old)
        ):
            cost += self.letter * (letters_apart(old, new) - 1)
            cost -= 0.0 if not slipped(old, new) else min(cost, self.slip)
        return cost

    def _kind(self, old: str, new: str) -> str:
        return kind(self.confusions, old, new)


def kind(confusions: Confusions, old: str, new: str) -> str:
    """Of what kind a replacement is: "other" for words that nothing relates."""
    found = {written.replace(TIGHT, ""): kind for written, kind in confusions.of(old).items()}
    return found.get(new, "other")


def _small(what: str, word: str) -> str:
    if word in _ARTICLES:
        return f"{what} an article"
    if word == ",":
        return f"{what} a comma"
    return "insert a full stop" if (what, word) == ("insert", ".") else what


@final
@dataclass(frozen=True)
class NonWords(Objective):
    """Nats for each word that cannot be one: two that were run together, or a contraction written badly.

    A language model has read "dont" and "alot" so often that it finds them likely among words like them. A corrected
    text should not hold them, whatever the cost of the edit, so this term is part of the prior, not of the channel.

    Attributes:
        confusions: says which words are known.
        nats: for each.
    """

    confusions: EnglishConfusions
    nats: float = 8.0

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "non-words"

    @property
    def cost(self) -> Cost:
        """A look at a list."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        counts = [sum(self._wrong(bare(token)) for token in row) for row in _words(batch)]
        return self.nats * torch.tensor(counts, dtype=torch.float64, device=batch.device)

    def _wrong(self, word: str) -> bool:
        odd = ("'" in word or "’" in word) and parts(word) is None
        if must_be_contracted(word) or self.confusions.run_together(word):
            return True
        return odd and word[:1].isalpha() and not self.confusions.known(word)


@final
@dataclass(frozen=True)
class StrayCapitals(Objective):
    """Nats for each common word that has got a capital within a sentence, where its source has none of it.

    An edit costs the same wherever it stands, and capitals are often missing at the beginning of a sentence: there they
    come cheap, and a language model takes one in the middle for a new sentence.

    Attributes:
        sources: one for all inputs, or one for each; the capitals that they have are theirs.
        confusions: says which words are names.
        nats: for each.
    """

    sources: Batch
    confusions: EnglishConfusions
    nats: float = 8.0

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "stray capitals"

    @property
    def cost(self) -> Cost:
        """A look at a list."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        own, rows = _words(self.sources), _words(batch)
        given = PerInput("sources", tuple({bare(token) for token in row} for row in own)).rows(batch)
        counts = [self._stray(row, there) for row, there in zip(rows, given, strict=True)]
        return self.nats * torch.tensor(counts, dtype=torch.float64, device=batch.device)

    def _stray(self, row: Sequence[str], given: Collection[str]) -> int:
        found, within = 0, False
        for token in row:
            word = bare(token).replace(TIGHT, "")
            capital = within and "\n" not in gap(token) and word[:1].isupper() and word[1:].islower()
            found += capital and bare(token) not in given and not self._name(word)
            within = word.isalnum() or word == "," or (word[:1].isalpha() and word[-1:].isalpha())
        return found

    def _name(self, word: str) -> bool:
        # May is no name to a list of names, since "may" is a word
        mine = word == "May" or word.startswith(("I'", "I’"))
        return mine or word.lower() in proper_names() or self.confusions.name(word)


@final
@dataclass(frozen=True)
class ChangedSentences(Objective):
    """Nats for each changed sentence of the source: most sentences are right already.

    A prior of two parts (George and McCulloch, 1993): with the probability 1 / (1 + exp(nats)) or so a sentence has
    mistakes, any number of them, and else none. The first edit of a sentence must pay for this, the others need not, so
    that one doubtful edit in a sentence without a fault is left, and beside a certain one is made.

    Attributes:
        sources: one for all inputs, or one for each.
        channel: knows the nats, and how strict it is.
    """

    sources: Batch
    channel: Channel

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "changed sentences"

    @property
    def cost(self) -> Cost:
        """A comparison of tokens."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        own, other = ([sentences(row) for row in _words(part)] for part in (self.sources, batch))
        meant = PerInput("sources", tuple(own)).rows(batch)
        counts = [_apart(before, there) for before, there in zip(meant, other, strict=True)]
        nats = self.channel.strictness * self.channel.costs["sentence"]
        return nats * torch.tensor(counts, dtype=torch.float64, device=batch.device)


def _words(batch: Batch) -> list[list[str]]:
    words = batch.vocabulary
    assert isinstance(words, WordVocabulary)
    return words.words(batch)


def sentences(row: Sequence[str]) -> list[tuple[str, ...]]:
    """Tokens cut behind the marks that end sentences, and at line ends.

    >>> sentences(["So", TIGHT + ".", "He", "\\nwent"])
    [('So', '\ufdd0.'), ('He',), ('\\nwent',)]
    """
    found: list[tuple[str, ...]] = []
    begin = 0
    for place, token in enumerate(row):
        if place > begin and ("\n" in gap(token) or (bare(row[place - 1]) in _ENDS and bare(token) not in _ENDS)):
            found.append(tuple(row[begin:place]))
            begin = place
    return [*found, tuple(row[begin:])]


def _apart(old: Sequence[object], new: Sequence[object]) -> int:
    """Items put in, taken out or replaced (Levenshtein, 1966)."""
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    before = list(range(len(new) + 1))
    for i, one in enumerate(old, 1):
        row = [i]
        for j, other in enumerate(new):
            row.append(min(before[j] + (one != other), before[j + 1] + 1, row[j] + 1))
        before = row
    return before[-1]


def shouted(row: Sequence[str]) -> bool:
    """Whether at least four in five words are written in capitals, so that capitals do not mark names.

    >>> shouted(["WE", "SAW", "IT"]), shouted(["We", "saw", "NASA"]), shouted(["NASA"])
    (True, False, False)
    """
    words = [word for word in map(bare, row) if len(word) > 1 and word.isalpha()]
    return len(words) > 1 and sum(word.isupper() for word in words) >= 0.8 * len(words)
