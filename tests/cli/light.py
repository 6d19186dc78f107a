"""The command line in a process of its own, with a task that loads neither torch nor a model."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from textsearch import tasks
from textsearch.cli import main

COMMANDS = ["ask", "correct", "infill", "keywords", "paraphrase", "sample", "write"]


@final
class Run:
    """What the command line asks of the result of a task."""

    def __init__(self, inputs: Sequence[Any]) -> None:
        self.inputs, self.interrupted, self.steps, self.seconds = inputs, False, 1, 0.0
        self.acceptance: dict[str, Any] = {}
        self.usage: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.inputs)

    def to_records(self) -> list[dict[str, Any]]:
        return [
            {"input": number, "text": f"answer {one}", "energy": 0.0, "terms": {}}
            for number, one in enumerate(self.inputs)
        ]


def task(inputs: Sequence[Any], **settings: Any) -> Any:
    """An answer to each input; "wait PATH" makes PATH and reads standard input to its end first, "slow" takes time."""
    for one in map(str, inputs):
        if "!" in one:
            raise ValueError(f"{one!r} holds a !")
        if one.startswith("wait "):
            Path(one.removeprefix("wait ")).touch()
            sys.stdin.read()
        if one.startswith("slow"):
            time.sleep(0.02)
    return Run(inputs)


if __name__ == "__main__":
    vars(tasks).update(dict.fromkeys(COMMANDS, task))
    main()
