"""Preserve: denials, numbers, persons and modal verbs of a text are those of its source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import regex
import torch
from torch import Tensor

from objectives.keywords import words
from objectives.polarity import denials
from textsearch.batch import Batch
from textsearch.checks import keep, string, strings
from textsearch.language.surface import is_month
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, list_per_input, paired, text_per_input

_PERSONS = (
    "i me my mine myself",
    "you your yours yourself yourselves",
    "he him his himself",
    "she her hers herself",
    "we us our ours ourselves",
)
"""Who is spoken of. "it" and "they" are none: they may stand for anything, and grammar often wants them."""

_MODALS = "can cannot ca could may might must should shall"
_CARDINALS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty"""
_NUMBERS = """thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen twice half third
fourth fifth sixth seventh eighth ninth tenth"""

_FEATURES = {
    **{word: f"person {line.split()[0]}" for line in _PERSONS for word in line.split()},
    **dict.fromkeys(_MODALS.split(), "modal"),
    **{word: f"number {value}" for value, word in enumerate(_CARDINALS.split())},
    **{word: f"number {word}" for word in _NUMBERS.split()},
}
del _FEATURES["one"]  # a pronoun or an article as often as a number

KINDS = ("denial", "number", "person", "modal")
"""What may be preserved."""

_DIGITS = regex.compile(r"\d+(?:[.,:/]\d+)*+")
_CLITIC = regex.compile(r"n['’]t$|['’].*$")


def facts(text: str) -> Counter[str]:
    """What the text says that no edit of its form should change, and how often; "in May" holds no modal verb.

    >>> sorted(facts("I can't give you 5 of my two dogs."))
    ['denial 0', 'modal', 'number 2', 'number 5', 'person i', 'person you']
    """
    found = Counter({f"denial {kind}": count for kind, count in denials(text).items()})
    found.update(f"number {digits}" for digits in _DIGITS.findall(text))
    written = [_CLITIC.sub("", word) for word in words(text)]
    beside = zip(["", *written], written, [*written[1:], ""], strict=False)
    # in the month of May nothing may be done
    plain = [word.lower() for before, word, after in beside if not _is_month(before, word, after)]
    found.update(_FEATURES[word] for word in plain if word in _FEATURES)
    return found


def _is_month(before: str, word: str, after: str) -> bool:
    within = word == "May" and before[:1].isalnum()
    return within or (word.lower() == "may" and is_month(before, after))


@final
@dataclass(frozen=True)
class Preserve(Objective):
    """Denials, numbers, persons and modal verbs that the text has and its source has not, or the other way about.

    0 where they agree. English. A person is "I", "you", "he", "she" or "we" in any form; "can" and "must" are both
    modal verbs, and one for the other is no change.

    Attributes:
        sources: one text for all inputs, or one for each: row r is judged by `sources[batch.inputs[r]]`.
        meant: for each source, what some of its words may have been meant to be, such as ["not note"] for "nto": for
            each such word the text may, and need not, have one more of what one of these words says.
        kinds: what is preserved, of "denial", "number", "person" and "modal".

    Raises:
        ValueError: no sources, another number of `meant` than of sources, or an unknown kind.

    >>> from textsearch.testing import letters
    >>> batch = letters("ademnot 25").encode(["do not", "note 2", "not 5", "to me"])
    >>> Preserve("nto to 2").energy(batch).tolist(), Preserve("nto to 2", [["not note"]]).energy(batch).tolist()
    ([2.0, 0.0, 3.0, 2.0], [1.0, 0.0, 2.0, 2.0])
    """

    sources: str | Sequence[str]
    meant: Sequence[Sequence[str]] | None = None
    kinds: Sequence[str] = KINDS
    _bounds: PerInput[tuple[Counter[str], Counter[str]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sources = text_per_input("sources", self.sources)
        keep(self, sources=sources.values)
        keep(self, kinds=strings("kinds", self.kinds, "kinds"))
        if not self.kinds or set(self.kinds) - set(KINDS):
            raise ValueError(f"kinds={list(self.kinds)} must be some of {', '.join(KINDS)}")
        meant: PerInput[tuple[str, ...]] = PerInput("meant", ((),))
        if self.meant is not None:
            meant = list_per_input("meant", self.meant, string, "words", none=True)
            keep(self, meant=meant.values)
        keep(self, _bounds=paired(sources, meant).map(lambda pair: self._allowed(*pair)))

    def _allowed(self, source: str, meant: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
        """The least and the most that a text may say."""
        more = Counter(fact for line in meant for fact in self._facts(line))
        return self._facts(source), self._facts(source) + more

    def _facts(self, text: str) -> Counter[str]:
        return Counter({fact: count for fact, count in facts(text).items() if fact.split()[0] in self.kinds})

    @property
    def cost(self) -> Cost:
        """Counts of words."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) a count."""
        values = []
        for text, bounds in zip(batch.texts(), self._bounds.rows(batch), strict=True):
            own, (least, most) = self._facts(text), bounds
            values.append(float((least - own).total() + (own - most).total()))
        return torch.tensor(values, dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its source."""
        self._bounds.check(batch)
