"""`textsearch keywords` and `textsearch infill`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from textsearch.result import Generations

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    help="Sample and search text under an energy: fluency x relevance x hard constraints, on pretrained models.",
)

Steps = Annotated[int, typer.Option(min=0, help="Steps of every chain.")]
Chains = Annotated[int, typer.Option(min=1, help="Chains for each input, run together.")]
Seed = Annotated[int, typer.Option(help="The same seed prints the same sentences.")]
Temperature = Annotated[float, typer.Option(help="Draws come from exp(-energy / temperature); below 1 is greedier.")]
Causal = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Hub id or folder; by default SmolLM2-135M-Instruct, fetched once.")
]
Masked = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Hub id or folder; by default the one that comes with textsearch.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one record a sentence, best first.")]
Report = Annotated[
    bool, typer.Option(help="Say on standard error what each kind of move did and what models were asked.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")]


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
    file: Annotated[Path | None, typer.Option(help="Read more sets from a file, one a line.", exists=True)] = None,
    chains: Chains = 8,
    steps: Steps = 200,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    exact_forms: Annotated[bool, typer.Option(help="Allow no inflection: dog is not found in dogs.")] = False,
    in_order: Annotated[bool, typer.Option(help="The words must come in the order given.")] = False,
    top: Annotated[int, typer.Option(min=1, help="Sentences to print for each set.")] = 5,
    causal: Causal = None,
    masked: Masked = None,
    as_json: Json = False,
    report: Report = False,
    quiet: Quiet = False,
) -> None:
    """Write sentences that hold all the given words.

    [bold]textsearch keywords "dog frisbee park" --chains 8 --steps 300 --seed 0[/]

    Chains start from drafts of the causal model and go on by Metropolis-Hastings: words are replaced, inserted,
    deleted, swapped and rewritten in blocks, under the energy -log p(sentence | request), every keyword kept.
    Printed is the best sentence of each chain, the lowest energy first.
    """
    lines = [*(sets or []), *(file.read_text(encoding="utf-8").splitlines() if file else [])]
    wanted = [_split(line) for line in lines if line.strip()]
    if not wanted:
        raise typer.BadParameter('name the words, for example: textsearch keywords "dog frisbee park"')

    def work() -> Generations:
        from textsearch.cli.keywords import run

        return run(
            wanted,
            chains=chains,
            steps=steps,
            seed=seed,
            temperature=temperature,
            inflections=not exact_forms,
            in_order=in_order,
            causal=causal,
            masked=masked,
            progress=not quiet,
        )

    _print(_guarded(work), as_json, top, report)


@app.command()
def infill(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT...", help="Texts with [MASK] where a word is to be written.", show_default=False),
    ],
    chains: Chains = 8,
    steps: Steps = 100,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    top: Annotated[int, typer.Option(min=1, help="Texts to print for each input.")] = 5,
    causal: Causal = None,
    masked: Masked = None,
    as_json: Json = False,
    report: Report = False,
    quiet: Quiet = False,
) -> None:
    """Write words into the gaps of a text; nothing else of it changes.

    [bold]textsearch infill "The [MASK] [MASK] ran home."[/]

    Each gap gets one word, of one or several pieces. The masked model proposes, the causal model judges the whole text.
    """

    def work() -> Generations:
        from textsearch.cli.infill import run

        return run(
            texts,
            chains=chains,
            steps=steps,
            seed=seed,
            temperature=temperature,
            causal=causal,
            masked=masked,
            progress=not quiet,
        )

    _print(_guarded(work), as_json, top, report)


def _split(line: str) -> list[str]:
    """The keywords of one set: phrases apart by commas if there is a comma, else words.

    >>> _split("dog frisbee"), _split("hot dog, park")
    (['dog', 'frisbee'], ['hot dog', 'park'])
    """
    parts = line.replace("，", ",").split(",") if "," in line or "，" in line else line.split()
    return [part.strip() for part in parts if part.strip()]


def _guarded(work: Callable[[], Generations]) -> Generations:
    """What `work` gives; what was wrong with the request becomes one line instead of a traceback."""
    try:
        return work()
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        from rich.console import Console

        Console(stderr=True).print(f"[red]error:[/] {_plain(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _print(result: Generations, as_json: bool, top: int, report: bool) -> None:
    from rich.console import Console

    if report:
        notes = Console(stderr=True)
        notes.print(result.moves())
        notes.print(result.accounting())
    records = result.to_records()
    shown: list[dict[str, object]] = []
    for number, source in enumerate(result.sources):
        shown += [record | {"source": source} for record in records if record["input"] == number][:top]
    if as_json:
        print(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    console = Console()
    for number, source in enumerate(result.sources):
        console.print(f"[bold]{_plain(source)}[/]")
        for record in shown:
            if record["input"] == number:
                console.print(f"  [dim]{record['energy']:6.2f}[/]  {_plain(str(record['text']))}", soft_wrap=True)
    taken = ", ".join(f"{kind} {count.rate:.2f}" for kind, count in result.acceptance.items() if count.proposed)
    Console(stderr=True).print(
        f"[dim]{len(result)} chains, {result.steps} steps in {result.seconds:.0f} s; accepted: {taken or 'nothing yet'}"
        f"{'; interrupted' if result.interrupted else ''}[/]",
        soft_wrap=True,
    )


def main() -> None:
    """Run the command line."""
    app()
