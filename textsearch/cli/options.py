"""Options that the commands share; their defaults are those of the tasks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from textsearch.checks import seed_of
from textsearch.cli.models import model_name

MAX_STEPS, MAX_CHAINS, MAX_BATCH_INPUTS, MAX_WORKERS = 10**7, 10**5, 10**5, 10**3
"""Beyond these no memory is large enough."""


def positive(number: float) -> float:
    """A number above 0, and not infinite."""
    if not 0 < number < math.inf:
        raise typer.BadParameter(f"{number:g} must be a number above 0")
    return number


def temperature(number: float) -> float:
    """A temperature."""
    if not 0 < number < math.inf:
        raise typer.BadParameter(f"temperature={number:g} must be a number above 0; for a pure search take a small one")
    return number


def seed(number: int) -> int:
    """A seed."""
    try:
        return seed_of(number)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def not_negative(number: float) -> float:
    """A number from 0 on, and not infinite."""
    if not 0 <= number < math.inf:
        raise typer.BadParameter(f"{number:g} must be a number of at least 0")
    return number


def language(code: str) -> str:
    """The code of a language that the tasks know."""
    if code != "en":
        from textsearch.tasks.languages import language as known

        try:
            known(code)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return code


Steps = Annotated[int, typer.Option(min=0, max=MAX_STEPS, help="Steps of every chain.")]
Chains = Annotated[int, typer.Option(min=1, max=MAX_CHAINS, help="Chains for each input, run together.")]
Seed = Annotated[int, typer.Option(callback=seed, help="The same seed prints the same texts.")]
Temperature = Annotated[
    float, typer.Option(callback=temperature, help="Draws come from exp(-energy / temperature); below 1 is greedier.")
]
Causal = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", callback=model_name, help="Hub id or folder; by default SmolLM2-135M-Instruct, fetched once."
    ),
]
Masked = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", callback=model_name, help="Hub id or folder; by default the one that comes with textsearch."
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", callback=model_name, help="Hub id or folder; by default all-MiniLM-L6-v2, fetched once."
    ),
]
Lang = Annotated[
    str,
    typer.Option(
        metavar="CODE",
        callback=language,
        help="Of the texts: en, or zh (Chinese) with --causal and --masked of your own.",
    ),
]
File = Annotated[
    Path | None, typer.Option(help="Read more inputs from a file, one a line; - reads them from standard input.")
]
Top = Annotated[int, typer.Option(min=1, help="Texts to print for each input.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one record a text, best first.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print a line of JSON for each input, as soon as it is done.")]
Output = Annotated[
    Path | None,
    typer.Option(
        help="Append those lines to a file; inputs that it holds already are not run again. "
        "FILE.settings.json beside it says how they were made."
    ),
]
AtOnce = Annotated[
    int, typer.Option(min=1, max=MAX_BATCH_INPUTS, help="Inputs in one batch; the next ones come after it.")
]
Report = Annotated[
    bool, typer.Option(help="Say on standard error what each kind of move did and what models were asked.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        max=MAX_WORKERS,
        help="Processes that answer batches of inputs at the same time; the answers stay the same. "
        "Each loads the models once.",
    ),
]
