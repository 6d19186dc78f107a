"""A file of answers: it is looked at before anything is done to it, and grows by whole groups."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, final

import typer

from textsearch.cli import sidecar
from textsearch.cli.console import json_text
from textsearch.cli.inputs import Input, same_file
from textsearch.kinds import shown

ELSE = "name another file, or move this one away"


@final
class Output:
    """A file of answers that is open and locked.

    Attributes:
        path: its own, without links.
        done: inputs that it has answers for, from the first on.
        answered: how many of these were not refused.
    """

    def __init__(self, path: Path, descriptor: int, data: bytes, done: int, answered: int) -> None:
        self.path, self.done, self.answered = path, done, answered
        self._descriptor, self._end = descriptor, len(data)
        self._hash = sha256(data)

    def append(self, records: Sequence[dict[str, Any]], made: sidecar.Made) -> None:
        """Write answers so that they are there for good, after a note of how they were made.

        Raises:
            OSError: they cannot be written; the file is as it was.
        """
        note = sidecar.beside(self.path)
        before = sidecar.read(note)
        if before is None or {**before, **made.record} != before:
            # of a model that had to be fetched first it is known only now which one it is
            if before is not None and self.done and (unlike := made.differences(before, note.name)):
                raise ValueError("; ".join(unlike))
            sidecar.write(note, made.record, self.mark)
        data = "".join(json_text(record) + "\n" for record in records).encode()
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(data)
        self._hash.update(data)
        self.done += len(records)
        self.answered += sum("texts" in record for record in records)
        self.note(made.record)

    @property
    def mark(self) -> dict[str, Any]:
        """What tells whether the answers were changed: how many they are, and a hash of them."""
        return {"count": self.done, "sha256": self._hash.hexdigest()[:32]}

    def note(self, record: Mapping[str, Any]) -> None:
        """Write down how the answers stand; where that cannot be done, fewer of them are watched."""
        with suppress(OSError):
            sidecar.write(sidecar.beside(self.path), record, self.mark)


@contextmanager
def opened(path: Path, file: Path | None, inputs: Sequence[Input], made: sidecar.Made) -> Iterator[Output]:
    """Open a file of answers to go on with it.

    A last record that was cut short is taken off; nothing else is ever changed, and nothing at all before it is
    certain that the file is ours: it has a note of how it was made, which agrees with `made`, and its records are
    answers to these inputs.

    Args:
        path: its name.
        file: where the inputs come from, which must be another one.
        inputs: all of them.
        made: how answers are made now.

    Raises:
        typer.BadParameter: no such file can be written, another process writes it, or it holds something else.
    """
    try:
        real = _plain(path, file)
        descriptor, new = _locked(real)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise typer.BadParameter(f"cannot write {shown(str(path), 200)}: {reason}", param_hint="--output") from error
    output = None
    try:
        try:
            output = _looked_at(real, descriptor, inputs, made)
        except (OSError, ValueError) as error:
            raise typer.BadParameter(str(error), param_hint="--output") from error
        yield output
    finally:
        # a file that came to be here and got nothing is not left behind; whoever waits for it looks again
        if new and os.fstat(descriptor).st_size == 0:
            real.unlink(missing_ok=True)
        os.close(descriptor)


def _plain(path: Path, file: Path | None) -> Path:
    """The file itself, behind all links, if it can be one of answers."""
    if str(path) == "-":
        raise ValueError("it is no file; --jsonl prints the same lines")
    if path.absolute().parts[:2] in (("/", "dev"), ("/", "proc")):
        raise ValueError("to go on with answers takes a plain file; --jsonl prints the same lines")
    real = Path(os.path.realpath(path))
    note = sidecar.beside(real)
    for one in (real, note):
        try:
            kind = one.stat().st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(kind):
            raise ValueError(f"{shown(str(one), 200)} is a folder: name a file")
        if not stat.S_ISREG(kind):
            raise ValueError("to go on with answers takes a plain file; --jsonl prints the same lines")
        if file is not None and same_file(file, one):
            raise ValueError(f"the inputs are read from it (--file {file}): {ELSE.split(',')[0]}")
    if not real.parent.is_dir():
        raise ValueError(f"there is no folder {shown(str(real.parent), 200)}: make it first")
    if not os.access(real.parent, os.W_OK):
        raise ValueError(
            f"the folder {shown(str(real.parent), 200)} cannot be written to, where {note.name} is to stand"
        )
    return real


def _locked(path: Path) -> tuple[int, bool]:
    """The file, open, with a lock that lasts as long as it is; and whether it is new."""
    while True:
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            if sys.platform != "win32":
                import fcntl

                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ValueError("another process is writing it; wait for its end, or name another file") from None
                except OSError:
                    # some file systems have no locks
                    return descriptor, new
            # whoever held the lock may have taken the file away in the meantime
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor, new
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _looked_at(path: Path, descriptor: int, inputs: Sequence[Input], made: sidecar.Made) -> Output:
    with os.fdopen(os.dup(descriptor), "rb") as opened:
        opened.seek(0)
        data = opened.read()
    *lines, torn = data.split(b"\n")
    records = [_record(line) for line in lines]
    for number, record in enumerate(records):
        if record is None:
            raise ValueError(f"line {number + 1} of {path} is no answer of this program: {ELSE}")
        if record["number"] != number:
            raise ValueError(
                f"line {number + 1} of {path} answers input {record['number']}, not {number}; lines are missing or "
                f"were moved: put them back, or {ELSE}"
            )
    note = sidecar.beside(path)
    before = sidecar.read(note)
    if not data:
        return Output(path, descriptor, b"", 0, 0)
    if before is None:
        what = f"{len(lines)} answers" if lines else "something"
        raise ValueError(
            f"{path} holds {what}, but there is no {note.name} beside it to say how they were made: {ELSE}"
        )
    if unlike := made.differences(before, note.name):
        if unlike[-1].startswith("inputs: not"):
            unlike[-1] = _first_other(records, inputs, path.name)
        raise ValueError(f"{'; '.join(unlike[:4])}: name another file, or move {path.name} and {note.name} away")
    for number, record in enumerate(records):
        if number >= len(inputs) or record is None or record["input"] != inputs[number].value:
            raise ValueError(f"line {number + 1} of {path} is no answer to input {number} of this request: {ELSE}")
    known = before["answers"]["count"]
    first = b"".join(line + b"\n" for line in lines[:known])
    if 0 < known <= len(lines) and sha256(first).hexdigest()[:32] != before["answers"]["sha256"]:
        raise ValueError(
            f"the first {known} answers in {path} are no longer those that were written there: put them back, or {ELSE}"
        )
    if torn:
        if len(lines) >= len(inputs) or not _begins(torn, inputs[len(lines)].head(len(lines))):
            raise ValueError(f"line {len(lines) + 1} of {path} is no answer that was cut short: {ELSE}")
        os.ftruncate(descriptor, len(data) - len(torn))
    answered = sum(record is not None and "texts" in record for record in records)
    output = Output(path, descriptor, data.removesuffix(torn), len(lines), answered)
    if known < output.done:  # killed between a group and its note
        output.note(before)
    return output


def _first_other(records: Sequence[dict[str, Any] | None], inputs: Sequence[Input], name: str) -> str:
    """Which input is not as it was."""
    for number, (record, one) in enumerate(zip(records, inputs, strict=False)):
        if record is not None and record["input"] != one.value:
            return f"input {number}: {shown(record['input'])} in {name}, {shown(one.value)} now"
        if record is not None and record.get("line") != one.line:
            return f"input {number}: of line {record.get('line')} in {name}, of line {one.line} now"
    return f"inputs: those that have no answer in {name} yet are not as they were"


def _record(line: bytes) -> dict[str, Any] | None:
    """A line as a record, if it is one."""
    try:
        record = json.loads(line)
        number = record["number"]
        fits = (
            isinstance(number, int)
            and "input" in record
            and isinstance(record.get("texts", record.get("error")), list | str)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return record if fits else None


def _begins(torn: bytes, head: dict[str, Any]) -> bool:
    """Whether a piece of a line is the beginning of the record that begins so."""
    start = json_text(head)[:-1].encode()
    for rest in (b', "texts": [', b', "error": "'):
        whole = start + rest
        if torn[: len(whole)] == whole[: len(torn)]:
            return True
    return False
