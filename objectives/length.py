"""Length: how long a text should be, softly or within bounds.

A word is what `Batch.word_starts` counts, a token together with the pieces that go on it; so a mark of punctuation that
is a token of its own counts as a word, and so does each character of Chinese. With `marks=False` it is a word of the
surface text instead, and marks do not count. Characters are those of the surface text, with its spaces; with
`marks=False` its letters and digits only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.keywords import words
from objectives.text_features import is_mark
from textsearch.batch import Batch
from textsearch.checks import flag, keep, positive, real, whole
from textsearch.objective import Cost, Objective
from textsearch.outline import Outline
from textsearch.per_input import PerInput, number_per_input, paired


@final
@dataclass(frozen=True)
class Length(Objective):
    """A normal prior on the length n of a text: (n - mean)^2 / (2 sd^2) nats.

    Attributes:
        mean: words; one number for all inputs, or one for each: row r is judged by `mean[batch.inputs[r]]`.
        sd: standard deviation, words.
        tokens: count tokens instead of words, in n, `mean` and `sd`.
        characters: count characters instead.
        marks: whether marks of punctuation count, and of characters the spaces.

    Raises:
        ValueError: a mean below 0, an empty sequence of them, an sd that is not positive, or two units.

    >>> from textsearch.testing import letters
    >>> batch = letters("aB").encode(["aaa", "aBBa", ""])
    >>> Length(3, sd=1).energy(batch).tolist()
    [0.0, 0.5, 4.5]
    >>> Length([3, 4, 5], sd=0.5, tokens=True).energy(batch).tolist()
    [0.0, 0.0, 50.0]
    """

    mean: float | Sequence[float]
    sd: float
    _: KW_ONLY
    tokens: bool = False
    characters: bool = False
    marks: bool = True
    _means: PerInput[float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_unit(self)
        must = f"be a number of {self._unit}, at least 0"
        means: PerInput[float] = number_per_input(
            "mean", self.mean, lambda name, value: real(name, value, must, lambda x: 0 <= x < math.inf)
        )
        keep(self, mean=means.values, _means=means)
        remedy = "; for an exact length use LengthBetween"
        keep(self, sd=positive("sd", self.sd, f"number of {self._unit}", remedy))

    @property
    def cost(self) -> Cost:
        """A count."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) squared distance from the mean in units of the standard deviation, halved."""
        return ((_count(batch, self) - _of_rows(self._means, batch)) / self.sd).square() / 2

    def check(self, batch: Batch) -> None:
        """Refuse an input without a mean."""
        self._means.check(batch)

    def outline(self, number: int) -> Outline:
        """About as many words as are likely."""
        mean = self._means.of(number)
        low, high = (max(edge, 0.0) / _size(self) for edge in (mean - self.sd, mean + self.sd))
        return Outline(low=round(low), high=max(round(high), 1))

    @property
    def _unit(self) -> str:
        return "tokens" if self.tokens else "characters" if self.characters else "words"


@final
@dataclass(frozen=True)
class LengthBetween(Objective):
    """Bounds on the length of a text, both included: energy 0, or +inf outside.

    Attributes:
        low: the fewest words, one number for all inputs or one for each.
        high: the most words, one number for all inputs or one for each; None for no bound.
        tokens: count tokens instead of words.
        characters: count characters instead.
        marks: whether marks of punctuation count, and of characters the spaces.

    Raises:
        ValueError: bounds that are negative, not whole, in the wrong order, or allow every length; or two units.

    >>> from textsearch.testing import letters
    >>> batch = letters("aB").encode(["aaa", "aBBa", ""])
    >>> LengthBetween(1, 2).energy(batch).tolist()
    [inf, 0.0, inf]
    >>> LengthBetween(high=3, tokens=True).energy(batch).tolist()
    [0.0, inf, 0.0]
    >>> LengthBetween([1, 5, 0], [3, 9, None], characters=True).energy(batch).tolist()
    [0.0, inf, 0.0]
    """

    low: int | Sequence[int] = 0
    high: int | Sequence[int | None] | None = None
    _: KW_ONLY
    tokens: bool = False
    characters: bool = False
    marks: bool = True
    _bounds: PerInput[tuple[int, int | None]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_unit(self)
        lows = number_per_input("low", self.low, whole)
        highs = number_per_input("high", self.high, lambda name, value: None if value is None else whole(name, value))
        keep(self, low=lows.values, high=highs.values, _bounds=paired(lows, highs))
        if set(highs.values) == {None} and set(lows.values) == {0}:
            raise ValueError("LengthBetween(0, None) allows every length: give low, high or both")
        for low, high in self._bounds.values:
            if high is not None and low > high:
                raise ValueError(f"low={low} is above high={high}: no text could be that long; exchange them")

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "length between"

    @property
    def cost(self) -> Cost:
        """A count that forbids texts."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 within the bounds, +inf outside."""
        count = _count(batch, self)
        low = _of_rows(self._bounds.map(lambda bounds: float(bounds[0])), batch)
        high = _of_rows(self._bounds.map(lambda bounds: math.inf if bounds[1] is None else float(bounds[1])), batch)
        energy = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        return energy.masked_fill((count < low) | (count > high), math.inf)

    def outline(self, number: int) -> Outline:
        """As many words as there may be, about so where it is not words that count."""
        low, high = self._bounds.of(number)
        size = _size(self)
        return Outline(low=math.ceil(low / size), high=None if high is None else math.floor(high / size))

    def check(self, batch: Batch) -> None:
        """Each input has its bounds."""
        self._bounds.check(batch)


def _size(term: Length | LengthBetween) -> float:
    """Of a word, in the unit: English ones have some five letters, and a space."""
    return 5.5 if term.characters else 1.0


def _of_rows(values: PerInput[float], batch: Batch) -> Tensor:
    """(B,) float64 each row's value."""
    return torch.tensor(values.values, dtype=torch.float64, device=batch.device)[values.index(batch)]


def _check_unit(term: Length | LengthBetween) -> None:
    keep(term, **{name: flag(name, getattr(term, name)) for name in ("tokens", "characters", "marks")})
    if term.tokens and term.characters:
        raise ValueError("tokens=True and characters=True are two units: choose one")
    if term.tokens and not term.marks:
        raise ValueError("marks=False is for words and characters: a token may hold both marks and letters")


def _count(batch: Batch, term: Length | LengthBetween) -> Tensor:
    """(B,) float64, words, tokens or characters."""
    if term.tokens:
        return batch.lengths.to(torch.float64)
    if not term.characters and term.marks:
        return batch.word_starts.sum(1).to(torch.float64)
    if not term.characters:
        counts = [sum(not is_mark(word) for word in words(text)) for text in batch.texts()]
    elif term.marks:
        counts = [len(text) for text in batch.texts()]
    else:
        counts = [sum(letter.isalnum() for letter in text) for text in batch.texts()]
    return torch.tensor(counts, dtype=torch.float64, device=batch.device)
