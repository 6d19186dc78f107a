"""Options that the commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Steps = Annotated[int, typer.Option(min=0, help="Steps of every chain.")]
Chains = Annotated[int, typer.Option(min=1, help="Chains for each input, run together.")]
Seed = Annotated[int, typer.Option(help="The same seed prints the same texts.")]
Temperature = Annotated[float, typer.Option(help="Draws come from exp(-energy / temperature); below 1 is greedier.")]
Causal = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Hub id or folder; by default SmolLM2-135M-Instruct, fetched once.")
]
Masked = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Hub id or folder; by default the one that comes with textsearch.")
]
Encoder = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Hub id or folder; by default all-MiniLM-L6-v2, fetched once.")
]
Lang = Annotated[
    str, typer.Option(metavar="CODE", help="Of the texts: en, or zh (Chinese) with --causal and --masked of your own.")
]
File = Annotated[
    Path | None, typer.Option(help="Read more inputs from a file, one a line; - reads them from standard input.")
]
Top = Annotated[int, typer.Option(min=1, help="Texts to print for each input.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one record a text, best first.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print a line of JSON for each input, as soon as it is done.")]
Output = Annotated[
    Path | None,
    typer.Option(help="Append those lines to a file; inputs that it holds already are not run again."),
]
AtOnce = Annotated[int, typer.Option(min=1, help="Inputs in one batch, with --jsonl or --output.")]
Report = Annotated[
    bool, typer.Option(help="Say on standard error what each kind of move did and what models were asked.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")]
