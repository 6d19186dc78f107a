"""`textsearch run`."""

from __future__ import annotations

import json
import sys
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer

from textsearch.cli.application import app
from textsearch.cli.console import json_text, say, show, write
from textsearch.cli.helping import HelpedCommand
from textsearch.cli.leaving import REFUSED
from textsearch.cli.paths import kept_in, path
from textsearch.cli.signals import heeded
from textsearch.kinds import shown
from textsearch.waiting import waiting


@app.command("run", cls=HelpedCommand)
def run(
    asked: Annotated[
        str,
        typer.Argument(
            metavar="SUBMISSION",
            help="JSON of a run, as the page gives it, or the name of a file or a run folder that holds it.",
            show_default=False,
        ),
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            parser=path,
            callback=kept_in,
            metavar="FOLDER",
            help="A folder that keeps the run: the same call goes on with it.",
            show_default=False,
        ),
    ] = None,
    stop_after: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="End after so many steps, as a run of the page that was stopped there."),
    ] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print JSON lines, one a text.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Make a run of the page again: any task, or an energy of terms, with any of its samplers.

        textsearch run '{"task": "infill", "inputs": ["A ___."], "steps": 5}'

    The same submission gives the same texts, bit for bit, on the page and here.
    """
    told = _submission(asked)
    with waiting("loading PyTorch", not quiet):
        from textsearch.service import Submission
        from textsearch.service.problems import build, sampler_of
        from textsearch.tasks.problem import solve
    try:
        submission = Submission.of(told)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="SUBMISSION") from error
    with heeded() as stop:
        try:
            with waiting("preparing the run", not quiet):
                problem = build(submission)
            taken = count(1)
            stops = [] if stop_after is None else [lambda progress: next(taken) == stop_after]
            result = solve(
                problem, sampler=sampler_of(submission), callbacks=stops, progress=not quiet, checkpoint=checkpoint
            )
        except (ValueError, ImportError) as error:
            say(error, error=True)
            raise typer.Exit(REFUSED) from error
        for record in result.to_records():
            if jsonl:
                write(json_text(record, file=sys.stdout))
            else:
                show(str(record["text"]), before=f"  {record['energy']:6.2f}  ")
        if result.interrupted and (stop_after is None or stop.signal is not None):
            kept = "; run the same command again to go on" if checkpoint is not None else ""
            say(f"interrupted: {result.steps} of {problem.steps} steps were taken{kept}")
            raise typer.Exit(stop.exit_code)


def _submission(asked: str) -> Any:
    """What is asked for, as JSON has it."""
    text = asked
    if not asked.lstrip().startswith(("{", "[")):
        named = path(asked)
        file = named / "submission.json" if named.is_dir() else named
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no text in UTF-8"
            remedy = "name a file or folder of a run, or write JSON, which begins with {"
            said = f"cannot read {shown(str(file), 200)}: {why}; {remedy}"
            raise typer.BadParameter(said, param_hint="SUBMISSION") from error
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"no JSON: {error}", param_hint="SUBMISSION") from error
    # the file of a run folder has a checksum beside it
    return told.get("submission", told) if isinstance(told, dict) else told
