"""What happened in a run, one line of JSON an event, in a file that can be read while it grows."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Condition
from typing import Any, final


def number(value: float) -> float | str | None:
    """A number as JSON has it: what is infinite by name, what is not known as null.

    >>> number(1.5), number(float("inf")), number(float("nan"))
    (1.5, 'inf', None)
    """
    value = float(value)
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else "inf" if value > 0 else "-inf"


@final
class EventLog:
    """The events of one run: appended by its thread, read by whoever watches.

    Only places in the file are kept in memory. A last line that a killed process has not brought to its end is cut off.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = EventLog(Path(folder) / "events.jsonl")
    ...     log.append({"kind": "step"})
    ...     (log.read(0), len(EventLog(Path(folder) / "events.jsonl")))
    ([{'kind': 'step'}], 1)
    """

    def __init__(self, path: Path, *, ours: bool = True) -> None:
        self._path = path
        self._ends = [0]
        self.changed = Condition()
        self.refresh()
        # of another process, whose last line may be under way, nothing is cut off
        if ours and path.exists() and self._ends[-1] < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(self._ends[-1])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def refresh(self) -> None:
        """See what another process has written since."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._ends[-1])
            for line in file:
                if line.endswith(b"\n"):
                    self._ends.append(self._ends[-1] + len(line))

    def append(self, event: Mapping[str, Any]) -> None:
        """Write one down, and tell all who wait."""
        line = (json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n").encode()
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            # a checkpoint is not to know of a step that the log has lost
            os.fsync(file.fileno())
        with self.changed:
            self._ends.append(self._ends[-1] + len(line))
            self.changed.notify_all()

    def read(self, first: int, most: int | None = None) -> list[dict[str, Any]]:
        """Events from number `first` on, counted from 0, `most` of them at most."""
        last = len(self) if most is None else min(first + most, len(self))
        if not 0 <= first < last:
            return []
        with self._path.open("rb") as file:
            file.seek(self._ends[first])
            data = file.read(self._ends[last] - self._ends[first])
        return [json.loads(line) for line in data.split(b"\n") if line]
