"""What keeps a run: in memory to its end, or in a folder from which it can go on.

A state is written at the start, whenever `every` seconds have passed, and at the end, be it an error or Ctrl-C.
SIGTERM, which a job gets before it is preempted, ends the run after the step under way, with its state written. A
process that is killed loses what came after its last state, and the run that goes on takes those steps again: the
random numbers of a step are a function of the seed and of the chain's own numbers, so they are the same steps.
"""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any, Final, final

from textsearch import tree
from textsearch.batch import Batch, Vocabulary
from textsearch.models.usage import Ledger, Usage
from textsearch.objective import Objective
from textsearch.run.checkpoint import Checkpoint, Saved, held
from textsearch.run.fingerprint import differences, fingerprint
from textsearch.run.partial import said
from textsearch.run.recorder import Recorded, Recorder, Stored
from textsearch.run.state import RunState
from textsearch.sampler import Info, Sampler

_TOLD: Final = 3  # differences that are told
_CTRL_C: Final = 3  # as often as this, and somebody means it


@final
@dataclass(frozen=True)
class Settings:
    """What a run is told beside its objective, its sampler and its texts; the same when it goes on."""

    seed: int
    chains: int
    temperature: float
    warm_up: int
    thin: int | None
    numbers: Sequence[int]


@final
class Keeper:
    """Keeps one run; without a folder, in memory.

    Attributes:
        seconds: that the steps so far took, before this process went on with them.
        info: what the last of those did; None where there is none.
        first_steps: how many the run was asked for when it began, whatever it was asked for later.
    """

    def __init__(self, checkpoint: Checkpoint | None = None, every: float = 60.0) -> None:
        self.seconds = 0.0
        self.info: Info | None = None
        self.first_steps: int | None = None
        self._checkpoint, self._every = checkpoint, every
        self._saved: Saved | None = None
        self._start: Batch | None = None
        self._plan: Mapping[str, Any] = {}
        self._recorder = Recorder(0, 0)
        self._last, self._written = time.monotonic(), -1
        self._terminated = False

    def plan(self) -> dict[str, Any]:
        """What the run in the folder was told.

        Raises:
            ValueError: there is none, or it cannot be read any more.
        """
        assert self._checkpoint is not None
        if not self._checkpoint.has_run:
            raise ValueError(
                f"{self._checkpoint.folder} holds no run to go on with: generate(..., checkpoint=folder) begins one"
            )
        return self._checkpoint.plan()

    def start(self, vocabulary: Vocabulary) -> Batch:
        """The texts that the run in the folder began with."""
        assert self._checkpoint is not None
        return self._checkpoint.start(vocabulary)

    def claim(
        self,
        objective: Objective,
        sampler: Sampler[Any],
        batch: Batch,
        settings: Settings,
        steps: int,
        function: str = "generate",
    ) -> None:
        """Begin a run of these in the folder, or see that they are what the run there began with; runs no model.

        A folder is laid out by the `function` that began it, and goes on with no other.

        Raises:
            ValueError: they are not.
            DamagedError: the run in the folder cannot go on.
        """
        checkpoint = self._checkpoint
        if checkpoint is None:
            return
        now = fingerprint(**vars(settings)) | fingerprint(objective=objective, sampler=sampler)
        self._start = batch
        self._plan = {
            "textsearch": _version(),
            "function": function,
            "first_steps": steps,
            "steps": steps,
            "settings": vars(settings),
            "device": str(batch.device),
            "fingerprint": now,
        }
        if not checkpoint.has_run:
            return
        before = checkpoint.plan()
        if before["textsearch"] != _version():
            warnings.warn(
                f"the run in {checkpoint.folder} was begun by textsearch {before['textsearch']}, and goes on with "
                f"{_version()}: where a step has changed, it is not what the unbroken run would be",
                RuntimeWarning,
                stacklevel=2,
            )
        if before["function"] != function:
            raise ValueError(
                f"the run in {checkpoint.folder} was begun by {before['function']}, not by {function}: go on with "
                f"{before['function']}(..., checkpoint=folder), or name another folder"
            )
        differ = differences(before["fingerprint"], now) or _other_texts(checkpoint.start(batch.vocabulary), batch)
        if differ:
            more = f", and {len(differ) - _TOLD} more" if len(differ) > _TOLD else ""
            raise ValueError(
                f"the run in {checkpoint.folder} is another one: {'; '.join(differ[:_TOLD])}{more}. Go on with what it "
                "began with, or name another folder for a new run"
            )
        self._saved = checkpoint.latest()
        taken = self._saved.steps if self._saved else 0
        if steps < taken:
            raise ValueError(
                f"steps={steps} is less than the {taken} that the run in {checkpoint.folder} has taken: ask for as "
                "many, or for more"
            )
        if before["steps"] != steps:
            checkpoint.write_plan(before | {"steps": steps})
        self.first_steps, self._start = before["first_steps"], None

    def open(self) -> None:
        """Write down what the run is, if it is a new one."""
        if self._checkpoint is not None and self._start is not None:
            # only now: a start that was refused leaves no run behind
            self._checkpoint.write_start(self._start)
            self._checkpoint.write_plan(self._plan)
            self._start = None

    @property
    def folder(self) -> Path | None:
        """Where the run is kept, if not in memory."""
        return None if self._checkpoint is None else self._checkpoint.folder

    @property
    def terminated(self) -> bool:
        """Whether the process was asked to end."""
        return self._terminated

    def begin(self, start: RunState[Any], terms: int, usage: Ledger) -> RunState[Any]:
        """The chains to go on with: those at the `start`, or as they were left; what models had been asked."""
        chains, saved = len(start.batch), self._saved
        if self._checkpoint is None:
            self._recorder = Recorder(chains, terms)
            return start
        self.open()
        if saved is None:
            self._recorder = Recorder(chains, terms, Stored.empty(self._checkpoint.folder))
            self._save(0, start, None, usage, 0.0)
            return start
        run, self.info, self.seconds, spent = gone_on_with(saved, start)
        usage.clear()
        usage.update(spent)
        self._recorder = Recorder(chains, terms, saved.stored)
        self._written, self._saved = saved.steps, None
        return run

    def record(self, record: Recorded) -> None:
        """Keep what is to be kept of one step."""
        self._recorder.record(record)

    @property
    def recorder(self) -> Recorder:
        """What was kept so far."""
        return self._recorder

    def after(self, run: RunState[Any], info: Info, usage: Mapping[str, Usage], seconds: float) -> None:
        """A step is over: write the state if it is time, and end if the process was asked to.

        Raises:
            SystemExit: it was.
            OSError: the state cannot be written.
        """
        if self._checkpoint is None:
            return
        if self._terminated:
            raise SystemExit(128 + signal.SIGTERM)
        if time.monotonic() - self._last >= self._every:
            self._save(len(self._recorder), run, info, usage, seconds)

    def close(
        self,
        run: RunState[Any],
        info: Info | None,
        usage: Mapping[str, Usage],
        seconds: float,
        failure: BaseException | None,
    ) -> BaseException | None:
        """Write the last state, and say what went wrong: in the run, or else in writing."""
        if self._checkpoint is None:
            return failure
        for attempt in range(_CTRL_C):
            try:
                self._save(int(run.steps[0]), run, info, usage, seconds)
            except KeyboardInterrupt as error:
                # it interrupts what is over already
                if attempt + 1 == _CTRL_C:
                    return failure or error
            except Exception as error:
                if failure is None:
                    return error
                failure.add_note(f"the last checkpoint could not be written: {said(error)}")
                return failure
            else:
                return failure
        return failure

    def _save(
        self, steps: int, run: RunState[Any], info: Info | None, usage: Mapping[str, Usage], seconds: float
    ) -> None:
        checkpoint = self._checkpoint
        if checkpoint is None or steps == self._written:
            return
        stored = self._recorder.settled(steps)
        assert stored is not None
        write(checkpoint, steps, run, info, stored, seconds, usage)
        self._last, self._written = time.monotonic(), steps

    def terminate(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM: the step under way is taken to its end."""
        self._terminated = True


@contextmanager
def kept(folder: Path | None, every: float) -> Iterator[Keeper]:
    """Keep a run in a folder while the block runs; in memory if there is none."""
    if folder is None:
        yield Keeper()
        return
    with held(folder) as checkpoint:
        keeper = Keeper(checkpoint, every)
        # only the main thread hears signals, and who has a handler of his own knows what to do
        mine = threading.current_thread() is threading.main_thread()
        mine = mine and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if mine:
            signal.signal(signal.SIGTERM, keeper.terminate)
        try:
            yield keeper
        finally:
            if mine:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)


def write(
    checkpoint: Checkpoint,
    steps: int,
    run: RunState[Any],
    info: Info | None,
    stored: Stored,
    seconds: float,
    usage: Mapping[str, Usage],
) -> None:
    """Write a state of a run down, with what its last step did and what it had cost."""
    state: dict[str, object] = {"run": run}
    if info is not None:
        state["info"] = vars(info)
    told = {"seconds": seconds, "usage": {name: astuple(used) for name, used in usage.items()}}
    checkpoint.save(steps, state, stored, told)


def gone_on_with(saved: Saved, template: RunState[Any]) -> tuple[RunState[Any], Info | None, float, dict[str, Usage]]:
    """What was written down, in the classes of `template` and on its device: the run, the last step, its cost."""
    tensors = {path: tensor.to(template.batch.device) for path, tensor in saved.tensors.items()}
    own = {path: tensor for path, tensor in tensors.items() if path.startswith("run.")}
    run: RunState[Any] = tree.restore({"run": template}, saved.constants, own)["run"]
    info = _info({path: tensor for path, tensor in tensors.items() if path not in own})
    usage = {name: Usage(*counts) for name, counts in saved.told["usage"].items()}
    return run, info, saved.told["seconds"], usage


def _info(tensors: Mapping[str, Any]) -> Info | None:
    """What the last step did."""
    if not tensors:
        return None
    recorded = "info.recorded."
    more = {path.removeprefix(recorded): each for path, each in tensors.items() if path.startswith(recorded)}
    return Info(tensors["info.accepted"], tensors["info.kind"], tensors["info.log_ratio"], more)


def _other_texts(before: Batch, now: Batch) -> list[str]:
    """Where the texts to start from differ, in words."""
    if len(before) != len(now):
        return [f"inputs: {len(before)} texts in the checkpoint, {len(now)} now"]
    same = before.same_text(now).tolist()
    texts = [row for row, alike in enumerate(same) if not alike]
    if texts:
        both = zip(texts, before.rows(texts).texts(), now.rows(texts).texts(), strict=True)
        return [f"inputs[{row}]: {old!r} in the checkpoint, {new!r} now" for row, old, new in both]
    width = max(before.width, now.width)
    one, other = before.widen(width), now.widen(width)
    names = ("editable", "inputs", "closed", "homes")
    return [
        f"inputs: the same texts, but not the same {name}"
        for name in names
        if not bool((getattr(one, name) == getattr(other, name)).all())
    ]


def _version() -> str:
    try:
        return version("textsearch-sampling")
    except PackageNotFoundError:
        return "unknown"
