"""Pattern: a regular expression that a text must match, or must not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, Protocol, final

import regex

from objectives.language import LanguageObjective
from objectives.linear_search import LinearSearch, NotRegularError, Tree
from objectives.mask_engine import Masks
from objectives.mask_expression import grammar_of
from objectives.nearest_end import NearestEnd
from objectives.partial_matches import PartialMatches, tells_of_beginnings
from objectives.partial_search import PartialSearch, Without
from objectives.reading import Reading
from objectives.relaxed_tree import relaxed_tree_of
from textsearch.checks import flag, keep, positive
from textsearch.kinds import shown
from textsearch.per_input import PerInput, text_per_input

LONGEST = 10_000
"""Characters of an expression."""

LARGEST = 20_000
"""Parts of an expression, repeats written out."""

TIMEOUT = 0.1
"""Seconds of a search by backtracking in one text."""

DEEPEST = 100
"""Groups within groups."""

# an escape, a set of characters, a counted repeat, or a character
_PART = regex.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<least>\d*),?(?P<most>\d*)\}|.", regex.DOTALL)


class Search(Protocol):
    """Tells whether an expression is found in a text."""

    def found(self, text: str) -> bool:
        """Whether a match is somewhere in the text, or is the whole text if that is asked for."""


@final
@dataclass(frozen=True)
class Pattern(LanguageObjective):
    r"""A regular expression found somewhere in the surface text: energy 0, or +inf where it is not.

    The syntax is that of the `regex` module, flags inside: `(?i)` for either case, `^` and `$` for the whole text.
    With `full` the whole text must be one match, line ends included.

    A regular expression in the strict sense, lookarounds included, is searched for in time linear in the text. One with
    a backreference, an atomic group, a possessive repeat, or another thing that only backtracking can decide has a
    limit of time: what it answers within the limit does not depend on the machine, whether it answers does.

    Attributes:
        pattern: the expression, one for all inputs or one for each: row r is judged by `pattern[batch.inputs[r]]`.
        forbid: forbid the texts that match instead.
        full: the match must be the whole text.
        timeout: seconds of processor time that a search by backtracking in one text may take.

    Raises:
        ValueError: an expression that does not compile or is too large, or a timeout that is not positive.

    >>> from textsearch.testing import letters
    >>> batch = letters("abc").encode(["abc", "cab", ""])
    >>> Pattern("^a").energy(batch).tolist()
    [0.0, inf, inf]
    >>> Pattern("^a", forbid=True).energy(batch).tolist()
    [inf, 0.0, 0.0]
    >>> Pattern("a|ab", full=True).energy(letters("abc").encode(["ab", "abc"])).tolist()
    [0.0, inf]
    """

    pattern: str | Sequence[str]
    _: KW_ONLY
    forbid: bool = False
    full: bool = False
    timeout: float = TIMEOUT
    _matching: PerInput[Matching] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        timeout = positive("timeout", self.timeout, "number of seconds")
        given = text_per_input("pattern", self.pattern, "regular expressions")
        keep(
            self,
            pattern=given.values,
            timeout=timeout,
            forbid=flag("forbid", self.forbid),
            full=flag("full", self.full),
        )
        keep(self, _matching=given.map(lambda pattern: Matching(pattern, self.forbid, self.full, timeout)))

    @property
    def languages(self) -> PerInput[Matching]:
        """Those of the expressions."""
        return self._matching


@final
class Matching:
    """The texts that an expression matches, or those that it does not."""

    def __init__(self, pattern: str, forbid: bool, full: bool, timeout: float) -> None:
        self._asked = pattern, forbid, full, timeout
        self._search = search_for(pattern, timeout, full)
        tree = relaxed_tree_of(pattern)
        self.reading = None if tree is None else self._reading(PartialSearch(tree, full), forbid)
        self.near = None if self.reading is None else NearestEnd(self.reading)
        engine = Masks(partial(_readable, pattern, tree, full))
        tries = full and isinstance(self._search, Backtracking) and tells_of_beginnings(pattern)
        self.masks = None if forbid else PartialMatches(engine, pattern, timeout) if tries else engine

    def _reading(self, search: PartialSearch, forbid: bool) -> Reading | None:
        if not forbid:
            return Reading(search)
        # what matches more than the expression proves nothing of those that must not match
        return Reading(Without(search)) if isinstance(self._search, LinearSearch) else None

    def __reduce__(self) -> tuple[Any, ...]:
        return Matching, self._asked

    @property
    def is_empty(self) -> bool:
        """Whether it is proven that no text may be."""
        return self.reading is not None and self.reading.is_empty

    def accepts(self, text: str) -> bool:
        """Whether the text may be."""
        return self._search.found(text) != self._asked[1]

    def is_dead(self, beginning: str, rest: bytes) -> bool:
        """Whether no text that begins so may be."""
        return self.reading is not None and self.reading.is_dead(beginning, rest)


def _readable(pattern: str, tree: Tree | None, full: bool, matcher: Any) -> str:
    """What the mask engine reads: all that is known of the expression, or else the expression, as far as it can."""
    if tree is not None:
        return str(matcher.grammar_from_lark(grammar_of(tree, full)))
    return str(matcher.grammar_from_regex(pattern if full else f"(?s:.*)(?:{pattern})(?s:.*)"))


@final
@dataclass(frozen=True)
class Backtracking:
    """A search that may take time exponential in the text, and so has a limit."""

    pattern: str
    timeout: float
    full: bool = False

    def found(self, text: str) -> bool:
        """Whether a match is somewhere in the text; if `full`, whether the whole text is one."""
        search = regex.fullmatch if self.full else regex.search
        try:
            return search(self.pattern, text, timeout=self.timeout) is not None
        except TimeoutError as error:
            raise TimeoutError(
                f"pattern={self.pattern!r} took longer than timeout={self.timeout} s on the text {text!r}; write it "
                "without backreferences, atomic groups and possessive repeats, which needs no limit, or allow more time"
            ) from error


def search_for(pattern: str, timeout: float = TIMEOUT, full: bool = False) -> Search:
    """The search for an expression, checked: linear where that is possible."""
    _check(pattern)
    try:
        return LinearSearch(pattern, full)
    except NotRegularError:
        return Backtracking(pattern, timeout, full)


def _check(pattern: str) -> None:
    """Refuse what is no expression, or too large a one."""
    if not isinstance(pattern, str):
        raise TypeError(f"pattern={shown(pattern)} must be a string, the regular expression itself")
    if len(pattern) > LONGEST:
        raise ValueError(_too_much(pattern, len(pattern), "characters", LONGEST))
    parts, depth = _expanded(pattern)
    if depth > DEEPEST:
        raise ValueError(_too_much(pattern, depth, "groups within groups", DEEPEST, "nest fewer"))
    if parts > LARGEST:
        raise ValueError(_too_much(pattern, parts, "parts, repeats such as {1000} written out,", LARGEST))
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(
            f"pattern={shown(pattern)} is no regular expression: {error.msg} at position {error.pos}; "
            "put a backslash before a character that is meant literally"
        ) from error


def _too_much(pattern: str, count: int, what: str, most: int, remedy: str = "shorten it") -> str:
    return (
        f"pattern={shown(pattern)} has {count:,} {what} above the limit of {most:,}: {remedy}, or split it into several"
    )


def _expanded(pattern: str) -> tuple[int, int]:
    """How many parts the expression has once counted repeats are written out, a group one more, and how deep groups go.

    Compiling takes time in proportion.

    >>> _expanded("ab"), _expanded("(ab){10}c"), _expanded("((a{10}){10}){1,10}"), _expanded("[{9}]x")
    ((2, 0), (31, 1), (1110, 2), (2, 0))
    """
    sizes, last, depth = [0], 0, 0
    for match in _PART.finditer(pattern):
        part = match[0]
        if match["most"] is not None:
            # no number is that large, and the part before it is there already
            times = max(int(count or 1) if len(count) < 9 else 10**9 for count in (match["least"], match["most"]))
            sizes[-1] += last * (max(times, 1) - 1)
            last *= max(times, 1)
        elif part == "(":
            sizes.append(0)
            depth = max(depth, len(sizes) - 1)
        elif part == ")" and len(sizes) > 1:
            last = sizes.pop() + 1
            sizes[-1] += last
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes), depth
