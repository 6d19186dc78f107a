"""A service: a folder of runs, and what may be done with them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, final

from filelock import FileLock, Timeout

from textsearch.kinds import shown
from textsearch.service.limits import Limits
from textsearch.service.problems import Build, build
from textsearch.service.queueing import Places
from textsearch.service.running import ServiceRun, Shared
from textsearch.service.submission import Submission

if TYPE_CHECKING:
    from textsearch.tasks.problem import Models


@final
class Service:
    """Runs in a folder, of many people, that share one copy of each model.

    Each run has a thread. A few run at a time, the others stand in line; those that run take turns, a step each, so
    that no two read a model at once. A run that is paused gives its place to the next. What was running or queued when
    a service ended, however it ended, goes on when one is started in the same folder; what was paused stays so.

    Args:
        folder: of the runs, each in a folder of its own; one service at a time.
        models: that tasks use; by default the default models.
        limits: of what may be asked for.
        make: builds the problem of a submission; by default `textsearch.service.problems.build`.

    Raises:
        ValueError: another service has the folder.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        models: Models | None = None,
        limits: Limits | None = None,
        make: Build | None = None,
    ) -> None:
        self.folder, self.limits = Path(folder), limits or Limits()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / ".service.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise ValueError(
                f"another service has the folder {self.folder}: name another one, or end that one"
            ) from error
        self._shared = Shared(make or partial(build, models=models), Places(self.limits.running), Places(1))
        self._guard = Lock()
        self._runs: dict[str, ServiceRun] = {}
        self._homes: dict[Path, FileLock] = {}
        self.damaged: dict[str, str] = {}
        for own in sorted(path.parent for path in self.folder.glob("*/submission.json")):
            try:
                self._runs[own.name] = ServiceRun.opened(own, self._shared)
            except ValueError as error:
                self.damaged[own.name] = str(error)
        for run in self._runs.values():
            if run.state in ("queued", "building", "running"):
                run.proceed()

    def submit(self, asked: Submission | Mapping[str, Any], *, paused: bool = False) -> ServiceRun:
        """A new run, which stands in line at once, or waits for `proceed` if it is to be paused.

        Raises:
            ValueError: it cannot be meant, is above a limit, or too many runs are waiting; the message says which.
        """
        submission = asked if isinstance(asked, Submission) else Submission.of(asked)
        submission.check(self.limits)
        with self._guard:
            waiting = sum(run.live for run in self._runs.values())
            if waiting >= self.limits.runs:
                raise ValueError(
                    f"{waiting} runs wait, run or are paused, the limit of this service: stop one, or come back later"
                )
            name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
            run = ServiceRun.begin(self.folder / name, submission, self._shared)
            self._runs[name] = run
        if not paused:
            run.proceed()
        return run

    def run(self, name: str) -> ServiceRun:
        """A run by its name.

        Raises:
            KeyError: there is none.
        """
        if name not in self._runs:
            raise KeyError(f"there is no run {shown(name)}{': ' + self.damaged[name] if name in self.damaged else ''}")
        return self._runs[name]

    def open(self, folder: str | PathLike[str]) -> ServiceRun:
        """A run in any folder that a service has made, here or elsewhere; it stays where it is.

        Raises:
            ValueError: there is none, or another service has it.
        """
        place = Path(folder).resolve()
        if place.name in self._runs and self._runs[place.name].folder.resolve() == place:
            return self._runs[place.name]
        if not (place / "submission.json").exists():
            raise ValueError(
                f"{shown(str(folder))} is no folder of a run: name one that "
                "holds a submission.json; textsearch watch shows the checkpoints of other runs"
            )
        with self._guard:
            if place.name in self._runs:
                raise ValueError(f"a run called {place.name} is here already: rename the folder {place}")
            self._hold(place.parent)
            run = ServiceRun.opened(place, self._shared)
            if run.live:
                run.rest()
            self._runs[run.name] = run
        return run

    def _hold(self, home: Path) -> None:
        """Keep other services out of a folder of runs as long as this one may write there."""
        if home == self.folder.resolve() or home in self._homes:
            return
        lock = FileLock(home / ".service.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise ValueError(f"another service has {home}: textsearch watch shows its runs, or end that one") from error
        self._homes[home] = lock

    def runs(self) -> list[dict[str, Any]]:
        """How all runs stand, the newest first."""
        return [run.status() for _, run in sorted(self._runs.items(), reverse=True)]

    def close(self, timeout: float = 30.0) -> None:
        """End after the steps under way, with checkpoints: a service that is started here goes on."""
        for run in self._runs.values():
            run.end()
        for run in self._runs.values():
            run.close(timeout)
        for lock in (self._lock, *self._homes.values()):
            lock.release()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
