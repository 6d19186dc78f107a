"""Forbidden: words and phrases that a text must not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import final

from torch import Tensor

from objectives.keywords import Keywords, words
from objectives.text_features import check_inputs, of_input, verdicts
from textsearch.batch import Batch
from textsearch.checks import flag, keep, sequence
from textsearch.objective import Cost, Objective
from textsearch.outline import Outline


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
    _forms: tuple[tuple[tuple[frozenset[str], ...], ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keep(
            self,
            phrases=sequence("phrases", self.phrases, "phrases"),
            inflections=flag("inflections", self.inflections),
        )
        if not self.phrases:
            raise ValueError("phrases is empty: name at least one, or leave the term out")
        # read as keywords are, so that what is required in one term means the same here
        keywords = Keywords(self.phrases, inflections=self.inflections)
        object.__setattr__(self, "phrases", keywords.keywords)
        forms = tuple(tuple(map(keywords.forms, phrases)) for phrases in keywords.keywords)
        object.__setattr__(self, "_forms", forms)

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts without any of them, +inf for the others."""
        return verdicts(
            batch,
            lambda text, number: not any(_holds(words(text), phrase) for phrase in of_input(self._forms, number)),
        )

    def outline(self, number: int) -> Outline:
        """None of the words, as far as they stand alone."""
        forms = [phrase[0] for phrase in of_input(self._forms, number) if len(phrase) == 1]
        return Outline(without=tuple(sorted(frozenset().union(*forms))))

    def check(self, batch: Batch) -> None:
        """Each input has its phrases."""
        check_inputs("phrases", self.phrases, batch)


def _holds(text: Sequence[str], phrase: Sequence[frozenset[str]]) -> bool:
    size = len(phrase)
    return any(
        all(word in forms for word, forms in zip(text[start : start + size], phrase, strict=True))
        for start in range(len(text) - size + 1)
    )
