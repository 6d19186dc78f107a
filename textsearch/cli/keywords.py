"""`textsearch keywords`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.answer import Shown, answer, lines_of
from textsearch.cli.app import app


@app.command()
def keywords(
    sets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORDS...",
            help="Each argument is one set: words apart by spaces, or phrases apart by commas. "
            '[dim]"dog frisbee park"[/] or [dim]"hot dog, park"[/]',
            show_default=False,
        ),
    ] = None,
    file: options.File = None,
    chains: options.Chains = 8,
    steps: options.Steps = 100,
    seed: options.Seed = 0,
    temperature: options.Temperature = 1.0,
    exact_forms: Annotated[bool, typer.Option(help="Allow no inflection: dog is not found in dogs.")] = False,
    in_order: Annotated[bool, typer.Option(help="The words must come in the order given.")] = False,
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
    """Write sentences that hold all the given words.

    [bold]textsearch keywords "dog frisbee park" --chains 8 --steps 100 --seed 0[/]

    Chains start from drafts of the causal model, with the words that it forgot woven in, and are annealed: words are
    replaced, inserted, deleted, swapped and rewritten in blocks, under the energy -log p(sentence | request)
    - log p(sentence), every keyword kept. Printed is the best sentence of each chain, the lowest energy first.
    """
    lines = lines_of(sets, file)
    if not lines:
        raise typer.BadParameter('name the words, for example: textsearch keywords "dog frisbee park"')
    from textsearch.tasks import keywords as task
    from textsearch.tasks.languages import language

    try:
        wanted = [language(lang).split(line) for line in lines]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--lang") from error

    answer(
        task,
        wanted,
        Shown(top, as_json, jsonl, output, at_once, report, quiet),
        chains=chains,
        steps=steps,
        seed=seed,
        temperature=temperature,
        inflections=not exact_forms,
        in_order=in_order,
        lang=lang,
        causal=causal,
        masked=masked,
    )
