"""`textsearch keywords`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.answer import Shown, answer
from textsearch.cli.application import command
from textsearch.cli.inputs import inputs_of


@command
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
    *,
    chains: options.Chains,
    steps: options.Steps,
    seed: options.Seed,
    temperature: options.Temperature,
    inflections: Annotated[bool, typer.Option("--inflections/--exact-forms", help="Whether dog is found in dogs too.")],
    in_order: Annotated[bool, typer.Option(help="The words must come in the order given.")],
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
    """Write sentences that hold all the given words.

    [bold]textsearch keywords "dog frisbee park" --chains 8 --steps 100 --seed 0[/]

    Chains start from drafts of the causal model, with the words that it forgot woven in, and are annealed: words are
    replaced, inserted, deleted, swapped and rewritten in blocks, under the energy -log p(sentence | request)
    - log p(sentence), every keyword kept. Printed is the best sentence of each chain, the lowest energy first.
    """
    given = inputs_of(sets, file)
    if not given:
        raise typer.BadParameter('name the words, for example: textsearch keywords "dog frisbee park"')
    from textsearch.tasks.languages import language

    def read(line: str) -> tuple[list[str], str]:
        words = language(lang).split(line)
        return words, ", ".join(words)

    answer(
        "keywords",
        [one.then(read) for one in given],
        Shown(top, as_json, jsonl, output, batch_inputs, report, quiet, workers),
        file=file,
        chains=chains,
        steps=steps,
        seed=seed,
        temperature=temperature,
        inflections=inflections,
        in_order=in_order,
        lang=lang,
        causal=causal,
        masked=masked,
    )
