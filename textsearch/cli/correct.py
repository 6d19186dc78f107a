"""`textsearch correct`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, inputs_of
from textsearch.tasks.settings import Correction


@command(
    Correction,
    models=("causal", "masked"),
    top=1,
    left_out=("confusions",),
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
