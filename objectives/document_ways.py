"""Places within a JSON document that is being read, and what they tell; see `objectives.document_reader`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import regex

from objectives.schema_views import ANYTHING, View

_DIGITS = 15  # characters of a number that is told from others


@final
@dataclass(frozen=True)
class Open:
    """An object or a list that has begun.

    Attributes:
        view: what it must be.
        missing: keys that it lacks, in the order of the schema; None for a list.
        count: items or properties that it has; no more are told apart than matter.
    """

    view: View
    missing: tuple[str, ...] | None
    count: int


@final
@dataclass(frozen=True)
class Text:
    """A string that has begun, a value or a key.

    Attributes:
        view: what it must be; None for a key.
        key: what is written of a key; None where it is none of those that the schema names.
        count: characters of a value so far; no more are told apart than matter.
        texts: what the rest of a value may be; None for anything.
        searches: states of the patterns.
        escape: what is written of an escape.
        free: whether it may be anything from here on, since an escape was not followed.
    """

    view: View | None
    key: str | None = ""
    count: int = 0
    texts: frozenset[str] | None = None
    searches: tuple[Any, ...] = ()
    escape: str = ""
    free: bool = False


@final
@dataclass(frozen=True)
class Way:
    """One way in which a beginning may have come about.

    Attributes:
        around: what is open, the outermost first.
        at: "value", "first" (a value, or the end of the list), "key", "key or }", ":", "more", "number", "word" or
            "string".
        views: of the value that is to come or is being written.
        told: what is written of a number, what a word still lacks, or a string.
    """

    around: tuple[Open, ...]
    at: str
    views: tuple[View, ...] = ()
    told: str | Text = ""


def shortest(texts: Iterable[str | None]) -> str | None:
    """The shortest of some texts; None where there is none."""
    return min((one for one in texts if one is not None), key=lambda one: (len(one), one), default=None)


def stepped(view: View, searches: Sequence[Any], character: str) -> tuple[Any, ...] | None:
    """The states of the patterns with one character more; None where one of them can no longer match."""
    after = tuple(one.step(state, character) for one, state in zip(view.patterns, searches, strict=True))
    return None if None in after else after


def counted(view: View, count: int) -> int:
    """Characters of a string, as far as they matter."""
    return min(count, view.shortest if view.longest == math.inf else int(view.longest))


def inside(text: str) -> str:
    """As it stands within a string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def number_of(written: str) -> float:
    """The value of a number; inf beyond all floats."""
    try:
        return float(written)
    except OverflowError:
        return math.inf


def told_apart(way: Way) -> Way:
    """A number as far as it is told apart: one that may be any, or is long, by how it may go on."""
    written, (view,) = str(way.told), way.views
    if view.values is None and "number" in view.types and (view.low, view.high) == (-math.inf, math.inf):
        return replace(way, told=_like(written))
    return way if len(written) <= _DIGITS else replace(way, told=_like(written), views=(ANYTHING,))


def _like(written: str) -> str:
    """A short number, or beginning of one, that may go on in the same ways."""
    whole, point, fraction = written.partition(".")
    short = regex.sub("[1-9][0-9]*", "1", whole if point else regex.sub("[eE].*", "", whole))
    if exponent := regex.search("[eE][+-]?([0-9]?)", written):
        return f"1{exponent[0][: 3 if exponent[0][1:2] in '+-' else 2].rstrip('0123456789')}" + (
            "0" if exponent[1] else ""
        )
    return "1." + ("0" if fraction else "") if point else short
