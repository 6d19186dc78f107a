"""`textsearch correct`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.answer import Shown, answer
from textsearch.cli.application import command
from textsearch.cli.inputs import inputs_of


@command
def correct(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Sentences to be corrected.", show_default=False),
    ] = None,
    file: options.File = None,
    *,
    chains: options.Chains,
    steps: options.Steps,
    seed: options.Seed,
    temperature: options.Temperature,
    strictness: Annotated[
        float,
        typer.Option(
            callback=options.not_negative, help="Times what every edit costs: above 1 fewer are made, below 1 more."
        ),
    ],
    tokenised: Annotated[
        bool, typer.Option("--tokenised", help="The texts have, and keep, one space between any two tokens.")
    ],
    top: options.Top = 1,
    causal: options.Causal,
    masked: options.Masked,
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
    given = inputs_of(texts, file)
    if not given:
        raise typer.BadParameter('name a text, for example: textsearch correct "She go to school."')

    answer(
        "correct",
        given,
        Shown(top, as_json, jsonl, output, at_once, report, quiet),
        file=file,
        chains=chains,
        steps=steps,
        seed=seed,
        temperature=temperature,
        strictness=strictness,
        tokenised=tokenised,
        causal=causal,
        masked=masked,
    )
