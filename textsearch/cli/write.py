"""`textsearch write`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from textsearch.cli import options
from textsearch.cli.answer import Shown, answer, lines_of
from textsearch.cli.app import app


@app.command()
def write(
    requests: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REQUEST...",
            help="Requests as JSON, in place of the options below. "
            """[dim]'{"template": "The * ran to the *.", "rhyme": "day"}'[/]""",
            show_default=False,
        ),
    ] = None,
    prefix: Annotated[str, typer.Option(help="How the text begins.", show_default=False)] = "",
    suffix: Annotated[str, typer.Option(help="How it ends.", show_default=False)] = "",
    template: Annotated[
        str, typer.Option(help="Fixed parts, and * for one word or more, *{2,4} for two to four.", show_default=False)
    ] = "",
    required: Annotated[str, typer.Option(help="Words and phrases in it, apart by commas.", show_default=False)] = "",
    forbidden: Annotated[str, typer.Option(help="Words and phrases not in it.", show_default=False)] = "",
    words: Annotated[
        str, typer.Option(metavar="LOW-HIGH", help="How many words: 6-12, 8 or 6-.", show_default=False)
    ] = "",
    characters: Annotated[
        str, typer.Option(metavar="LOW-HIGH", help="How many characters, with spaces and marks.", show_default=False)
    ] = "",
    regex: Annotated[str, typer.Option(help="A regular expression found in it.", show_default=False)] = "",
    rhyme: Annotated[str, typer.Option(help="What its last word rhymes with.", show_default=False)] = "",
    acrostic: Annotated[
        str,
        typer.Option(help="What the first letters of its words spell; of its lines, in Chinese.", show_default=False),
    ] = "",
    label: Annotated[str, typer.Option(help="What --classifier should call it.", show_default=False)] = "",
    topic: Annotated[str, typer.Option(help="What it should be about.", show_default=False)] = "",
    context: Annotated[str, typer.Option(help="What was said before.", show_default=False)] = "",
    file: options.File = None,
    chains: options.Chains = 8,
    steps: options.Steps = 150,
    seed: options.Seed = 0,
    temperature: options.Temperature = 1.0,
    classifier: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Hub id or folder of a sequence classifier.")
    ] = None,
    label_weight: Annotated[float, typer.Option(help="Weight of the label.")] = 16.0,
    topic_weight: Annotated[float, typer.Option(help="Weight of the topic.")] = 1.0,
    lang: options.Lang = "en",
    top: options.Top = 5,
    causal: options.Causal = None,
    masked: options.Masked = None,
    encoder: options.Encoder = None,
    as_json: options.Json = False,
    jsonl: options.JsonLines = False,
    output: options.Output = None,
    at_once: options.AtOnce = 16,
    report: options.Report = False,
    quiet: options.Quiet = False,
) -> None:
    """Write sentences under constraints, in any mix.

    [bold]textsearch write --template "The * ran to the * ." --topic animals --forbidden dog[/]

    Chains start from drafts and filled frames that keep every constraint, and go on by Metropolis-Hastings under the
    energy -log p(text), plus terms for the label, the topic and the context.
    """
    wanted: list[dict[str, Any]] = []
    for line in lines_of(requests, file):
        try:
            wanted.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise typer.BadParameter(
                f'{line!r} is no JSON ({error}): write {{"prefix": "The book"}}, or use --prefix and its like'
            ) from error
    said: dict[str, Any] = {
        "prefix": prefix,
        "suffix": suffix,
        "template": template,
        "required": phrases(required),
        "forbidden": phrases(forbidden),
        "words": bounds(words, "--words"),
        "characters": bounds(characters, "--characters"),
        "regex": regex,
        "rhyme": rhyme,
        "acrostic": acrostic,
        "label": label,
        "topic": topic,
        "context": context,
    }
    if own := {name: value for name, value in said.items() if value}:
        wanted = [own | one for one in wanted] or [own]
    if not wanted:
        raise typer.BadParameter('say what is wanted, for example: textsearch write --prefix "The book"')
    from textsearch.tasks import write as task

    answer(
        task,
        wanted,
        Shown(top, as_json, jsonl, output, at_once, report, quiet),
        chains=chains,
        steps=steps,
        seed=seed,
        temperature=temperature,
        classifier=classifier,
        label_weight=label_weight,
        topic_weight=topic_weight,
        lang=lang,
        causal=causal,
        masked=masked,
        encoder=encoder,
    )


def phrases(text: str) -> list[str]:
    """Words and phrases apart by commas.

    >>> phrases("hot dog, park")
    ['hot dog', 'park']
    """
    return [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]


def bounds(text: str, option: str) -> list[int | None] | None:
    """The fewest and the most, None for no bound.

    >>> bounds("6-12", "--words"), bounds("8", "--words"), bounds("6-", "--words"), bounds("", "--words")
    ([6, 12], [8, 8], [6, None], None)
    """
    if not text:
        return None
    low, dash, high = text.partition("-")
    try:
        return [int(low), (int(high) if high else None) if dash else int(low)]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no range: write 6-12, 8 or 6-", param_hint=option) from error
