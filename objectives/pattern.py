"""Pattern: a regular expression that a text must match, or must not."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, final

import regex
import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.objective import Cost, Objective


@final
@dataclass(frozen=True)
class Pattern(Objective):
    r"""A regular expression found somewhere in the surface text: energy 0, or +inf where it is not.

    The syntax is that of the `regex` module, flags inside: `(?i)` for either case, `^` and `$` for the whole text.

    Attributes:
        pattern: the expression.
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

    pattern: str
    _: KW_ONLY
    forbid: bool = False
    timeout: float = 0.1
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str):
            raise TypeError(f"pattern={self.pattern!r} must be a string, the regular expression itself")
        if not (self.timeout > 0 and math.isfinite(self.timeout)):
            raise ValueError(f"timeout={self.timeout} must be a positive number of seconds")
        try:
            compiled = regex.compile(self.pattern)
        except regex.error as error:
            raise ValueError(
                f"pattern={self.pattern!r} is no regular expression: {error.msg} at position {error.pos}; "
                "put a backslash before a character that is meant literally"
            ) from error
        object.__setattr__(self, "_compiled", compiled)

    @property
    def cost(self) -> Cost:
        """A string test."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts that may be, +inf for the others.

        Raises:
            TimeoutError: a text took longer than `timeout`.
        """
        texts = batch.texts()
        energies = {text: 0.0 if self._found(text) != self.forbid else math.inf for text in dict.fromkeys(texts)}
        return torch.tensor([energies[text] for text in texts], dtype=torch.float64, device=batch.device)

    def _found(self, text: str) -> bool:
        try:
            return self._compiled.search(text, timeout=self.timeout) is not None
        except TimeoutError as error:
            raise TimeoutError(
                f"pattern={self.pattern!r} took longer than timeout={self.timeout} s on the text {text!r}; "
                "simplify nested repeats such as (a+)+, or allow more time"
            ) from error
