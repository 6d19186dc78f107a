"""`textsearch correct`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, inputs_of
from textsearch.tasks.settings import Correction


def _kept(given: str | bool) -> Any:
    """What `--keep` means: True, False, a list of words, or the name of a file that is there."""
    if isinstance(given, bool):  # the default
        return given
    if given.lower() in {"yes", "no"}:
        return given.lower() == "yes"
    if "," in given:
        return [word.strip() for word in given.split(",") if word.strip()]
    from textsearch.language.literals import Kept

    try:
        Kept.of(given)
    except ValueError as error:
        why = "is no text in UTF-8" if Path(given).is_file() else "is no file"
        raise typer.BadParameter(
            f"{given!r} {why}: write yes, no, a file of words, one a line, or words with commas, {given + ','!r}"
        ) from error
    return given


@command(
    Correction,
    models=("causal", "masked"),
    top=1,
    left_out=("confusions",),
    written={
        "keep": {
            "metavar": "YES|NO|FILE|WORDS",
            "parser": _kept,
            "callback": None,
            "show_default": "yes",
            "help": "Leave addresses, handles, code, file names, numbers with units and marks of markdown as they are: "
            "yes, no, or yes and some words besides: a file with one a line, or words with commas between them.",
        }
    },
)
def correct(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Sentences to be corrected.", show_default=False),
    ] = None,
    file: options.File = None,
) -> list[Input]:
    """Mend the mistakes of a text, and leave the rest of it as it is.

    [bold]textsearch correct "She go to school yesterday becouse she have a exam."[/]

    Spelling, inflection, articles, small words, commas and words that are easily confused. An edit is made where it
    makes the text likelier by more than an edit of its kind costs.
    """
    given = inputs_of(texts, file)
    if not given:
        raise typer.BadParameter('name a text, for example: textsearch correct "She go to school."')
    return given
