"""One run of a service: a thread that builds the problem, takes its turns, and writes down what each step did."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from textsearch.files import replace_file, sealed, unsealed
from textsearch.service.events import EventLog, number
from textsearch.service.observer import Observer, Taken
from textsearch.service.problems import Build, sampler_of
from textsearch.service.queueing import Places
from textsearch.service.submission import Submission
from textsearch.watching import Waiting, watched

if TYPE_CHECKING:
    from textsearch.result import Generations
    from textsearch.run.loop import Progress
    from textsearch.tasks.problem import Problem

LIVE: Final = ("queued", "building", "running", "paused")
"""States of a run that is not over."""

_EVERY: Final = 10.0  # seconds from one checkpoint to the next
_AT_ONCE: Final = 100  # events in memory


@final
@dataclass(frozen=True)
class Shared:
    """What all runs of a service share: how problems are built, places to run in, and whose turn it is."""

    build: Build
    places: Places
    turn: Places


@final
class ServiceRun:
    """A run in a folder of its own.

        submission.json    what was asked for
        status.json        how it stands
        events.jsonl       what happened
        run/               the checkpoints, of `textsearch.tasks.solve`
        result/            the result, once it is over, of `Generations.save`

    Attributes:
        name: of the folder.
        submission: what was asked for.
        events: what happened.
    """

    def __init__(self, folder: Path, submission: Submission, shared: Shared, status: dict[str, Any]) -> None:
        self.name, self.folder, self.submission = folder.name, folder, submission
        self.events = EventLog(folder / "events.jsonl")
        self._shared = shared
        self._status = status
        self._doing = ""
        self._known: dict[int, Taken] = {}
        # of a run that is done no step is taken again
        for first in range(0, 0 if status.get("state") == "done" else len(self.events), _AT_ONCE):
            for event in self.events.read(first, _AT_ONCE):
                if event["kind"] == "step":
                    self._known[event["search"]] = Taken.of(event)
        self._control, self._starting = threading.Condition(), threading.Lock()
        self._allowed: int | None = None  # steps that may be taken; None for all
        self._stopping, self._closing, self._left = False, False, ""
        self._seated = False
        self._thread: threading.Thread | None = None
        self._problem: Problem | None = None
        self._steps = 0
        self._names: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._observer = Observer()

    @staticmethod
    def begin(folder: Path, submission: Submission, shared: Shared) -> ServiceRun:
        """A new one, which does not run yet."""
        folder.mkdir(parents=True)
        replace_file(folder / "submission.json", sealed({"submission": submission.plain()}))
        run = ServiceRun(folder, submission, shared, {"created": time.time()})
        run._note("paused")
        return run

    @staticmethod
    def opened(folder: Path, shared: Shared) -> ServiceRun:
        """One that a service left in a folder.

        Raises:
            DamagedError: it is none, or not what was written.
            ValueError: it asks for what this version does not know.
        """
        submission = Submission.of(unsealed(folder / "submission.json")["submission"])
        return ServiceRun(folder, submission, shared, unsealed(folder / "status.json"))

    @property
    def state(self) -> str:
        """One of `LIVE`, or stopped, done or failed."""
        return str(self._status["state"])

    @property
    def live(self) -> bool:
        """Whether it is not over."""
        return self.state in LIVE

    def status(self) -> dict[str, Any]:
        """How it stands, as plain data."""
        place = self._shared.places.place_of(self)
        return self._status | {
            "run": self.name,
            "doing": self._doing,
            "events": len(self.events),
            "before": place,
            "submission": self.submission.plain(),
        }

    def proceed(self, steps: int | None = None) -> None:
        """Go on, to the end or for so many steps; what was stopped or failed goes on from its checkpoints.

        Raises:
            ValueError: it is done.
        """
        if self.state == "done":
            raise ValueError(f"the run {self.name} is done: submit it again for another")
        # two who ask at the same time start one thread
        with self._starting:
            if self._thread is not None and not self.live:
                self._thread.join()  # it has said its last word
            with self._control:
                self._allowed, self._stopping = steps, False
                self._control.notify_all()
            if self._thread is None or not self._thread.is_alive():
                self._note("queued", error=None)
                self._thread = threading.Thread(target=self._live, name=f"run {self.name}", daemon=True)
                self._thread.start()

    def pause(self) -> None:
        """Take no step after the one under way; the place goes to the next in line."""
        with self._control:
            self._allowed = 0
            self._control.notify_all()

    def rest(self) -> None:
        """Stand as paused, for one that was left in the middle."""
        self._note("paused")

    def stop(self) -> None:
        """End after the step under way, with the result so far."""
        with self._control:
            self._stopping = True
            self._control.notify_all()
        self._shared.places.wake()
        with self._starting:
            if self.live and (self._thread is None or not self._thread.is_alive()):
                self._note("stopped")

    def end(self) -> None:
        """Take no step after the one under way, and stay what it is, for a service that comes later; see `close`."""
        self._left, self._closing = self.state, True
        with self._control:
            self._stopping = True
            self._control.notify_all()
        self._shared.places.wake()

    def close(self, timeout: float) -> None:
        """Wait so many seconds, once it is to `end`, for its last checkpoint."""
        if self._thread is not None:
            self._thread.join(timeout)
        if self._left in LIVE:
            self._note(self._left)

    def explain(self, text: str, search: int = 0, own_input: int = 0) -> dict[str, float | str | None]:
        """Every term of the energy of a text, by name, nats: also those that a step had no need of.

        Args:
            text: as a chain has it, or was proposed.
            search: the number of the search that it belongs to, of several that follow one another.
            own_input: the number of the input that it is for.

        Raises:
            ValueError: there is no such search or input; or the run is over, or has not begun, and its energy is not in
                memory.
        """
        problem = self._problem
        if problem is None:
            raise ValueError(f"the run {self.name} is {self.state}, and its energy is not in memory: resume it first")
        inputs = int(problem.start.inputs.max()) + 1
        if not 0 <= search <= len(problem.after):
            raise ValueError(f"search={search} is none of the {len(problem.after) + 1} of the run {self.name}")
        if not 0 <= own_input < inputs:
            raise ValueError(f"input={own_input} is none of the {inputs} of the run {self.name}")
        import torch

        from textsearch.objective import term_names

        objective = problem.objective if search == 0 else problem.after[search - 1].objective
        self._shared.turn.take(lambda: False)
        try:
            with torch.inference_mode():
                batch = problem.moves.vocabulary.encode([text])
                batch = replace(batch, inputs=torch.full_like(batch.inputs, own_input))
                values = {
                    name: weight * float(term.energy(batch)[0])
                    for name, (weight, term) in zip(term_names(objective), objective.parts, strict=True)
                }
        finally:
            self._shared.turn.leave()
        return {name: number(value) for name, value in values.items()}

    def _note(self, state: str, **more: Any) -> None:
        """Write down how it stands."""
        self._status = self._status | {"state": state} | more
        if not self._closing or state in LIVE:
            replace_file(self.folder / "status.json", sealed(self._status))
        with self.events.changed:
            self.events.changed.notify_all()

    def _live(self) -> None:
        """The thread."""
        try:
            # a run that is to take no step yet waits without a place
            if not self._wait() or not self._sit():
                raise _Stopped
            self._note("building")
            self._shared.turn.take(lambda: False)
            try:
                with watched(self._hear):
                    result = self._solve()
            finally:
                self._shared.turn.leave()
            self._finish(result)
        except _Stopped:
            self._note("stopped")
        except Exception as error:
            self._note("failed", error=_said(error))
        finally:
            self._problem = None
            self._leave()

    def _solve(self) -> Generations:
        from textsearch.tasks.problem import solve

        self._problem = problem = self._shared.build(self.submission)
        if self._stopping:
            raise _Stopped
        self._note("running")
        self._steps = problem.steps
        make = sampler_of(self.submission)
        stages = problem.stages(problem.steps)
        own = [problem.sampler, *(stage.sampler for stage, _ in stages)]
        energies = [problem.objective, *(stage.objective for stage, _ in stages)]
        from textsearch.objective import term_names

        for search, (objective, sampler) in enumerate(zip(energies, own, strict=True)):
            made = sampler(problem.moves, problem.steps) if make is None else make(problem.moves)
            self._names[search] = (term_names(objective), tuple(made.kinds))
        return solve(problem, sampler=make, callbacks=[self._after], checkpoint=self.folder / "run", every=_EVERY)

    def _hear(self, thing: object) -> None:
        if isinstance(thing, Waiting):
            self._doing = thing.message
            with self.events.changed:
                self.events.changed.notify_all()
        else:
            self._observer.hear(thing)

    def _after(self, progress: Progress) -> bool:
        """A step is over: write it down, let others have their turn, wait if that was asked for; True to stop."""
        search = self._observer.search
        before = max((taken for own, taken in self._known.items() if own < search), default=Taken())
        event = self._observer.event(progress, *self._names[search], before, self._steps)
        # a run that goes on after its process was killed takes some steps again, and they are the same
        if event["step"] > self._known.get(search, Taken()).steps:
            self._known[search] = Taken.of(event)
            self.events.append(event)
        with self._control:
            if self._allowed is not None:
                self._allowed = max(self._allowed - 1, 0)
        if self._stopping:
            return True
        last = progress.step == progress.steps and search == len(self._names) - 1
        if self._allowed == 0 and not last:
            self._shared.turn.leave()
            try:
                self._leave()
                self._note("paused")
                going = self._wait() and self._sit()
            finally:
                # whoever ends the run gives the turn back, after an error too
                self._shared.turn.take(lambda: False)
            if not going:
                return True
            self._note("running")
        elif self._shared.turn.waiting:
            self._shared.turn.leave()
            self._shared.turn.take(lambda: False)
        return self._stopping

    def _wait(self) -> bool:
        """Until steps may be taken; False if the run is to stop."""
        with self._control:
            self._control.wait_for(lambda: self._stopping or self._allowed != 0)
            return not self._stopping

    def _sit(self) -> bool:
        """Wait in line for a place; False if the run is to stop."""
        self._note("queued")
        self._seated = self._shared.places.take(lambda: self._stopping, self)
        return self._seated

    def _leave(self) -> None:
        if self._seated:
            self._seated = False
            self._shared.places.leave()

    def _finish(self, result: Generations) -> None:
        if self._closing:
            return
        result.save(self.folder / "result")
        answers = {"texts": result.to_records(), "guarantee": str(result.guarantee)}
        replace_file(self.folder / "answers.json", json.dumps(answers, ensure_ascii=False, default=_plain).encode())
        self._note("stopped" if result.interrupted else "done", finished=time.time(), error=None)

    def answers(self) -> list[dict[str, Any]]:
        """The texts of a run that is over, as `Generations.to_records` gives them.

        Raises:
            ValueError: it is not over.
        """
        path = self.folder / "answers.json"
        if self.live or not path.exists():
            remedy = "wait for it, or stop it" if self.live else "resume it"
            raise ValueError(f"the run {self.name} is {self.state}, and has no answers yet: {remedy}")
        found: list[dict[str, Any]] = json.loads(path.read_bytes())["texts"]
        return found


class _Stopped(Exception):  # noqa: N818
    """Somebody asked for it before there was a result."""


def _said(error: Exception) -> str:
    """An error for who submitted the run: in its own words where they are meant for people."""
    return str(error) if isinstance(error, ValueError | TypeError) else f"{type(error).__name__}: {error}"


def _plain(value: Any) -> Any:
    """What JSON does not know, as something that it does."""
    return value.item() if hasattr(value, "item") else str(value)
