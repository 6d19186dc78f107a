"""`textsearch correct`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, inputs_of
from textsearch.tasks.settings import Correction


def listed(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """What `--listed` means: lines, or those of a file; they are told as they are, since a server reads no files."""
    if isinstance(given, tuple):  # the default
        return given
    from textsearch.language.chinese_confusions import lines_of_file

    lines = given.replace("，", ",")
    if "," in lines and not Path(given).is_file():
        return tuple(line for line in lines.split(",") if line)
    try:
        return lines_of_file(given)
    except ValueError as error:
        raise typer.BadParameter(
            f"{given!r} is no file of text: name a file of lines, or write lines with commas, {given + ','!r}"
        ) from error


@command(
    Correction,
    models=("causal", "masked"),
    top=1,
    left_out=("confusions",),
    written={
        "listed": {
            "metavar": "FILE|LINES",
            "parser": listed,
            "callback": None,
            "show_default": False,
            "help": "Chinese characters that are mistaken for others besides: a file of lines of what is written and "
            "what may be meant, or such lines with commas between them, 未末,己已.",
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

        textsearch correct "She go to school yesterday becouse she have a exam."
        textsearch correct "我门看美国电影" --lang zh --causal folder/of/ngrams

    Spelling, inflection, articles, small words, commas and words that are easily confused. An edit is made where it
    makes the text likelier by more than an edit of its kind costs. In Chinese, characters that sound or look like
    others are exchanged one for one.
    """
    given = inputs_of(texts, file)
    if not given:
        raise typer.BadParameter('name a text, for example: textsearch correct "She go to school."')
    return given
