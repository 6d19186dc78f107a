"""Run a task on inputs and show what it gives: as text, as JSON, or as lines of JSON that come while it runs."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import typer

from textsearch.cli import output, sidecar
from textsearch.cli.console import json_text, one_line, say, shortened, show, write
from textsearch.cli.faults import Unable, able
from textsearch.cli.inputs import Input
from textsearch.cli.leaving import REFUSED
from textsearch.cli.models import fingerprint
from textsearch.cli.pace import Pace
from textsearch.cli.server.client import Remote, found
from textsearch.cli.server.wire import Asked
from textsearch.cli.signals import Stop, heeded
from textsearch.cli.tally import Also, Tally, Told
from textsearch.waiting import waiting

if TYPE_CHECKING:
    from textsearch.result import Generations

MODELS = ("causal", "masked", "encoder", "classifier")
"""Settings that name models."""

LONGEST_ERROR = 2000
"""Characters of an error in a record."""


@final
@dataclass(frozen=True)
class Shown:
    """How a command's results are to be shown; see the options of the same names. Without `top` all texts are."""

    top: int | None = 5
    as_json: bool = False
    jsonl: bool = False
    output: Path | None = None
    batch_inputs: int = 16
    report: bool = False
    quiet: bool = False
    workers: int = 1
    checkpoint: Path | None = None
    server: str | None = None

    def __post_init__(self) -> None:
        if self.report and self.workers > 1:
            raise typer.BadParameter("--report counts what one process did: leave it or --workers out")
        if self.server is not None and (self.workers > 1 or self.checkpoint is not None):
            other = "--workers" if self.workers > 1 else "--checkpoint"
            raise typer.BadParameter(f"{other} is of processes on this machine: leave it or --server out")
        if self.as_json and (self.jsonl or self.output is not None):
            other = "--jsonl" if self.jsonl else "--output"
            raise typer.BadParameter(f"--json prints one list, {other} a line for each input: leave one of them out")


def answer(
    command: str,
    inputs: Sequence[Input],
    shown: Shown,
    *,
    file: Path | None = None,
    seed: int = 0,
    also: Also | None = None,
    advice: str = "",
    **settings: Any,
) -> None:
    """Run a task on the inputs and show what comes out.

    An input that is refused is one line on standard error, and costs no other its answer.

    Args:
        command: the task's name.
        inputs: all of them.
        shown: how the answers are to be shown.
        file: where inputs were read from.
        seed: of the task.
        also: what a report says besides.
        advice: a line that is said before anything runs; empty for none.
        settings: of the task, apart from its seed.

    Raises:
        typer.Exit: 1 if all inputs were refused or an answer could not be written, 130 after Ctrl-C, 143 after SIGTERM.
        typer.BadParameter: the task cannot run with these settings, or its answers cannot go where they are wanted.
    """
    if not shown.server:  # which has a cache of its own
        _check_language(command, settings)
    with heeded() as stop:
        raise typer.Exit(_Run(command, inputs, shown, file, seed, settings, stop, also, advice).code())


@final
class _Run:
    """One call of the command line, from its inputs to its exit code."""

    def __init__(
        self,
        command: str,
        inputs: Sequence[Input],
        shown: Shown,
        file: Path | None,
        seed: int,
        settings: Mapping[str, Any],
        stop: Stop,
        also: Also | None,
        advice: str,
    ) -> None:
        self.command, self.inputs, self.shown, self.file = command, inputs, shown, file
        self.seed, self.settings, self.stop, self.advice = seed, settings, stop, advice
        self.file_of_answers: output.Output | None = None
        self.pending: list[dict[str, Any]] = []
        self.listed: list[dict[str, Any]] = []
        self.tally, self.pace = Tally(also), Pace(len(inputs))
        self.remote: Remote | None = None
        self.given = self.answered = 0
        self.interrupted = False
        self.spread = shown.workers > 1
        self.made: sidecar.Made | None = None

    def code(self) -> int:
        """Run all of it; the exit code."""
        with ExitStack() as stack:
            if self.shown.output is not None:
                opened = output.opened(self.shown.output, self.file, self.inputs, self._made())
                self.file_of_answers = stack.enter_context(opened)
                self.answered = self.file_of_answers.answered
                self.given = self.file_of_answers.done
                if self.given and not self.shown.quiet:
                    say(f"{self.given} of {len(self.inputs)} inputs are in {self.shown.output} already")
            if self.advice and not self.shown.quiet:
                say(self.advice)
            self.pace.start(self.given)
            try:
                for record in self._records():
                    self._take(record)
                self._flush()
            except KeyboardInterrupt:
                self.interrupted = True
            except Unable as error:
                say(error, error=True)
                return error.code
            return self._end()

    def _records(self) -> Iterator[dict[str, Any]]:
        """Those of all inputs that have none yet, in order."""
        done = self.given
        fine = [number for number, one in enumerate(self.inputs) if one.error is None]
        with closing(self._answers(fine, sum(number < done for number in fine))) as answers:
            for number in range(done, len(self.inputs)):
                one = self.inputs[number]
                if one.error is not None:
                    yield one.head(number) | {"error": one.error}
                    continue
                answered = next(answers, None)
                if answered is None:
                    self.interrupted = True
                    return
                yield one.head(number) | {
                    key: value for key, value in answered.items() if key in ("texts", "error", "interrupted")
                }
            # a server says more behind the last answer
            next(answers, None)

    def _answers(self, fine: Sequence[int], done: int) -> Generator[dict[str, Any]]:
        """What the task says to the inputs that it is asked, by their numbers."""
        if done == len(fine):
            return
        if self.shown.server is not None:
            yield from self._asked(self.shown.server, fine, done)
            return
        from textsearch import tasks

        # with the task come PyTorch and transformers: from here on seconds pass
        with waiting("loading PyTorch", not self.shown.quiet):
            task = _task(tasks, self.command)
        settings = dict(self.settings) | {"seed": self.seed}
        if self.shown.checkpoint is not None:
            settings["checkpoint"] = self.shown.checkpoint
        if self.spread:
            task, settings["workers"] = able(task), self.shown.workers
        else:
            task = self._watched(task)
            if not self.shown.quiet:
                settings["progress"] = True
        if len(fine) < len(self.inputs):
            # an input keeps the random numbers of its place among all, whoever else is refused
            settings["numbers"] = fine
        values = [self.inputs[number].value for number in fine]
        yield from tasks.stream(task, values, batch_inputs=self.shown.batch_inputs, done=done, **settings)

    def _asked(self, server: str, fine: Sequence[int], done: int) -> Generator[dict[str, Any]]:
        """The same of a server."""
        self.remote = Remote(found(server), self.stop, quiet=self.shown.quiet)
        plain = {name: value for name, value in self.settings.items() if name not in MODELS} | {"seed": self.seed}
        models = {name: self.settings[name] for name in MODELS if name in self.settings}
        asked = Asked(
            command=self.command,
            inputs=[self.inputs[number].value for number in fine],
            numbers=list(fine) if len(fine) < len(self.inputs) else None,
            done=done,
            batch_inputs=self.shown.batch_inputs,
            settings={name: _plain(name, value) for name, value in plain.items()},
            models=models,
            marks={kind: fingerprint(kind, name) for kind, name in models.items() if name is not None},
            progress=not self.shown.quiet,
            report=self.shown.report,
        )
        yield from self.remote.answers(asked, self._before_group)

    def _before_group(self) -> None:
        """The last group is written down, and Ctrl-C that came meanwhile is heeded."""
        self._flush()
        if self.stop.signal is not None:
            raise KeyboardInterrupt

    def _watched(self, task: Callable[..., Generations]) -> Callable[..., Generations]:
        """The task; each call of it is the start of a group, before which the last one's answers are written down."""

        guarded = able(task)

        @functools.wraps(task)
        def watched(*arguments: Any, **settings: Any) -> Generations:
            self._before_group()
            try:
                result = guarded(*arguments, **settings)
            except Exception as error:
                if self.stop.signal is not None:
                    raise KeyboardInterrupt from error
                raise
            self.tally.add(result)
            return result

        return watched

    def _take(self, record: dict[str, Any]) -> None:
        """Show one record, or keep it until its group is complete."""
        if "texts" in record:
            record["texts"] = record["texts"][: self.shown.top]
        else:
            record["error"] = shortened(str(record["error"]), LONGEST_ERROR)
        if self.stop.signal is not None and "texts" in record and not self.spread:
            record["interrupted"] = True
        if record.get("interrupted") and self.spread:
            # what workers had not finished has no texts; what they had is whole
            self._flush()
            self.interrupted = True
            return
        self.interrupted |= bool(record.get("interrupted"))
        if self.file_of_answers is not None:
            if not (self.interrupted and self.spread):  # the file has no gaps
                self.pending.append(record)
            if self.spread and len(self.pending) >= self.shown.batch_inputs:
                self._flush()
            return
        self.given += 1
        self.answered += "texts" in record
        one = self.inputs[int(record["number"])]
        if "error" in record:
            self._refuse(record)
        if self.shown.jsonl:
            write(json_text(record, file=sys.stdout))
        elif self.shown.as_json:
            also = {"interrupted": True} if "interrupted" in record else {}
            self.listed += [
                {"input": record["number"], **text, "source": one.source, **also} for text in record.get("texts", [])
            ]
        elif "texts" in record:
            show(one.source + (" (interrupted)" if "interrupted" in record else ""), bold=True)
            for text in record["texts"]:
                share = f"{text['probability']:6.1%}  " if "probability" in text else ""
                said = f"{text['text']} ({text['answer']})" if "answer" in text else text["text"]
                show(said, before=f"  {text['energy']:6.2f}  {share}")

    def _refuse(self, record: Mapping[str, Any]) -> None:
        one = self.inputs[int(record["number"])]
        line = f" (line {one.line} of {_name(self.file)})" if one.line is not None else ""
        say(f"input {record['number']}{line} is refused: {one_line(record['error'])}")

    def _flush(self) -> None:
        """Write the group down, and say how it goes; one that was interrupted is not written, and is run again."""
        file, records = self.file_of_answers, self.pending
        if file is not None and records and not self.interrupted and (self.stop.signal is None or self.spread):
            self.pending = []
            with self.stop.held():
                try:
                    file.append(records, self._made())
                except (OSError, ValueError) as error:
                    raise Unable(
                        f"cannot write {file.path}: {getattr(error, 'strerror', None) or error}; {file.done} answers "
                        "are in it: run the command again to go on",
                        REFUSED,
                    ) from error
            self.given, self.answered = file.done, file.answered
            for record in records:
                if "error" in record:
                    self._refuse(record)
        if not self.shown.quiet and (line := self.pace.line(self.given)):
            say(line)

    def _made(self) -> sidecar.Made:
        """How answers are made; of a model that is not here yet it can be said only once it was loaded."""
        if self.made is not None and self.made.known:
            return self.made
        models = {name: fingerprint(name, self.settings[name]) for name in MODELS if name in self.settings}
        plain = {name: value for name, value in self.settings.items() if name not in MODELS}
        plain |= {"seed": self.seed, "top": self.shown.top}
        self.made = sidecar.Made(self.command, plain, models, self.inputs)
        return self.made

    def _end(self) -> int:
        """The last lines; the exit code."""
        finished = self.given == len(self.inputs) and not self.interrupted
        if self.shown.as_json:
            write(json_text(self.listed, file=sys.stdout, indent=2))
        told = self.tally.told(self.shown.report) if self.remote is None else _told(self.remote.end)
        if told.runs and self.shown.report:
            told.report()
        if told.runs and self.file_of_answers is None and not (self.shown.as_json or self.shown.jsonl):
            say(told.line + ("; interrupted" if self.interrupted else ""))
        if not finished:
            if self.file_of_answers is not None:
                where = f"{self.given} of {len(self.inputs)} inputs are in {self.shown.output}"
                say(f"interrupted: {where}; run the same command again to go on")
            else:
                say(f"interrupted: {self.given} of {len(self.inputs)} inputs were answered")
            return self.stop.exit_code
        return 0 if self.answered else REFUSED


def _task(tasks: Any, command: str) -> Callable[..., Generations]:
    try:
        task: Callable[..., Generations] = getattr(tasks, command)
    except ImportError as error:
        raise Unable(error) from error
    return task


def _plain(name: str, value: Any) -> Any:
    """A setting as JSON has it; a file of words as the words, since a server reads no files."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if name == "keep" and isinstance(value, str):
        from textsearch.language.literals import Kept

        return list(Kept.of(value).words.words)
    return value


def _told(end: Mapping[str, Any]) -> Told:
    """What a server says of all runs together; nothing of a run that had no end."""
    if not end:
        return Told()
    sheets = []
    if end["sheets"]:
        from textsearch.result.tables import Sheet

        for sheet in end["sheets"]:
            rows, total = tuple(map(tuple, sheet["rows"])), sheet["total"]
            sheets.append(Sheet(tuple(sheet["columns"]), rows, total and tuple(total), sheet["caption"]))
    return Told(end["runs"], end["line"], sheets)


def _check_language(command: str, settings: Mapping[str, Any]) -> None:
    """Refuse a language whose models are neither given nor to be had; once, and not for each input."""
    if settings.get("lang", "en") != "en":
        from textsearch.tasks.languages import language

        # `correct` does without a masked model; only `paraphrase` has no use for an English encoder: those of `write`
        # read topics, which may be English
        kinds = MODELS[: {"correct": 1, "paraphrase": 3}.get(command, 2)]
        named = {name: settings[name] for name in kinds if name in settings}
        try:
            language(settings["lang"]).check(**named)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--lang") from error


def _name(file: Path | None) -> str:
    return "standard input" if str(file) == "-" else str(file)
