"""`textsearch correct`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.answer import Shown, answer, lines_of
from textsearch.cli.app import app


@app.command()
def correct(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Sentences to be corrected.", show_default=False),
    ] = None,
    file: options.File = None,
    chains: options.Chains = 1,
    steps: options.Steps = 100,
    seed: options.Seed = 0,
    temperature: options.Temperature = 1.0,
    strictness: Annotated[
        float, typer.Option(help="Times what every edit costs: above 1 fewer are made, below 1 more.")
    ] = 1.0,
    tokenised: Annotated[
        bool, typer.Option("--tokenised", help="The texts have, and keep, one space between any two tokens.")
    ] = False,
    top: options.Top = 1,
    causal: options.Causal = None,
    masked: options.Masked = None,
    as_json: options.Json = False,
    jsonl: options.JsonLines = False,
    output: options.Output = None,
    at_once: options.AtOnce = 16,
    report: options.Report = False,
    quiet: options.Quiet = False,
) -> None:
    """Mend the mistakes of a text, and leave the rest of it as it is.

    [bold]textsearch correct "She go to school yesterday becouse she have a exam."[/]

    Spelling, inflection, articles, small words, commas and words that are easily confused. An edit is made where it
    makes the text likelier by more than an edit of its kind costs.
    """
    given = lines_of(texts, file)
    if not given:
        raise typer.BadParameter('name a text, for example: textsearch correct "She go to school."')
    from textsearch.tasks import correct as task

    answer(
        task,
        given,
        Shown(top, as_json, jsonl, output, at_once, report, quiet),
        chains=chains,
        steps=steps,
        seed=seed,
        temperature=temperature,
        strictness=strictness,
        tokenised=tokenised,
        causal=causal,
        masked=masked,
    )
