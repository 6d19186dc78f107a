"""The report of a check: one line for each law, or an error that names the broken law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


class LawBroken(AssertionError):  # noqa: N818 (it is the law that is broken)
    """A law does not hold; the message names the law, the object, the text and the values."""


@final
@dataclass(frozen=True)
class Law:
    """One law that was found to hold.

    Attributes:
        name: of the law.
        figure: what was measured.
        bound: what it had to keep.
    """

    name: str
    figure: str
    bound: str


@final
@dataclass(frozen=True)
class Report:
    """All laws that were checked, every one of which holds.

    Attributes:
        subject: what was checked.
        laws: line by line.

    >>> print(Report("Toy", (Law("padding", "0 nats", "0 nats"), Law("on the target", "p = 0.31", "p > 1e-4"))))
    Toy: 2 laws hold
      padding        0 nats    0 nats
      on the target  p = 0.31  p > 1e-4
    """

    subject: str
    laws: tuple[Law, ...]

    def __str__(self) -> str:
        names = max(len(law.name) for law in self.laws)
        figures = max(len(law.figure) for law in self.laws)
        lines = [f"  {law.name.ljust(names)}  {law.figure.ljust(figures)}  {law.bound}" for law in self.laws]
        return "\n".join([f"{self.subject}: {len(self.laws)} laws hold", *(line.rstrip() for line in lines)])


def name_of(thing: object) -> str:
    """The name of the object that is checked, for reports."""
    return type(thing).__name__


def require(holds: bool, law: str, thing: object, what: str) -> None:
    """Raise a `LawBroken` unless `holds`."""
    if not holds:
        raise LawBroken(f"{name_of(thing)} breaks the law of {law!r}: {what}")
