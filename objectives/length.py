"""Length: how long a text should be, softly or within bounds.

A word is what `Batch.word_starts` counts, a token together with the pieces that go on it; so a mark of punctuation that
is a token of its own counts as a word, and so does each character of Chinese. With `marks=False` it is a word of the
surface text instead, and marks do not count. Characters are those of the surface text, with its spaces; with
`marks=False` its letters and digits only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, final

import torch
from torch import Tensor

from objectives.keywords import words
from objectives.text_features import check_inputs, is_mark, of_input
from textsearch.batch import Batch
from textsearch.checks import flag, keep, positive, real, reals, sequence, whole
from textsearch.objective import Cost, Objective
from textsearch.outline import Outline


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

    def __post_init__(self) -> None:
        _check_unit(self)
        must = f"be a number of {self._unit}, at least 0"
        if _several(self.mean):
            keep(self, mean=reals("mean", self.mean, must, lambda x: 0 <= x < math.inf))
            if not self.mean:
                raise ValueError("mean is empty: pass one number, or one for each input")
        else:
            keep(self, mean=real("mean", self.mean, must, lambda x: 0 <= x < math.inf))
        remedy = "; for an exact length use LengthBetween"
        keep(self, sd=positive("sd", self.sd, f"number of {self._unit}", remedy))

    @property
    def cost(self) -> Cost:
        """A count."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) squared distance from the mean in units of the standard deviation, halved."""
        mean = torch.tensor(self.mean, dtype=torch.float64, device=batch.device)
        if mean.dim():
            mean = mean[batch.inputs]
        return ((_count(batch, self) - mean) / self.sd).square() / 2

    def check(self, batch: Batch) -> None:
        """Refuse an input without a mean."""
        inputs = int(batch.inputs.max()) + 1 if len(batch) else 0
        if isinstance(self.mean, tuple) and inputs > len(self.mean):
            raise ValueError(
                f"mean has {len(self.mean)} values, but there are {inputs} inputs: "
                "pass one for each input, or a single number for all of them"
            )

    def outline(self, number: int) -> Outline:
        """About as many words as are likely."""
        mean = self.mean if isinstance(self.mean, int | float) else self.mean[number]
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

    def __post_init__(self) -> None:
        _check_unit(self)
        for name in ("low", "high"):
            given = getattr(self, name)
            bounds = sequence(name, given, "whole numbers") if _several(given) else (given,)
            if not bounds:
                raise ValueError(f"{name} is empty: pass one number, or one for each input")
            bounds = tuple(None if bound is None and name == "high" else whole(name, bound) for bound in bounds)
            keep(self, **{name: bounds if _several(given) else bounds[0]})
        lows, highs = _listed(self.low), _listed(self.high)
        if len(lows) > 1 and len(highs) > 1 and len(lows) != len(highs):
            raise ValueError(f"low has {len(lows)} values and high {len(highs)}: each input needs one of both")
        if set(highs) == {None} and set(lows) == {0}:
            raise ValueError("LengthBetween(0, None) allows every length: give low, high or both")
        for number in range(max(len(lows), len(highs))):
            low, high = of_input(lows, number), of_input(highs, number)
            if high is not None and low > high:
                raise ValueError(f"low={low} is above high={high}: no text could be that long; exchange them")

    @property
    def name(self) -> str:
        """Two words."""
        return "length between"

    @property
    def cost(self) -> Cost:
        """0 or +inf."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 within the bounds, +inf outside."""
        count = _count(batch, self)
        low = _of_rows([float(low) for low in _listed(self.low)], batch)
        high = _of_rows([math.inf if high is None else float(high) for high in _listed(self.high)], batch)
        energy = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        return energy.masked_fill((count < low) | (count > high), math.inf)

    def outline(self, number: int) -> Outline:
        """As many words as there may be, about so where it is not words that count."""
        low, high = of_input(_listed(self.low), number), of_input(_listed(self.high), number)
        size = _size(self)
        return Outline(low=math.ceil(low / size), high=None if high is None else math.floor(high / size))

    def check(self, batch: Batch) -> None:
        """Each input has its bounds."""
        check_inputs("low", _listed(self.low), batch)
        check_inputs("high", _listed(self.high), batch)


def _size(term: Length | LengthBetween) -> float:
    """Of a word, in the unit: English ones have some five letters, and a space."""
    return 5.5 if term.characters else 1.0


def _several(given: object) -> bool:
    """Whether there is a value for each input."""
    return isinstance(given, Iterable) and not isinstance(given, str) and getattr(given, "ndim", 1) > 0


def _listed(bounds: Any) -> tuple[Any, ...]:
    return bounds if isinstance(bounds, tuple) else (bounds,)


def _of_rows(values: Sequence[float], batch: Batch) -> Tensor:
    """(B,) each row's value, or the only one there is."""
    each = torch.tensor(values, dtype=torch.float64, device=batch.device)
    return each[batch.inputs] if len(values) > 1 else each.expand(len(batch))


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
