"""`textsearch mine`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from textsearch.cli.application import app
from textsearch.cli.helping import HelpedCommand
from textsearch.cli.options import MAX_WORKERS
from textsearch.cli.paths import path, readable


@app.command("mine", cls=HelpedCommand)
def mine(
    corpus: Annotated[
        Path | None,
        typer.Argument(
            parser=path, callback=readable, metavar="CORPUS", help="Text, one sentence a line; .gz is unpacked."
        ),
    ] = None,
    *,
    lang: Annotated[
        str, typer.Option(metavar="CODE", help="en for terms of words, zh for words of characters.")
    ] = "en",
    most: Annotated[int, typer.Option(min=1, help="Terms to print.")] = 1000,
    longest: Annotated[int, typer.Option(min=2, max=8, help="Words, or characters, of a term.")] = 4,
    least: Annotated[int, typer.Option(min=2, help="Times that a term must stand in the corpus.")] = 10,
    cohesion: Annotated[float, typer.Option(help="Nats that hold a term together, at least.")] = 2.0,
    freedom: Annotated[float, typer.Option(help="Nats of choice on either side of a term, at least.")] = 1.0,
    known: Annotated[
        Path | None,
        typer.Option(
            parser=path,
            callback=readable,
            metavar="FILE",
            help="Leave out the words of a file: the first on each line, as in a dictionary.",
        ),
    ] = None,
    grammar: Annotated[
        bool, typer.Option("--grammar", help='Keep English terms that begin or end with a small word: "such as".')
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=MAX_WORKERS, help="Threads that sort.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each term.")] = False,
) -> None:
    """Find the words and terms of a corpus that hold together inside and are free outside.

        textsearch mine corpus.txt --lang zh --workers 2

    Printed are the terms, the best first, each with how often it stands there, its cohesion (the least pointwise mutual
    information over its cuts) and its freedom (the lesser entropy of its neighbours), in nats.
    """
    if corpus is None:
        raise typer.BadParameter("name a file of texts, for example: textsearch mine corpus.txt")
    from textsearch.models.ngram.training import lines_of
    from textsearch.tasks.mining import mine

    try:
        left_out = {line.split()[0].casefold() for line in lines_of(known)} if known else set()
        terms = mine(
            lines_of(corpus),
            lang=lang,
            longest=longest,
            least=least,
            cohesion=cohesion,
            freedom=freedom,
            grammar=grammar,
            workers=workers,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for term in [term for term in terms if term.text not in left_out][:most]:
        told = {
            "term": term.text,
            "count": term.count,
            "cohesion": round(term.cohesion, 3),
            "freedom": round(term.freedom, 3),
        }
        print(json.dumps(told, ensure_ascii=False) if as_json else "\t".join(map(str, told.values())))
