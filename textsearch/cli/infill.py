"""`textsearch infill`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.answer import Shown, answer
from textsearch.cli.application import command
from textsearch.cli.inputs import inputs_of


@command
def infill(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT...",
            help="Texts with [MASK], <mask> or ___ where a word is to be written.",
            show_default=False,
        ),
    ] = None,
    file: options.File = None,
    *,
    chains: options.Chains,
    steps: options.Steps,
    seed: options.Seed,
    temperature: options.Temperature,
    gap: Annotated[str | None, typer.Option(help="How a gap is written in the texts.", show_default=False)] = None,
    marks: Annotated[bool, typer.Option("--marks", help="A gap may be filled by a mark of punctuation too.")] = False,
    lang: options.Lang,
    top: options.Top = 5,
    causal: options.Causal,
    masked: options.Masked,
    as_json: options.Json = False,
    jsonl: options.JsonLines = False,
    output: options.Output = None,
    batch_inputs: options.AtOnce = 16,
    report: options.Report = False,
    quiet: options.Quiet = False,
    workers: options.Workers = 1,
) -> None:
    """Write words into the gaps of a text; nothing else of it changes.

    [bold]textsearch infill "The [MASK] [MASK] ran home."[/]

    Each gap gets one word, of one or several pieces. The masked model proposes, the causal model judges the whole text.
    """
    given = inputs_of(texts, file)
    if not given:
        raise typer.BadParameter('name a text with gaps, for example: textsearch infill "The [MASK] ran home."')

    answer(
        "infill",
        given,
        Shown(top, as_json, jsonl, output, batch_inputs, report, quiet, workers),
        file=file,
        chains=chains,
        steps=steps,
        seed=seed,
        temperature=temperature,
        gap=gap,
        marks=marks,
        lang=lang,
        causal=causal,
        masked=masked,
    )
