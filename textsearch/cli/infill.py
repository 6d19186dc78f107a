"""`textsearch infill`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.answer import Shown, answer, lines_of
from textsearch.cli.app import app


@app.command()
def infill(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Texts with [MASK] where a word is to be written.", show_default=False),
    ] = None,
    file: options.File = None,
    chains: options.Chains = 8,
    steps: options.Steps = 100,
    seed: options.Seed = 0,
    temperature: options.Temperature = 1.0,
    lang: options.Lang = "en",
    top: options.Top = 5,
    causal: options.Causal = None,
    masked: options.Masked = None,
    as_json: options.Json = False,
    jsonl: options.JsonLines = False,
    output: options.Output = None,
    at_once: options.AtOnce = 16,
    report: options.Report = False,
    quiet: options.Quiet = False,
) -> None:
    """Write words into the gaps of a text; nothing else of it changes.

    [bold]textsearch infill "The [MASK] [MASK] ran home."[/]

    Each gap gets one word, of one or several pieces. The masked model proposes, the causal model judges the whole text.
    """
    given = lines_of(texts, file)
    if not given:
        raise typer.BadParameter('name a text with gaps, for example: textsearch infill "The [MASK] ran home."')
    from textsearch.tasks import infill as task

    answer(
        task,
        given,
        Shown(top, as_json, jsonl, output, at_once, report, quiet),
        chains=chains,
        steps=steps,
        seed=seed,
        temperature=temperature,
        lang=lang,
        causal=causal,
        masked=masked,
    )
