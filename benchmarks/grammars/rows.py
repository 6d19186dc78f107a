"""Rows of figures in a file, one a line, written as soon as each is known: a run that is broken off loses none."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, final

T = TypeVar("T")


@final
@dataclass(frozen=True)
class Rows:
    """The rows of a file, by the names of what they are about.

    Attributes:
        path: of the file, which need not exist.
        of: what a row must have been made with to count, such as the number of draws.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> rows = Rows(Path(folder.name) / "rows.jsonl", {"draws": 4})
    >>> rows.add(("dates", "masked decoding"), {"valid": 4})
    >>> list(Rows(rows.path, {"draws": 4}).known), list(Rows(rows.path, {"draws": 8}).known)
    ([('dates', 'masked decoding')], [])
    >>> folder.cleanup()
    """

    path: Path
    of: Mapping[str, Any]
    known: dict[tuple[str, ...], dict[str, Any]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.exists():
            return
        for line in self.path.read_bytes().split(b"\n"):
            try:
                row = json.loads(line)
            except ValueError:
                continue  # nothing, or a line that was being written when the run was broken off
            if row["of"] == self.of:
                self.known[tuple(row["name"])] = row

    def add(self, name: tuple[str, ...], row: Mapping[str, Any]) -> None:
        """Keep a row, on disk at once."""
        whole = {"name": name, "of": self.of, **row}
        self.known[name] = whole
        with self.path.open("ab") as file:
            # what a run that was broken off has left of a line is ended here
            torn = file.tell() and not self.path.read_bytes().endswith(b"\n")
            file.write(b"\n" * bool(torn) + json.dumps(whole, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


class OverTimeError(Exception):
    """A job took longer than it may."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Break off what runs inside after so many seconds of processor time, with an `OverTimeError`.

    Other programs on the machine then change nothing of what is found.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise OverTimeError(f"broken off after {seconds:g} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@final
class Clock:
    """Ends a part of the benchmark after some minutes, between two jobs.

    Args:
        seconds: that it may take; None for as long as it takes.
    """

    def __init__(self, seconds: float | None) -> None:
        self._ends = None if seconds is None else time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether no other job should begin."""
        return self._ends is not None and time.monotonic() >= self._ends


Jobs = Iterable[tuple[tuple[str, ...], Callable[[], Mapping[str, Any]]]]
"""Names of rows, with what makes them."""


def fill(rows: Rows, jobs: Jobs, clock: Clock, tell: Callable[[str], None]) -> None:
    """Do the jobs of which no row is known, one after another, as far as there is time."""
    for name, job in jobs:
        if name in rows.known:
            continue
        if clock.over:
            return
        row = job()
        rows.add(name, row)
        said = row.get("error") or row.get("stopped") or f"{row['valid']} valid, {row['seconds']:.1f} s"
        tell(f"{', '.join(part[:60] for part in name)}: {said}")


def spread_out(items: Sequence[T]) -> list[T]:
    """The items in an order whose every beginning is spread evenly over them (van der Corput, 1935).

    >>> spread_out(range(8))
    [0, 4, 2, 6, 1, 5, 3, 7]
    """
    bits = max(1, (len(items) - 1).bit_length())
    turned = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits))
    return [items[at] for at in turned if at < len(items)]
