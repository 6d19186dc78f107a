"""Polarity: what a text denies, and how strongly, is what its source denies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.keywords import words
from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, text_per_input

_CLASSES = (
    "not neither nor cannot",
    "no none nobody nothing nowhere",
    "never",
    "without",
    "hardly barely scarcely seldom rarely",
    "avoid avoids avoided avoiding",
    "fail fails failed failing",
    "refuse refuses refused refusing deny denies denied denying",
    "unable impossible",
)
_CLASS = {word: number for number, line in enumerate(_CLASSES) for word in line.split()}


def denials(text: str) -> Counter[int]:
    """How many words of each class deny something.

    >>> denials("I can't, and I never will; not even without you.") == Counter({0: 2, 2: 1, 3: 1})
    True
    """
    plain = text.lower().replace("’", "'").replace("no one", "nobody")
    found = [0 if word.endswith("n't") else _CLASS.get(word) for word in words(plain)]
    return Counter(number for number in found if number is not None)


@final
@dataclass(frozen=True)
class Polarity(Objective):
    """Denying words that the text has and its source has not, and the other way about: 0 where they agree.

    English. "not" and n't are one class, "no", "nobody" and their like another; "never", "without", "hardly", "avoid"
    and others are classes of their own.

    Attributes:
        sources: one text for all inputs, or one for each: row r is judged by `sources[batch.inputs[r]]`.

    Raises:
        ValueError: no sources.

    >>> from textsearch.testing import letters
    >>> batch = letters("acdeinorstv ").encode(["do not", "avoid it", "no"])
    >>> Polarity("not so").energy(batch).tolist()
    [0.0, 2.0, 2.0]
    """

    sources: str | Sequence[str]
    _denials: PerInput[Counter[int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = text_per_input("sources", self.sources)
        keep(self, sources=given.values, _denials=given.map(denials))

    @property
    def cost(self) -> Cost:
        """Counts of words."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) a count."""
        values = []
        for text, number in zip(batch.texts(), batch.inputs.tolist(), strict=True):
            own, source = denials(text), self._denials.of(number)
            values.append(float(((own - source) + (source - own)).total()))
        return torch.tensor(values, dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its source."""
        self._denials.check(batch)
