"""How much models have been asked, and by whom: the currency in which samplers are compared.

A model counts what it reads in its own `Usage`. While a ledger is open, the same is also charged to whoever asks: the
term of the energy, or the moves, that the innermost `asked_by` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
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
        hits: texts whose answer was remembered, and not read again.
    """

    passes: int = 0
    rows: int = 0
    tokens: int = 0
    padding: int = 0
    hits: int = 0

    def count(self, shape: Sequence[int], read: int) -> None:
        """Add one pass over (rows, width) tokens, `read` of which are text."""
        tokens = shape[0] * shape[1]
        for usage in self._with_asker():
            usage.passes += 1
            usage.rows += shape[0]
            usage.tokens += tokens
            usage.padding += tokens - read

    def remembered(self, rows: int) -> None:
        """Add texts that needed no pass."""
        for usage in self._with_asker():
            usage.hits += rows

    def _with_asker(self) -> Iterator[Usage]:
        yield self
        ledger = _LEDGER.get()
        if ledger is not None:
            yield ledger.setdefault(_ASKER.get(), Usage())


Ledger = dict[str, Usage]
"""Who asked -> how much."""

_LEDGER: ContextVar[Ledger | None] = ContextVar("ledger", default=None)
_ASKER: ContextVar[str] = ContextVar("asker", default="other")


@contextmanager
def ledger() -> Iterator[Ledger]:
    """Everything that models are asked while the block runs, by who asks.

    >>> with ledger() as spent, asked_by("fluency"):
    ...     Usage().count((2, 16), read=20)
    >>> spent
    {'fluency': Usage(passes=1, rows=2, tokens=32, padding=12, hits=0)}
    """
    spent: Ledger = {}
    token = _LEDGER.set(spent)
    try:
        yield spent
    finally:
        _LEDGER.reset(token)


@contextmanager
def asked_by(name: str) -> Iterator[None]:
    """Charge what models are asked within the block to `name`."""
    token = _ASKER.set(name)
    try:
        yield
    finally:
        _ASKER.reset(token)
