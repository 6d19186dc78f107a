"""Forbidden: words and phrases that a text must not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import final

from torch import Tensor

from objectives.keywords import Template, keyword_lists, template_of, words
from objectives.text_features import zero_or_inf
from objectives.word_sites import Condition, WordSites
from textsearch.batch import Batch
from textsearch.checks import flag, keep
from textsearch.objective import Cost, Objective
from textsearch.outline import Outline
from textsearch.per_input import PerInput


@final
@dataclass(frozen=True)
class Forbidden(Objective):
    """None of these occurs as whole words: energy 0, or +inf where one does. Case does not count.

    Attributes:
        phrases: words and phrases, one sequence for all inputs or one for each.
        inflections: forbid every English inflection too ("ran" with "run"); needs the extra `tasks`.

    Raises:
        TypeError: phrases that are a string.
        ValueError: no phrases, or an empty one.
        ImportError: `inflections` without lemminflect.

    >>> from textsearch.testing import letters
    >>> batch = letters("acdgost ").encode(["a cat sat", "a dog", "cats sat"])
    >>> Forbidden(["cat", "a dog"]).energy(batch).tolist()
    [inf, inf, 0.0]
    """

    phrases: Sequence[str] | Sequence[Sequence[str]]
    _: KW_ONLY
    inflections: bool = False
    _forms: PerInput[tuple[Template, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        inflected = flag("inflections", self.inflections)
        # read as keywords are, so that what is required in one term means the same here
        given = keyword_lists("phrases", self.phrases, "phrases")
        forms = given.map(lambda phrases: tuple(template_of(phrase, inflected) for phrase in phrases))
        keep(self, phrases=given.values, inflections=inflected, _forms=forms)

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts without any of them, +inf for the others."""
        return zero_or_inf(
            batch,
            lambda text, number: not any(_holds(words(text), phrase) for phrase in self._forms.of(number)),
        )

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
        """(K, V) bool, the words that are not forbidden themselves; of phrases of several words nothing is said."""
        alone = self._forms.map(lambda phrases: frozenset[str]().union(*(p[0] for p in phrases if len(p) == 1)))
        if not any(alone.values):
            return None
        sites = WordSites.of(batch, rows, positions)
        conditions: list[Condition | None] = []
        for number, certain, goes_on in zip(batch.inputs[rows].tolist(), sites.certain, sites.goes_on, strict=True):
            conditions.append(_none_of(alone.of(number)) if certain and not goes_on else None)
        found = sites.allowed(conditions)
        return None if found is None else found.to(batch.device)

    def outline(self, number: int) -> Outline:
        """None of the words, as far as they stand alone."""
        forms = [phrase[0] for phrase in self._forms.of(number) if len(phrase) == 1]
        return Outline(without=tuple(sorted(frozenset().union(*forms))))

    def check(self, batch: Batch) -> None:
        """Each input has its phrases."""
        self._forms.check(batch)


def _holds(text: Sequence[str], phrase: Sequence[frozenset[str]]) -> bool:
    size = len(phrase)
    return any(
        all(word in forms for word, forms in zip(text[start : start + size], phrase, strict=True))
        for start in range(len(text) - size + 1)
    )


def _none_of(forms: frozenset[str]) -> Condition:
    return ("none of", forms), lambda word: word not in forms
