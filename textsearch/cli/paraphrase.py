"""`textsearch paraphrase`."""

from __future__ import annotations

from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, inputs_of
from textsearch.tasks.settings import Paraphrasing


@command(
    Paraphrasing,
    models=("causal", "masked", "encoder"),
    left_out=("pool", "fluency", "preservation", "consensus", "brevity", "polarity", "roles", "numbers"),
)
def paraphrase(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Sentences to say in other words.", show_default=False),
    ] = None,
    file: options.File = None,
) -> list[Input]:
    """Say the same in other words.

        textsearch paraphrase "How can I improve my English?" --chains 3 --seed 0

    The causal model writes drafts; chains go on from the best of them by annealed Metropolis-Hastings, under an energy
    of fluency, similarity of meaning, keywords kept, distance from the wording, and agreement with the drafts.
    """
    given = inputs_of(texts, file)
    if not given:
        raise typer.BadParameter('name a sentence, for example: textsearch paraphrase "How can I improve my English?"')
    return given
