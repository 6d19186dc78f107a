"""Pattern: a regular expression that a text must match, or must not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, final

import regex
from torch import Tensor

from objectives.judging import check_inputs, of_input, verdicts
from textsearch.batch import Batch
from textsearch.checks import flag, keep, positive
from textsearch.kinds import shown
from textsearch.objective import Cost, Objective

LONGEST = 10_000
"""Characters of an expression."""

LARGEST = 200_000
"""Parts of an expression, repeats written out."""

# an escape, a set of characters, a counted repeat, or a character
_PART = regex.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?:\d*,)?(?P<most>\d+)\}|.", regex.DOTALL)


@final
@dataclass(frozen=True)
class Pattern(Objective):
    r"""A regular expression found somewhere in the surface text: energy 0, or +inf where it is not.

    The syntax is that of the `regex` module, flags inside: `(?i)` for either case, `^` and `$` for the whole text.

    Attributes:
        pattern: the expression, one for all inputs or one for each: row r is judged by `pattern[batch.inputs[r]]`.
        forbid: forbid the texts that match instead.
        timeout: seconds that the search in one text may take.

    Raises:
        ValueError: an expression that does not compile, or a timeout that is not positive.

    >>> from textsearch.testing import letters
    >>> batch = letters("abc").encode(["abc", "cab", ""])
    >>> Pattern("^a").energy(batch).tolist()
    [0.0, inf, inf]
    >>> Pattern("^a", forbid=True).energy(batch).tolist()
    [inf, 0.0, 0.0]
    """

    pattern: str | Sequence[str]
    _: KW_ONLY
    forbid: bool = False
    timeout: float = 0.1
    _compiled: tuple[Any, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.pattern, Sequence) and not isinstance(self.pattern, str | bytes):
            object.__setattr__(self, "pattern", tuple(self.pattern))
            if not self.pattern:
                raise ValueError("pattern is empty: pass one expression for all inputs, or one for each")
        timeout = positive("timeout", self.timeout, "number of seconds")
        keep(self, timeout=timeout, forbid=flag("forbid", self.forbid))
        object.__setattr__(self, "_compiled", tuple(map(_compile, self._patterns)))

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts that may be, +inf for the others.

        Raises:
            TimeoutError: a text took longer than `timeout`.
        """
        return verdicts(batch, lambda text, number: self._found(text, number) != self.forbid)

    def check(self, batch: Batch) -> None:
        """Each input has its expression."""
        check_inputs("pattern", self._patterns, batch)

    @property
    def _patterns(self) -> tuple[str, ...]:
        return self.pattern if isinstance(self.pattern, tuple) else (self.pattern,)

    def _found(self, text: str, number: int) -> bool:
        try:
            return of_input(self._compiled, number).search(text, timeout=self.timeout) is not None
        except TimeoutError as error:
            raise TimeoutError(
                f"pattern={of_input(self._patterns, number)!r} took longer than timeout={self.timeout} s on the text "
                f"{text!r}; simplify nested repeats such as (a+)+, or allow more time"
            ) from error


def _compile(pattern: str) -> Any:
    if not isinstance(pattern, str):
        raise TypeError(f"pattern={shown(pattern)} must be a string, the regular expression itself")
    for count, most, what in ((len(pattern), LONGEST, "characters"), (_expanded(pattern), LARGEST, "parts")):
        if count > most:
            where = ", repeats such as {1000} written out," if what == "parts" else ""
            raise ValueError(
                f"pattern={shown(pattern)} has {count:,} {what}{where} above the limit of {most:,}: shorten it, or "
                "split it into several"
            )
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(
            f"pattern={shown(pattern)} is no regular expression: {error.msg} at position {error.pos}; "
            "put a backslash before a character that is meant literally"
        ) from error
    except RecursionError as error:
        raise ValueError(f"pattern={shown(pattern)} has groups within groups, too many: nest fewer") from error


def _expanded(pattern: str) -> int:
    """How many parts the expression has once counted repeats are written out; compiling takes time in proportion.

    >>> _expanded("ab"), _expanded("(ab){10}c"), _expanded("((a{10}){10}){1,10}"), _expanded("[{9}]x")
    (2, 21, 1000, 2)
    """
    sizes, last = [0], 0
    for match in _PART.finditer(pattern):
        part = match[0]
        if match["most"] is not None:
            # the part before it is there already
            sizes[-1] += last * (max(int(match["most"]), 1) - 1)
            last *= max(int(match["most"]), 1)
        elif part == "(":
            sizes.append(0)
        elif part == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)
