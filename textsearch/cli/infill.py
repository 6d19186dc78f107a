"""`textsearch infill`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, inputs_of
from textsearch.tasks.settings import Infilling


@command(Infilling, models=("causal", "masked"))
def infill(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT...",
            help="Texts with [MASK], <mask> or ___ where a word is to be written, [MASK*] for several, "
            "[MASK{1,4}] for one to four, wal[MASK] for one that begins so.",
            show_default=False,
        ),
    ] = None,
    file: options.File = None,
) -> list[Input]:
    """Write words into the gaps of a text; nothing else of it changes.

        textsearch infill "The [MASK] [MASK] ran home."

    The masked model proposes, the causal model judges the whole text. Printed are the best texts that the chains have
    met, each with its energy in nats and its probability among these; with --exact, among all of one token.
    """
    given = inputs_of(texts, file)
    if not given:
        raise typer.BadParameter('name a text with gaps, for example: textsearch infill "The [MASK] ran home."')
    return given
