"""`textsearch paraphrase`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.answer import Shown, answer
from textsearch.cli.application import command
from textsearch.cli.inputs import inputs_of


@command
def paraphrase(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Sentences to say in other words.", show_default=False),
    ] = None,
    file: options.File = None,
    *,
    chains: options.Chains,
    steps: options.Steps,
    seed: options.Seed,
    temperature: options.Temperature,
    similarity: Annotated[float, typer.Option(callback=options.positive, help="Nats for a cosine of 0 to the source.")],
    diversity: Annotated[
        float, typer.Option(callback=options.positive, help="Power of 1 - BLEU to the source: more is farther from it.")
    ],
    lang: options.Lang,
    top: options.Top = 5,
    causal: options.Causal,
    masked: options.Masked,
    encoder: options.Encoder,
    as_json: options.Json = False,
    jsonl: options.JsonLines = False,
    output: options.Output = None,
    batch_inputs: options.AtOnce = 16,
    report: options.Report = False,
    quiet: options.Quiet = False,
    workers: options.Workers = 1,
) -> None:
    """Say the same in other words.

    [bold]textsearch paraphrase "How can I improve my English?" --chains 3 --seed 0[/]

    The causal model writes drafts; chains go on from the best of them by annealed Metropolis-Hastings, under an energy
    of fluency, similarity of meaning, keywords kept, distance from the wording, and agreement with the drafts.
    """
    given = inputs_of(texts, file)
    if not given:
        raise typer.BadParameter('name a sentence, for example: textsearch paraphrase "How can I improve my English?"')
    from textsearch.tasks.paraphrasing import Weights

    answer(
        "paraphrase",
        given,
        Shown(top, as_json, jsonl, output, batch_inputs, report, quiet, workers),
        file=file,
        chains=chains,
        steps=steps,
        seed=seed,
        temperature=temperature,
        weights=Weights(similarity=similarity, diversity=diversity),
        lang=lang,
        causal=causal,
        masked=masked,
        encoder=encoder,
    )
