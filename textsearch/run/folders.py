"""The folders of the inputs of one `generate_each`, inside that of the whole: each holds the run of its input.

Such a folder is what `generate` would have kept of that input alone, without what was asked for, which is the same for
all inputs and stands in the folder of the whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

from textsearch.files import writing
from textsearch.models.usage import Usage
from textsearch.run.checkpoint import Checkpoint
from textsearch.run.keeper import gone_on_with, write
from textsearch.run.recorder import Recorder, Stored
from textsearch.run.state import RunState
from textsearch.sampler import Info


class TakenUp(NamedTuple):
    """An input as it was left."""

    run: RunState[Any]
    info: Info | None
    recorder: Recorder
    seconds: float
    usage: Mapping[str, Usage]


@final
class InputFolders:
    """Where the runs of the inputs are kept; without a folder, in memory."""

    def __init__(self, folder: Path | None, every: float) -> None:
        self._folder, self._every = folder, every
        self._last = time.monotonic()
        self._open: dict[int, Checkpoint] = {}

    @property
    def due(self) -> bool:
        """Whether the states are to be written now."""
        return self._folder is not None and time.monotonic() - self._last >= self._every

    def written(self) -> None:
        """They have been."""
        self._last = time.monotonic()

    def recorder(self, number: int, chains: int, terms: int) -> Recorder:
        """Takes what an input that begins now records."""
        folder = self._of(number)
        return Recorder(chains, terms, None if folder is None else Stored.empty(folder.folder))

    def taken_up(self, number: int, template: RunState[Any], terms: int) -> TakenUp | None:
        """An input that had begun before; `template` has the classes of its state.

        Raises:
            DamagedError: what was kept of it cannot be read any more.
        """
        if self._folder is None or not self._path(number).exists():
            return None
        folder = self._of(number)
        saved = None if folder is None else folder.latest()
        if saved is None:
            return None
        run, info, seconds, usage = gone_on_with(saved, template)
        return TakenUp(run, info, Recorder(len(run.steps), terms, saved.stored), seconds, usage)

    def save(
        self,
        number: int,
        run: RunState[Any],
        info: Info | None,
        recorder: Recorder,
        seconds: float,
        usage: Mapping[str, Usage],
    ) -> None:
        """Write the state of an input down.

        Raises:
            OSError: that cannot be done.
        """
        folder = self._of(number)
        if folder is None:
            return
        steps = int(run.steps[0])
        stored = recorder.settled(steps)
        assert stored is not None
        write(folder, steps, run, info, stored, seconds, usage)

    def close(self, number: int) -> None:
        """The input will not be written any more."""
        self._open.pop(number, None)

    def _path(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"input-{number}"

    def _of(self, number: int) -> Checkpoint | None:
        if self._folder is None:
            return None
        if number not in self._open:
            path = self._path(number)
            with writing(path, "a checkpoint"):
                path.mkdir(exist_ok=True)
            self._open[number] = Checkpoint(path)
        return self._open[number]
