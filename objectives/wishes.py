"""Wishes: words that a text should hold, each worth so many nats.

The soft constraints of CGMH (Miao et al., 2019), on words: where `Keywords` forbids a text that lacks one, it costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from objectives.keywords import Template, occurrences, template_of, words
from textsearch.batch import Batch
from textsearch.checks import flag, keep, positive, string
from textsearch.kinds import nature, shown
from textsearch.objective import Objective
from textsearch.per_input import PerInput, per_input


@final
@dataclass(frozen=True)
class Wishes(Objective):
    """The weights of the words and phrases that a text lacks, added up: 0 for one that has them all.

    Case does not count, and marks are words of their own, as of `Keywords`. A word of the text may fulfil several.

    Attributes:
        wishes: words or phrases and their weights in nats, for all inputs or for each: row r is judged by
            `wishes[batch.inputs[r]]`. An input may have none.
        inflections: whether any English inflection will do ("ran" for "run"); needs the extra `tasks`.

    Raises:
        ValueError: a wish without a word, or a weight that is not positive.

    >>> from textsearch.testing import letters
    >>> batch = letters("acdgot ").encode(["a cat", "a dog", "dog cat"])
    >>> Wishes({"dog": 5.0, "a cat": 2.0}).energy(batch).tolist()
    [5.0, 2.0, 2.0]
    """

    wishes: Mapping[str, float] | Sequence[Mapping[str, float]]
    inflections: bool = False
    _templates: PerInput[tuple[tuple[Template, float], ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keep(self, inflections=flag("inflections", self.inflections))
        given = per_input(
            "wishes", self.wishes, lambda value: isinstance(value, Mapping), _weighed, "dictionaries of words and nats"
        )
        keep(self, wishes=given.values, _templates=given.map(self._prepared))

    def _prepared(self, own: Mapping[str, float]) -> tuple[tuple[Template, float], ...]:
        return tuple((template_of(word, self.inflections), weight) for word, weight in own.items())

    @property
    def lower_bound(self) -> float:
        """All are fulfilled."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        energies = [
            sum(weight for template, weight in own if not occurrences(text, template))
            for text, own in zip(map(words, batch.texts()), self._templates.rows(batch), strict=True)
        ]
        return torch.tensor(energies, dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its wishes."""
        self._templates.check(batch)

    def concerns(self, number: int) -> bool:
        """Whether this input has any."""
        return bool(self._templates.of(number))


def _weighed(name: str, value: Any) -> dict[str, float]:
    """The wishes of one input."""
    found: dict[str, float] = {}
    if not isinstance(value, Mapping):
        raise TypeError(
            f'{name}={shown(value)} is {nature(value)}; pass a dictionary of words and nats, {{"dog": 10.0}}'
        )
    for word, weight in value.items():
        if not words(string(f"a word of {name}", word)):
            raise ValueError(f"{name} has {shown(word)}, which has no word in it: leave it out")
        found[word] = positive(f"{name}[{shown(word)}]", weight, "number of nats", "; leave the wish out instead")
    return found
