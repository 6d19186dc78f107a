"""What workers are given in tests that need no torch: a process that loads none is there at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True)
class Squares:
    """A function of numbers.

    Attributes:
        seconds: that each number takes.
        deadly: numbers that kill the process.
        once: and a file; those that kill do so as long as it is not there, and make it.
    """

    seconds: float = 0.0
    deadly: frozenset[int] = frozenset()
    once: str = ""

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        time.sleep(self.seconds * len(numbers))
        if self.deadly & {*numbers} and not (self.once and Path(self.once).exists()):
            if self.once:
                Path(self.once).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [number**2 for number in numbers]


def broken() -> None:
    """Kill whoever unpickles what cannot be."""
    os.kill(os.getpid(), signal.SIGKILL)


@final
class Broken:
    """A function that kills the process when it gets there."""

    def __reduce__(self) -> tuple[object, ...]:
        return broken, ()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        return list(numbers)


def waiting(numbers: Sequence[int]) -> list[int]:
    """Takes for ever over a 2."""
    if 2 in numbers:
        time.sleep(600)
    return [number**2 for number in numbers]


def interrupted() -> None:
    """A run that the terminal interrupts when all that can be finished is: what comes of it, line by line."""
    import threading

    from textsearch.run.workers import Answered, spread

    def stop() -> None:
        time.sleep(float(os.environ["SECONDS_TO_CTRL_C"]))
        os.killpg(0, signal.SIGINT)  # the workers too

    threading.Thread(target=stop, daemon=True).start()
    for block, outcome in spread(waiting, ([number] for number in range(100)), workers=2):
        print(block[0], outcome.value[0] if isinstance(outcome, Answered) else "-", flush=True)


if __name__ == "__main__":
    interrupted()
