"""Run a task and show what it gives: as text, as JSON, or as lines of JSON that come while it runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, final

import typer

if TYPE_CHECKING:
    from textsearch.result import Generations


@final
@dataclass(frozen=True)
class Shown:
    """How a command's results are to be shown; see the options of the same names."""

    top: int = 5
    as_json: bool = False
    jsonl: bool = False
    output: Path | None = None
    at_once: int = 16
    report: bool = False
    quiet: bool = False


def lines_of(arguments: Sequence[str] | None, file: Path | None) -> list[str]:
    """The inputs named on the command line, then those of the file, - for standard input; empty lines left out.

    Raises:
        typer.BadParameter: the file cannot be read.
    """
    text = ""
    if file is not None:
        try:
            text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"cannot read {file}: {error}", param_hint="--file") from error
    return [line for line in [*(arguments or []), *text.splitlines()] if line.strip()]


def answer(task: Callable[..., Generations], inputs: Sequence[Any], shown: Shown, **settings: Any) -> None:
    """Run `task` on the inputs and show what comes out; a request that cannot be met is one line and exit code 2."""
    with _complaints():
        if shown.jsonl or shown.output is not None:
            _stream(task, inputs, shown, settings)
        else:
            _print(task(inputs, progress=not shown.quiet, **settings), shown)


@contextmanager
def _complaints() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, ImportError, RuntimeError, OSError) as error:
        from rich.console import Console

        Console(stderr=True).print(f"[red]error:[/] {_plain(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error


def _stream(task: Callable[..., Generations], inputs: Sequence[Any], shown: Shown, settings: dict[str, Any]) -> None:
    from textsearch.tasks import stream

    if shown.output is None:
        _write(stream(task, inputs, at_once=shown.at_once, **settings), sys.stdout, shown, len(inputs))
        return
    done = _already(shown.output, inputs)
    if done and not shown.quiet:
        typer.echo(f"{done} of {len(inputs)} inputs are in {shown.output} already", err=True)
    with shown.output.open("a", encoding="utf-8") as file:
        _write(stream(task, inputs, at_once=shown.at_once, done=done, **settings), file, shown, len(inputs))


def _write(records: Iterator[dict[str, Any]], file: TextIO, shown: Shown, count: int) -> None:
    for record in records:
        if "texts" in record:
            record["texts"] = record["texts"][: shown.top]
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
        file.flush()
        if not shown.quiet:
            typer.echo(f"\r{record['number'] + 1} of {count}", err=True, nl=record["number"] + 1 == count)


def _already(file: Path, inputs: Sequence[Any]) -> int:
    """How many of the inputs, from the first on, are answered in the file; a last line cut short is taken off.

    Raises:
        ValueError: the file holds something else.
    """
    if not file.exists():
        return 0
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    lines = whole.splitlines()
    for number, line in enumerate(lines):
        try:
            record = json.loads(line)
            same = record["number"] == number and record["input"] == inputs[number]
        except (json.JSONDecodeError, KeyError, TypeError, IndexError):
            same = False
        if not same:
            raise ValueError(
                f"line {number + 1} of {file} is no answer to input {number + 1} of this request; "
                "name another file, or move this one away"
            )
    return len(lines)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _print(result: Generations, shown: Shown) -> None:
    from rich.console import Console

    if shown.report:
        notes = Console(stderr=True)
        notes.print(result.moves())
        notes.print(result.accounting())
    records = result.to_records()
    best: list[dict[str, object]] = []
    for number, source in enumerate(result.sources):
        best += [record | {"source": source} for record in records if record["input"] == number][: shown.top]
    if shown.as_json:
        print(json.dumps(best, ensure_ascii=False, indent=2))
        return
    console = Console()
    for number, source in enumerate(result.sources):
        console.print(f"[bold]{_plain(source)}[/]")
        for record in best:
            if record["input"] == number:
                console.print(f"  [dim]{record['energy']:6.2f}[/]  {_plain(str(record['text']))}", soft_wrap=True)
    taken = ", ".join(f"{kind} {count.rate:.2f}" for kind, count in result.acceptance.items() if count.proposed)
    Console(stderr=True).print(
        f"[dim]{len(result)} chains, {result.steps} steps in {result.seconds:.0f} s; accepted: {taken or 'nothing yet'}"
        f"{'; interrupted' if result.interrupted else ''}[/]",
        soft_wrap=True,
    )
