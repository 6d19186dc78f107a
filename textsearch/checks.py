"""Checks of arguments: each gives back the value as it is to be kept, or says what is wrong with it and what to do.

Used where a value enters, in constructors and functions that are called from outside, and nowhere else. Numbers of
numpy and torch become plain ones, any sequence a tuple. Loads nothing heavy, so that a mistake is told at once. See
`textsearch.kinds` for parts, such as samplers and models.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from textsearch.kinds import nature, plain_number, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

MAX_CHAINS = 1_000_000
"""Rows of one batch are kept in memory together."""

MAX_DRAFTS = 10_000
"""Texts that a causal model writes for one input before a run."""

MAX_TOKENS = 64
"""Of a text that the moves of a task edit: proposals let none grow beyond it."""

MAX_WORDS, MAX_CHARACTERS = 400, 4_000
"""Bounds on the length of one text that may be asked for, and what its fixed parts may hold."""

MAX_PHRASES = 100
"""Words and phrases that one text must hold, or must not."""

MAX_INPUT = 100_000
"""Characters of one input: no model reads as many, and looking at millions takes its time."""


def keep(owner: object, **values: object) -> None:
    """Set fields of a frozen dataclass, from its `__post_init__`."""
    for name, value in values.items():
        object.__setattr__(owner, name, value)


def whole(name: str, value: Any, low: int | None = 0, high: int | None = None, unit: str = "", remedy: str = "") -> int:
    """A whole number from `low` to `high`, both allowed.

    >>> import numpy
    >>> whole("steps", numpy.int64(3))
    3
    >>> whole("tries", 1, 2, unit="tries")
    Traceback (most recent call last):
    ...
    ValueError: tries=1 must be at least 2 tries
    """
    plain = plain_number(value)
    if isinstance(plain, int) and (low is None or plain >= low) and (high is None or plain <= high):
        return plain
    least = "" if low is None else f"at least {low:,}{unit and f' {unit}'}"
    most = "" if high is None else f"at most {high:,}"
    if isinstance(plain, int):
        must = f"be {most if low is None or plain >= low else least}"
    else:
        bounds = " and ".join(filter(None, (least, most)))
        must = f"be a whole number{bounds and f' of {bounds}'}"
    raise ValueError(f"{name}={shown(value if plain is None else plain)} must {must}{remedy}")


def real(name: str, value: Any, must: str, holds: Callable[[float], bool] = math.isfinite, whose: str = "") -> Any:
    """A real number for which `holds` is true; nan never is in a comparison.

    >>> real("keep", 0.5, "be a share between 0 and 1", lambda x: 0 < x < 1)
    0.5
    >>> real("keep", "a", "be a share between 0 and 1", lambda x: 0 < x < 1)
    Traceback (most recent call last):
    ...
    ValueError: keep='a' must be a share between 0 and 1
    """
    plain = plain_number(value)
    if plain is not None:
        try:
            if holds(float(plain)):
                return plain
        except OverflowError:  # a whole number beyond all floats
            pass
    raise ValueError(f"{name}={shown(value if plain is None else plain)}{whose} must {must}")


def seed_of(value: Any) -> int:
    """A seed, which has 64 bits.

    >>> seed_of(None)
    Traceback (most recent call last):
    ...
    ValueError: seed=None must be a whole number, such as 0: the same seed gives the same texts
    """
    seed = whole("seed", value, None, remedy=", such as 0: the same seed gives the same texts")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed={shown(seed)} does not fit in 64 bits")
    return seed


class Run(NamedTuple):
    """What every run is told, in plain numbers."""

    steps: int
    seed: int
    chains: int
    temperature: float


def run_of(*, steps: Any, seed: Any, chains: Any, temperature: Any, until: Any = None, progress: Any = False) -> Run:
    """What every run is told, checked; `until` and `progress` are kept as they are."""
    if until is not None:
        function("until", until, "a rule of when to stop", "one of textsearch.run.until, such as Budget(rows=10_000)")
    flag("progress", progress)
    return Run(
        steps=whole("steps", steps),
        seed=seed_of(seed),
        chains=whole("chains", chains, 1, MAX_CHAINS),
        temperature=positive("temperature", temperature, remedy="; for a pure search anneal to a small value"),
    )


def reals(
    name: str, value: Any, must: str, holds: Callable[[float], bool] = math.isfinite, example: str | None = None
) -> tuple[Any, ...]:
    """Real numbers in order, for each of which `holds` is true.

    >>> reals("weights", [1, 0.5], "be positive", lambda x: x > 0)
    (1, 0.5)
    """
    given = sequence(name, value, "numbers", example)
    return tuple(real(f"{name}[{place}]", one, must, holds) for place, one in enumerate(given))


def floats(name: str, value: Any) -> NDArray[np.float64]:
    """Anything that makes an array of real numbers."""
    import numpy as np

    try:
        array = np.asarray(value)
        if array.dtype.kind in "iuf":
            return array.astype(np.float64, copy=False)
        if array.size == 0:
            return np.zeros(array.shape)
    except (TypeError, ValueError, RuntimeError):  # ragged rows, tensors that numpy cannot read
        pass
    raise TypeError(f"{name}={shown(value)} is {nature(value)}, not an array of real numbers")


def positive(name: str, value: Any, what: str = "number", remedy: str = "") -> Any:
    """A number above 0, and finite.

    >>> positive("sd", 2.0)
    2.0
    """
    return real(name, value, f"be a positive {what}{remedy}", lambda x: 0 < x < math.inf)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if isinstance(value, bool) or (type(value).__module__ == "numpy" and "bool" in type(value).__name__):
        return bool(value)
    raise TypeError(f"{name}={shown(value)} must be True or False")


def string(name: str, value: Any, remedy: str = "") -> str:
    """A string, which may be empty."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{name}={shown(value)} is {nature(value)}, not a string{remedy}")


def sequence(name: str, value: Any, of: str, example: str | None = None) -> tuple[Any, ...]:
    """The items of anything that can be gone through in order: lists, tuples, generators, arrays.

    Args:
        name: of the argument.
        value: what was given.
        of: what it should be a list of.
        example: a list as it should be; by default made of the one thing that was given in its place.

    >>> sequence("sizes", range(2), "numbers")
    (0, 1)
    """
    # the keys of a dictionary are a set that has an order
    no_order = isinstance(value, Set) and not hasattr(value, "mapping")
    alone = isinstance(value, str | bytes | bytearray)
    of_one = alone or isinstance(value, type | Mapping) or getattr(value, "ndim", 1) == 0
    if no_order or of_one or not (isinstance(value, Iterable) or hasattr(value, "__getitem__")):
        what = "one string" if alone else "a set, which has no order" if no_order else nature(value)
        like = example or (f"[{shown(value)}]" if alone else "")
        raise TypeError(f"{name}={shown(value)} is {what}; pass a list of {of}{like and f', {like}'}")
    return tuple(value)


def strings(name: str, value: Any, of: str = "texts", example: str | None = None) -> tuple[str, ...]:
    """Any sequence of strings but a string itself.

    >>> strings("inputs", (word for word in ["a", "b"]))
    ('a', 'b')
    >>> strings("inputs", ["a", None])
    Traceback (most recent call last):
    ...
    TypeError: inputs[1]=None is no string; pass a list of texts
    """
    items = sequence(name, value, of, example)
    for place, item in enumerate(items):
        if not isinstance(item, str):
            raise TypeError(f"{name}[{place}]={shown(item)} is no string; pass a list of {of}")
    return tuple(map(str, items))


def string_lists(name: str, value: Any, of: str, whose: str) -> tuple[tuple[str, ...], ...]:
    """A sequence of sequences of strings; strings in place of the inner ones are most often one list too few.

    Args:
        name: of the argument.
        value: what was given.
        of: what the inner lists are of.
        whose: what there is one inner list for.

    >>> string_lists("sets", ["dog", "park"], "words", "sentence")
    Traceback (most recent call last):
    ...
    TypeError: sets=['dog', 'park'] is a list of strings; pass one list of words for each sentence, [['dog', 'park']]
    """
    example = "[[...]]" if isinstance(value, str) else None
    items = sequence(name, value, f"lists of {of}, one for each {whose}", example)
    if any(isinstance(item, str) for item in items):
        if all(isinstance(item, str) for item in items):
            given = list(map(str, items))
            raise TypeError(
                f"{name}={shown(given)} is a list of strings; pass one list of {of} for each {whose}, [{shown(given)}]"
            )
        place = next(place for place, item in enumerate(items) if isinstance(item, str))
        raise TypeError(f"{name}[{place}]={shown(items[place])} is one string; pass one list of {of} for each {whose}")
    return tuple(strings(f"{name}[{place}]", item, of) for place, item in enumerate(items))


def mapping(name: str, value: Any, of: str, example: str) -> Mapping[Any, Any]:
    """A dictionary with something in it."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}={shown(value)} is {nature(value)}; pass a dictionary of {of}, {example}")
    if not value:
        raise ValueError(f"{name} is empty: it needs at least one, {example}")
    return value


def function(name: str, value: T, what: str, example: str) -> T:
    """What can be called; a class in place of what it makes cannot be meant.

    Args:
        name: of the argument.
        value: what was given.
        what: what it should be, with its article.
        example: how to make one.
    """
    if isinstance(value, type):
        raise TypeError(f"{name}={value.__name__} is a class, not {what}: make one, {value.__name__}(...)")
    if not callable(value):
        raise TypeError(f"{name}={shown(value)} is {nature(value)}, not {what}: pass {example}")
    return value


def functions(name: str, value: Any) -> tuple[Any, ...]:
    """A sequence of functions."""
    if callable(value):
        raise TypeError(f"{name}={shown(value)} is one function; pass a list of them, [{shown(value)}]")
    items = sequence(name, value, "functions")
    for place, item in enumerate(items):
        function(f"{name}[{place}]", item, "a function", "one")
    return items


def model_name(name: str, value: Any) -> str | None:
    """The name or folder of a model; None where none is given."""
    if value is None or isinstance(value, str | os.PathLike):
        path = None if value is None else os.fspath(value)
        if isinstance(path, str) and not path.strip():
            raise ValueError(f"{name}={path!r} is empty: leave it out for the default model")
        if isinstance(path, str) and (max(map(len, Path(path).parts)) > 255 or "\0" in path):
            raise ValueError(f"{name}={shown(path)} is no name or folder of a model: no file has such a name")
        if path is None or isinstance(path, str):
            return path
    raise TypeError(f"{name}={shown(value)} is {nature(value)}: pass a model, or the name or folder of one")


def folder_name(name: str, value: Any) -> str:
    """The name of a folder.

    >>> folder_name("checkpoint", Path("runs") / "first")
    'runs/first'
    """
    if isinstance(value, str | os.PathLike):
        plain = os.fspath(value)
        if isinstance(plain, str) and plain.strip() and "\0" not in plain:
            return plain
    raise TypeError(
        f"{name}={shown(value)} is {nature(value)}, not the name of a folder: pass one, such as 'runs/first'"
    )
