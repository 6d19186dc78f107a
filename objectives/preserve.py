"""Preserve: denials, numbers, persons and modal verbs of a text are those of its source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import regex
import torch
from torch import Tensor

from objectives.keywords import words
from objectives.polarity import denials
from objectives.text_features import check_inputs, of_input
from textsearch.batch import Batch
from textsearch.checks import keep, one_or_each, string_lists, strings
from textsearch.objective import Cost, Objective

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
    """What the text says that no edit of its form should change, and how often.

    >>> sorted(facts("I can't give you 5 of my two dogs."))
    ['denial 0', 'modal', 'number 2', 'number 5', 'person i', 'person you']
    """
    found = Counter({f"denial {kind}": count for kind, count in denials(text).items()})
    found.update(f"number {digits}" for digits in _DIGITS.findall(text))
    plain = [_CLITIC.sub("", word) for word in words(text.lower())]
    found.update(_FEATURES[word] for word in plain if word in _FEATURES)
    return found


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
    _bounds: tuple[Any, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keep(self, sources=one_or_each("sources", self.sources))
        keep(self, kinds=strings("kinds", self.kinds, "kinds"))
        if not self.kinds or set(self.kinds) - set(KINDS):
            raise ValueError(f"kinds={list(self.kinds)} must be some of {', '.join(KINDS)}")
        own = (self.sources,) if isinstance(self.sources, str) else self.sources
        meant: Sequence[Sequence[str]] = ((),) * len(own)
        if self.meant is not None:
            meant = string_lists("meant", self.meant, "words", "source")
            keep(self, meant=meant)
        if len(meant) != len(own):
            raise ValueError(f"meant has {len(meant)} lists for {len(own)} sources: pass one for each")
        bounds = []
        for source, lines in zip(own, meant, strict=True):
            more = Counter(fact for line in lines for fact in self._facts(line))
            bounds.append((self._facts(source), self._facts(source) + more))
        keep(self, _bounds=tuple(bounds))

    def _facts(self, text: str) -> Counter[str]:
        return Counter({fact: count for fact, count in facts(text).items() if fact.split()[0] in self.kinds})

    @property
    def cost(self) -> Cost:
        """Counts of words."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) a count."""
        values = []
        for text, number in zip(batch.texts(), batch.inputs.tolist(), strict=True):
            own, (least, most) = self._facts(text), of_input(self._bounds, number)
            values.append(float((least - own).total() + (own - most).total()))
        return torch.tensor(values, dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its source."""
        check_inputs("sources", self._bounds, batch)
