"""What all runs of one command did together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from textsearch.models.usage import Usage
    from textsearch.result import Acceptance, Generations
    from textsearch.result.tables import Sheet


class Also(Protocol):
    """What a command reports of its runs besides."""

    def add(self, run: Generations) -> None:
        """One run more."""

    def sheet(self) -> Sheet:
        """Of all of them."""


@final
class Tally:
    """Moves, models and time, summed over runs.

    Args:
        also: what a report says besides.
    """

    def __init__(self, also: Also | None = None) -> None:
        self._also = also
        self.runs = self.chains = self.steps = self.chain_steps = 0
        self.seconds = 0.0
        self._last: Generations | None = None
        self._moves: dict[str, Acceptance] = {}
        self._usage: dict[str, Usage] = {}

    def add(self, run: Generations) -> None:
        """One run more."""
        self.runs += 1
        self.chains += len(run)
        self.steps = max(self.steps, run.steps)
        self.chain_steps += len(run) * run.steps
        self.seconds += run.seconds
        self._last = run
        if self._also is not None:
            self._also.add(run)
        for kind, count in run.acceptance.items():
            self._moves[kind] = self._moves[kind].plus(count) if kind in self._moves else count
        for name, usage in run.usage.items():
            before = self._usage.get(name)
            both = (
                usage if before is None else type(usage)(*map(sum, zip(astuple(before), astuple(usage), strict=True)))
            )
            self._usage[name] = both

    def line(self) -> str:
        """All of it in one line."""
        taken = ", ".join(f"{kind} {count.rate:.2f}" for kind, count in self._moves.items() if count.proposed)
        if not self.steps:
            return f"{self.chains} chains, no steps: the texts are those that chains would start from"
        accepted = f"; accepted: {taken}" if taken else ""
        return f"{self.chains} chains, {self.steps} steps in {self.seconds:.0f} s{accepted}"

    def sheets(self) -> list[Sheet]:
        """What each kind of move did, and what models were asked."""
        if self._last is None:
            return []
        whole = replace(self._last, acceptance=self._moves, usage=self._usage)
        spent = whole.accounting()
        if self.chain_steps:
            rows = sum(usage.rows for usage in self._usage.values())
            spent = replace(spent, caption=f"{rows / self.chain_steps:.2f} rows a step of a chain")
        return [whole.moves(), spent, *([] if self._also is None else [self._also.sheet()])]

    def told(self, report: bool) -> Told:
        """All of it, as it can be sent; the tables are worked out for a `report` alone."""
        return Told(self.runs, self.line() if self.runs else "", self.sheets() if report else [])


@final
@dataclass(frozen=True)
class Told:
    """What all runs of one command did, as words.

    Attributes:
        runs: how many there were.
        line: all of it in one line.
        sheets: what --report shows.
    """

    runs: int = 0
    line: str = ""
    sheets: Sequence[Sheet] = ()

    def report(self) -> None:
        """The tables on standard error."""
        from rich.console import Console

        with suppress(OSError, ValueError):
            notes = Console(stderr=True)
            for sheet in self.sheets:
                notes.print(sheet)
