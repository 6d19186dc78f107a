"""A request for constrained text: what is asked of it, and which requests contradict themselves."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from textsearch.checks import MAX_TOKENS
from textsearch.kinds import shown
from textsearch.tasks.constraints import table
from textsearch.tasks.constraints.base import Constraint, Rules
from textsearch.tasks.constraints.layouts import Layout, count_of, layouts_of, least_words, max_words, missing

LEAST = {"words": MAX_TOKENS - 1, "characters": 8 * MAX_TOKENS}
"""The most that can be asked for as the fewest: a word has a token or more, and so has the mark at the end."""


@final
@dataclass(frozen=True, init=False, repr=False)
class Request:
    """What one text should be; what is left out is free.

    What can be asked for, by name, is listed in `textsearch.tasks.constraints.table`: prefix, suffix, template,
    required, forbidden, words, characters, regex, rhyme, acrostic and couplet, which are hard, and label, topic and
    context. Each is an attribute too.

    Attributes:
        asked: name -> value, of what is asked for.

    Raises:
        ValueError: a value that cannot be meant, or values that contradict one another: the message names them.

    >>> Request(prefix="The cat", forbidden=["cat"])
    Traceback (most recent call last):
    ...
    ValueError: prefix='The cat' holds the forbidden 'cat': take one of them away
    >>> Request(prefix="The cat", words=6).words, Request(prefix="The cat").rhyme
    ((6, 6), '')
    """

    asked: Mapping[str, Any]

    def __init__(self, **given: Any) -> None:
        known = {one.name: one for one in table.CONSTRAINTS}
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(str(name)[:40].lower(), known, 1)
                meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
                raise ValueError(f"{shown(name)} is nothing that a request may ask for: {meant}")
        values = {name: one.read(given[name]) for name, one in known.items() if name in given}
        object.__setattr__(self, "asked", {name: value for name, value in values.items() if value})
        for one, value in self.constraints():
            one.check_size(value)
        for one, value in self.constraints():
            one.hard([value])  # each term looks at its own value
        if not self.layouts():
            raise ValueError(f"{' and '.join(self.sources(required=False))} contradict: no text fits all of them")
        for one, value in self.constraints():
            one.check(value, self)
        self._check_least()

    @staticmethod
    def of(given: Request | Mapping[str, Any]) -> Request:
        """A request from its values by name, as they come from JSON.

        >>> Request.of({"template": "A *.", "words": [3, 5]}).words
        (3, 5)
        """
        if isinstance(given, Request):
            return given
        if not isinstance(given, Mapping):
            raise TypeError(f"{shown(given)} is no request: pass a dictionary such as {{'prefix': 'The book'}}")
        return Request(**{str(name): value for name, value in given.items()})

    def __getattr__(self, name: str) -> Any:
        """The value of a constraint; its empty one where it is not asked for."""
        for one in table.CONSTRAINTS:
            if one.name == name:
                return self.asked.get(name, one.empty)
        raise AttributeError(f"{name!r} is nothing that a request may ask for")

    def __hash__(self) -> int:
        return hash(tuple(self.asked.items()))

    def __repr__(self) -> str:
        return f"Request({', '.join(f'{name}={value!r}' for name, value in self.asked.items())})"

    def __str__(self) -> str:
        """What is asked for, in one line."""
        return "; ".join(f"{one.name} {one.said(value)}" for one, value in self.constraints())

    def but(self, **changes: Any) -> Request:
        """The same with other values."""
        return Request(**{**self.asked, **changes})

    def constraints(self) -> Iterator[tuple[Constraint, Any]]:
        """What is asked for, in the order of the table, each with its value."""
        for one in table.CONSTRAINTS:
            if one.name in self.asked:
                yield one, self.asked[one.name]

    def layouts(self) -> list[Layout]:
        """The ways in which prefix, template and suffix fit together, each a row of fixed words and gaps."""
        return self._layouts

    @cached_property
    def _layouts(self) -> list[Layout]:
        return layouts_of(self.prefix, self.template, self.suffix)

    @cached_property
    def needed(self) -> int:
        """The fewest words that what is fixed and what is required take."""
        return min(least_words(way) + sum(map(count_of, missing(self.required, way))) for way in self.layouts())

    def fixed(self) -> list[tuple[str, Any, str]]:
        """(name, value, text) of each part of the text that is to be read as it was written."""
        return [(one.name, value, text) for one, value in self.constraints() for text in one.written(value)]

    def sources(self, required: bool = True) -> list[str]:
        """What fixes words, for messages."""
        names = ("prefix", "template", "suffix", *(("required",) if required else ()))
        given = [(name, self.asked[name]) for name in names if name in self.asked]
        return [f"{name}={shown(list(value) if isinstance(value, tuple) else value)}" for name, value in given]

    def rules_by_name(self) -> list[tuple[str, Rules]]:
        """What each constraint says of single words."""
        return [(one.name, one.rules(value)) for one, value in self.constraints()]

    def restated(self) -> Request:
        """The same in terms that frames know more of."""
        request = self
        for one, value in self.constraints():
            request = one.restated(value, request)
        return request

    def bounded(self, low: int = 6, high: int = 20) -> Request:
        """The same, with these bounds on its words where nothing that is asked for says how long it should be.

        >>> Request(prefix="The book").bounded().words
        (6, 20)
        """
        open_ended = any(max_words(way) is None for way in self.layouts())
        if not open_ended or any(one.sizes for one, _ in self.constraints()):
            return self
        return self.but(words=(max(low, self.needed), max(high, self.needed + 8)))

    def _check_least(self) -> None:
        """Refuse what takes more tokens than a text may grow to, however short its words are."""
        taken = [("words", self.needed, " and ".join(self.sources()))]
        for one, value in self.constraints():
            taken += [(unit, least, f"{one.name}={shown(value)}") for unit, least in one.least(value).items()]
        for unit, limit in LEAST.items():
            least, what = max((count, source) for own, count, source in [*taken, (unit, 0, "")] if own == unit)
            if least > limit:
                raise ValueError(
                    f"{what} takes {least} {unit} or more, above the limit of {limit} {unit} in one text: ask for fewer"
                )
