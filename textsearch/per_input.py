"""PerInput: one value for all inputs, or one for each.

The rule for every argument of an objective or a proposal that may differ from input to input. A value alone, or as the
only one of a sequence, is that of all inputs; of a longer sequence, value i is that of input i. A batch may hold some
of the inputs only, so there may be more values than it has inputs, and never fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import sequence, string
from textsearch.kinds import shown

T = TypeVar("T")
U = TypeVar("U")


@final
@dataclass(frozen=True)
class PerInput(Generic[T]):
    """The values of an argument, one for all inputs or one for each.

    Attributes:
        name: of the argument, for messages.
        values: at least one.

    >>> from textsearch.testing import letters
    >>> batch = letters("ab").encode(["a", "b", "ab"])
    >>> PerInput("mean", (3, 5, 7)).rows(batch), PerInput("mean", (3,)).rows(batch)
    ([3, 5, 7], [3, 3, 3])
    >>> PerInput("mean", (3, 5)).check(batch)
    Traceback (most recent call last):
    ...
    ValueError: mean has 2 values, but there are 3 inputs: pass one for each input, or a single one for all of them
    """

    name: str
    values: tuple[T, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"{self.name} is empty: pass one for all inputs, or one for each")

    @property
    def shared(self) -> bool:
        """Whether one value is that of all inputs."""
        return len(self.values) == 1

    def of(self, number: int) -> T:
        """The value of an input."""
        if self.shared:
            return self.values[0]
        if number >= len(self.values):
            self._refuse(number + 1)
        return self.values[number]

    def index(self, batch: Batch) -> Tensor:
        """(B,) int64, which of the values is that of each row."""
        return torch.zeros_like(batch.inputs) if self.shared else batch.inputs

    def rows(self, batch: Batch) -> list[T]:
        """The value of each row."""
        return list(self.values) * len(batch) if self.shared else [self.of(number) for number in batch.inputs.tolist()]

    def one_or_rows(self, batch: Batch) -> T | list[T]:
        """The value of all rows where there is only one, else that of each: as models take prompts and sources."""
        return self.values[0] if self.shared else self.rows(batch)

    def map(self, function: Callable[[T], U]) -> PerInput[U]:
        """What a function makes of each value."""
        return PerInput(self.name, tuple(map(function, self.values)))

    def check(self, batch: Batch) -> None:
        """Refuse an input without a value."""
        inputs = int(batch.inputs.max()) + 1 if len(batch) else 0
        if not self.shared and inputs > len(self.values):
            self._refuse(inputs)

    def _refuse(self, inputs: int) -> None:
        raise ValueError(
            f"{self.name} has {len(self.values)} values, but there are {inputs} inputs: pass one for each input, or a "
            "single one for all of them"
        )


def per_input(
    name: str, value: Any, alone: Callable[[Any], bool], item: Callable[[str, Any], T], of: str
) -> PerInput[T]:
    """The values of an argument, each checked.

    Args:
        name: of the argument.
        value: what was given.
        alone: whether that is one value, and no sequence of them.
        item: checks one value, called by the name it is given, and gives it as it is to be kept.
        of: what the sequence is of, for messages.

    >>> per_input("mean", range(2), lambda value: isinstance(value, int), lambda name, value: float(value), "numbers")
    PerInput(name='mean', values=(0.0, 1.0))
    """
    if isinstance(value, PerInput):
        value = value.values
    if alone(value):
        return PerInput(name, (item(name, value),))
    return PerInput(name, tuple(item(f"{name}[{i}]", one) for i, one in enumerate(sequence(name, value, of))))


def text_per_input(name: str, value: Any, of: str = "texts") -> PerInput[str]:
    """One string for all inputs, or one for each.

    >>> text_per_input("prompt", "a").values, text_per_input("prompt", ["a", "b"]).values
    (('a',), ('a', 'b'))
    >>> text_per_input("prompt", ["a", 3])
    Traceback (most recent call last):
    ...
    TypeError: prompt[1]=3 is no string; pass a list of texts
    """

    def item(own: str, one: Any) -> str:
        if not isinstance(one, str) and own != name:
            raise TypeError(f"{own}={shown(one)} is no string; pass a list of {of}")
        return string(own, one)

    return per_input(name, value, lambda given: isinstance(given, str), item, of)


def number_per_input(name: str, value: Any, item: Callable[[str, Any], T]) -> PerInput[T]:
    """One number for all inputs, or one for each; `item` checks one.

    >>> from textsearch.checks import whole
    >>> number_per_input("low", 3, whole).values, number_per_input("low", [3, 4], whole).values
    ((3,), (3, 4))
    """
    return per_input(name, value, lambda given: not _several(given), item, "numbers")


def list_per_input(
    name: str, value: Any, item: Callable[[str, Any], T], of: str = "words", *, none: bool = False
) -> PerInput[tuple[T, ...]]:
    """One list for all inputs, or one for each; `item` checks one item of a list, and `none` allows empty ones.

    >>> from textsearch.checks import string
    >>> list_per_input("keywords", ["a", "b"], string).values
    (('a', 'b'),)
    >>> list_per_input("keywords", [["a"], ["b", "c"]], string).values
    (('a',), ('b', 'c'))
    >>> list_per_input("keywords", "a", string)
    Traceback (most recent call last):
    ...
    TypeError: keywords='a' is one string; pass a list of words, ['a']
    """
    given = value.values if isinstance(value, PerInput) else sequence(name, value, of)
    several = [_several(one) for one in given]
    if any(several) and not all(several):
        raise TypeError(
            f"{name}={shown(value)} mixes {of} and lists of them; pass {of} alone (the same for all inputs), or one "
            "list for each input"
        )
    if not given:
        raise ValueError(f"{name} is empty: pass one list of {of} for all inputs, or one for each")

    def one_list(own: str, items: Any) -> tuple[T, ...]:
        found = sequence(own, items, of)
        if not (found or none):
            raise ValueError(f"{own} is empty: each input needs at least one")
        return tuple(item(f"{own}[{i}]", one) for i, one in enumerate(found))

    return per_input(name, given, lambda _: not any(several), one_list, f"lists of {of}")


def paired(one: PerInput[T], other: PerInput[U]) -> PerInput[tuple[T, U]]:
    """The values of two arguments side by side.

    >>> paired(PerInput("low", (1,)), PerInput("high", (2, 3))).values
    ((1, 2), (1, 3))
    >>> paired(PerInput("low", (1, 2, 3)), PerInput("high", (2, 3)))
    Traceback (most recent call last):
    ...
    ValueError: low has 3 values, but high has 2: pass one of each for each input, or a single one for all of them
    """
    sizes = len(one.values), len(other.values)
    if min(sizes) > 1 and sizes[0] != sizes[1]:
        raise ValueError(
            f"{one.name} has {sizes[0]} values, but {other.name} has {sizes[1]}: pass one of each for each input, or a "
            "single one for all of them"
        )
    return PerInput(one.name, tuple((one.of(number), other.of(number)) for number in range(max(sizes))))


def _several(given: object) -> bool:
    """Whether it is a sequence, and no string."""
    return isinstance(given, Iterable) and not isinstance(given, str | bytes) and getattr(given, "ndim", 1) > 0
