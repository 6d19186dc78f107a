"""`textsearch ask`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, inputs_of
from textsearch.kinds import shown
from textsearch.tasks.settings import MAX_ANSWERS, Asking


@command(
    Asking,
    models=("causal",),
    left_out=("drafts",),
    written={"answers": {"min": 1, "max": MAX_ANSWERS}},
)
def ask(
    passages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PASSAGE...",
            help="A sentence or a few each; with an answer of its own as JSON: "
            """'{"passage": "Bats fly at night.", "answer": "at night"}'""",
            show_default=False,
        ),
    ] = None,
    file: options.File = None,
) -> list[Input]:
    """Ask questions that a passage answers.

        textsearch ask "Marie Curie won the Nobel Prize in 1903." --answer 1903

    Dates, numbers, names and terms of the passage are the answers, unless one is named. Drafts of questions go on by
    annealed Metropolis-Hastings, under how likely the question is for the answer, and the answer for the question.
    """
    given = inputs_of(passages, file)
    if not given:
        raise typer.BadParameter('name a passage, for example: textsearch ask "Bats find insects by echolocation."')
    return [one.then(passage) for one in given]


def passage(said: str) -> tuple[Any, str]:
    """A passage as it was given, or with its own answer, and in one line.

    Raises:
        ValueError: JSON that is no passage.
    """
    if not said.lstrip().startswith("{"):
        return said, said
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        # a text may begin with a brace, too
        return said, said
    if not isinstance(found.get("passage"), str):
        raise ValueError(f'{shown(said)} is no passage: write {{"passage": "...", "answer": "..."}}')
    return found, found["passage"]
