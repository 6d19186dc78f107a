"""What a server does for one command: its task on its inputs, group by group, told as events.

As the command itself does it, with `textsearch.tasks.stream`: so the answers are the same, byte for byte. Groups of
several commands take turns, first come, first served.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, final

from textsearch import tasks
from textsearch.cli.faults import Unable, able
from textsearch.cli.leaving import REFUSED, USAGE
from textsearch.cli.models import fingerprint
from textsearch.cli.sample import Trust
from textsearch.cli.server.wire import RESTART, Asked
from textsearch.cli.sidecar import versions
from textsearch.cli.tally import Also, Tally
from textsearch.kinds import shown
from textsearch.result.display import far
from textsearch.service.limits import Limits
from textsearch.service.queueing import Places
from textsearch.service.submission import TASKS, settings_of
from textsearch.tasks import resolve
from textsearch.watching import Note, Waiting, watched

if TYPE_CHECKING:
    from textsearch.result import Generations
    from textsearch.run.loop import Progress

Emit = Callable[[Mapping[str, Any]], None]
"""Sends an event."""

KINDS = ("causal", "masked", "encoder", "classifier")

_OFTEN = 0.1  # seconds between two events of steps


@final
@dataclass(frozen=True)
class Held:
    """The models of a server, loaded once.

    Attributes:
        named: kind -> name -> the model, of those that are not the default ones.
        marks: kind -> name -> what tells it from another that goes by the same name.
    """

    named: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    marks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @staticmethod
    def of(names: Mapping[str, Sequence[str]]) -> Held:
        """Load them all.

        Raises:
            ValueError: one cannot be loaded.
        """
        marks = {kind: {name: fingerprint(kind, name) for name in own} for kind, own in names.items()}
        named = {kind: {name: getattr(resolve, kind)(name) for name in own} for kind, own in names.items()}
        return Held(named, marks)

    def model(self, kind: str, name: str | None, mark: str | None = None) -> Any:
        """The model; None for the default one, which a task loads once a process.

        Args:
            kind: of it.
            name: of it, None for the default.
            mark: of the model that the command has by this name; None if it has none.

        Raises:
            ValueError: it is not among those that the server holds, or is another by the same name.
        """
        if name is None:
            return None
        if kind not in KINDS or name not in self.named.get(kind, {}):
            have = ", ".join(map(shown, self.named.get(kind, {}))) or "no other than the default"
            raise ValueError(
                f"{kind}={shown(name)} is no model that it was started with ({have}): start it with --{kind} "
                f"{name}, or leave --server out"
            )
        if mark is not None and self.marks.get(kind, {}).get(name, mark) != mark:
            raise ValueError(
                f"{kind}={shown(name)} is another model there than here: a server keeps what it loaded when it was "
                "started, from its own folder; start it again from where the command is, or leave --server out"
            )
        return self.named[kind][name]


def checked(asked: Asked, held: Held, limits: Limits) -> dict[str, Any]:
    """The settings of the task, models included.

    Raises:
        ValueError: something that cannot be meant, is above a limit, or is not what this server can answer.
    """
    if asked.command not in TASKS:
        raise ValueError(f"there is no command {shown(asked.command)} here: choose from {', '.join(TASKS)}")
    for name, own in versions().items():
        if asked.versions.get(name) != own:
            raise ValueError(
                f"it runs {name} {own}, the command {asked.versions.get(name)}, and answers may differ: start it again "
                "from where the command is"
            )
    settings = vars(settings_of(asked.command, asked.settings))
    limits.check(len(asked.inputs), settings, [asked.inputs, asked.settings])
    told = {name: settings[name] for name in asked.settings}
    return told | {name: held.model(name, value, asked.marks.get(name)) for name, value in asked.models.items()}


@final
class Answering:
    """One command that is being answered.

    Args:
        asked: what it asks.
        settings: of the task, as `checked` gives them.
        turn: one place, for a group of inputs at a time.
        also: what a report says besides.

    Attributes:
        stopped: whether it is to give what it has, and end.
        ended: whether that is because the server ends.
    """

    def __init__(self, asked: Asked, settings: Mapping[str, Any], turn: Places) -> None:
        self._asked, self._settings, self._turn = asked, settings, turn
        self.stopped, self.ended = Event(), Event()
        also: Also | None = Trust() if asked.report and asked.command == "sample" else None
        self._tally = Tally(also)
        self._ticket = object()
        self._last = 0.0

    def stop(self) -> None:
        """As Ctrl-C does: the step under way is taken to its end."""
        self.stopped.set()
        self._turn.wake()

    @property
    def before(self) -> int | None:
        """How many groups of others come first; None while it does not wait."""
        return self._turn.place_of(self._ticket)

    def run(self, emit: Emit) -> None:
        """Answer, and tell it."""
        try:
            for record in self._records(emit):
                if self.ended.is_set() and record.get("interrupted"):
                    raise KeyboardInterrupt
                emit({"record": {name: record[name] for name in ("texts", "error", "interrupted") if name in record}})
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
        except Unable as error:
            emit({"unable": {"message": str(error), "code": error.code}})
            return
        except ImportError as error:
            emit({"unable": {"message": str(error), "code": USAGE}})
            return
        if interrupted and self.ended.is_set():
            emit({"unable": {"message": f"the server was ended before the command: {RESTART}", "code": REFUSED}})
            return
        told = self._tally.told(self._asked.report)
        sheets = [vars(sheet) for sheet in told.sheets]
        emit({"end": {"runs": told.runs, "line": told.line, "sheets": sheets, "interrupted": interrupted}})

    def _records(self, emit: Emit) -> Any:
        task = getattr(tasks, self._asked.command)
        asked = self._asked
        more: dict[str, Any] = {} if asked.numbers is None else {"numbers": asked.numbers}
        return tasks.stream(
            self._in_turn(task, emit),
            asked.inputs,
            batch_inputs=asked.batch_inputs,
            done=asked.done,
            callbacks=[functools.partial(self._after, emit)],
            **self._settings,
            **more,
        )

    def _in_turn(self, task: Callable[..., Generations], emit: Emit) -> Callable[..., Generations]:
        """The task; each call of it is the start of a group, and waits for its turn."""
        guarded = able(task)

        @functools.wraps(task)
        def taken(*arguments: Any, **settings: Any) -> Generations:
            emit({"group": True})
            if not self._turn.take(self.stopped.is_set, self._ticket):
                raise KeyboardInterrupt
            try:
                with watched(functools.partial(self._hear, emit)):
                    result = guarded(*arguments, **settings)
            finally:
                self._turn.leave()
            self._tally.add(result)
            return result

        return taken

    def _hear(self, emit: Emit, thing: object) -> None:
        """What a run tells while it goes; here it can be stopped before its first step too."""
        if self.stopped.is_set():
            raise KeyboardInterrupt
        if self._asked.progress and isinstance(thing, Waiting):
            emit({"waiting": thing.message})
        elif self._asked.progress and isinstance(thing, Note):
            emit({"note": thing.message})

    def _after(self, emit: Emit, progress: Progress) -> bool:
        """A step is over; True to stop."""
        now = time.monotonic()
        if self._asked.progress and now - self._last > _OFTEN:
            self._last = now
            emit({"steps": far(progress)})
        return self.stopped.is_set()
