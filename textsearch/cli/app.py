"""The application that the commands belong to."""

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    help="Sample and search text under an energy: fluency x relevance x hard constraints, on pretrained models.",
)
