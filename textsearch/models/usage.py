"""How much models have read, and for which part of a run: the currency in which samplers are compared.

A model counts what it reads in its own `Usage`. While a ledger is open, the same counts are also charged to the part of
the run that asked: the term of the energy or the moves that the innermost `charged_to` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import final


@final
@dataclass
class Usage:
    """Counts that only grow.

    Attributes:
        passes: calls of the model.
        rows: texts that it read.
        tokens: tokens that it read, padding included.
        padding: how many of these were padding.
        hits: texts that were not read again, because the answer was remembered.
        reused: tokens of the texts read that were not read again, because their states were remembered.
    """

    passes: int = 0
    rows: int = 0
    tokens: int = 0
    padding: int = 0
    hits: int = 0
    reused: int = 0

    def count(self, shape: Sequence[int], read: int, *, rows: int | None = None, reused: int = 0) -> None:
        """Add one pass over (rows, width) tokens, `read` of which are text.

        Where several texts lie end to end in a row of the pass, `rows` is how many they are; `reused` of their tokens
        were not read again.
        """
        tokens = shape[0] * shape[1]
        with _COUNTING:
            for usage in self._with_asker():
                usage.passes += 1
                usage.rows += shape[0] if rows is None else rows
                usage.tokens += tokens
                usage.padding += tokens - read
                usage.reused += reused

    def remembered(self, rows: int) -> None:
        """Add texts that needed no pass."""
        with _COUNTING:
            for usage in self._with_asker():
                usage.hits += rows

    def _with_asker(self) -> Iterator[Usage]:
        yield self
        ledger = _LEDGER.get()
        if ledger is not None:
            yield ledger.setdefault(_ASKER.get(), Usage())


Ledger = dict[str, Usage]
"""Part of the run -> how much models have read for it."""

_LEDGER: ContextVar[Ledger | None] = ContextVar("ledger", default=None)
_ASKER: ContextVar[str] = ContextVar("asker", default="other")
# threads may share a ledger, and models that are read at the same time charge it
_COUNTING = Lock()


@contextmanager
def ledger() -> Iterator[Ledger]:
    """Everything that models read while the block runs, by the part of the run that asked.

    >>> with ledger() as spent, charged_to("fluency"):
    ...     Usage().count((2, 16), read=20)
    >>> spent
    {'fluency': Usage(passes=1, rows=2, tokens=32, padding=12, hits=0, reused=0)}
    """
    spent: Ledger = {}
    token = _LEDGER.set(spent)
    try:
        yield spent
    finally:
        _LEDGER.reset(token)


@contextmanager
def charged_to(name: str) -> Iterator[None]:
    """Charge everything that models read within the block to `name`."""
    token = _ASKER.set(name)
    try:
        yield
    finally:
        _ASKER.reset(token)
