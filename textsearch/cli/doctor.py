"""`textsearch doctor`: what is here, whether it is sound, and what to do where it is not."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from textsearch.cli.application import app
from textsearch.cli.console import json_text, show, write
from textsearch.cli.helping import HelpedCommand
from textsearch.cli.leaving import REFUSED
from textsearch.waiting import waiting

if TYPE_CHECKING:
    from textsearch.cli.findings import Finding

_MARKS = {"ok": ("ok", "green"), "note": ("--", "yellow"), "problem": ("!!", "red")}


@app.command("doctor", cls=HelpedCommand)
def doctor(
    check: Annotated[
        bool, typer.Option("--check", help="Read all files of the models that are here, and compare their hashes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: one record a finding.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Look at this machine: packages, models, devices, memory, network.

        textsearch doctor --check

    Loads no model and fetches nothing. Ends with 1 if something keeps the commands from running, with 0 if all is well.
    """
    with waiting("looking at packages", not quiet) as say:
        from textsearch.cli.findings import SECTIONS

        found: list[Finding] = []
        for name, section in SECTIONS.items():
            say(name)
            found += section(check)
    sound = all(one.state != "problem" for one in found)
    if as_json:
        write(json_text({"ok": sound, "findings": [asdict(one) for one in found]}, file=sys.stdout, indent=2))
    else:
        _print(found)
    if not sound:
        raise typer.Exit(REFUSED)


def _print(found: list[Finding]) -> None:
    part = ""
    for one in found:
        if one.part != part:
            part = one.part
            show(part, bold=True)
        mark, colour = _MARKS[one.state]
        show(f"{one.name}: {one.said}", before=f"  {mark}  ", fg=None if one.state == "ok" else colour)
        if one.remedy:
            show(one.remedy, before="      -> ")
