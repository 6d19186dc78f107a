"""`textsearch write`."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

from textsearch.checks import MAX_CHARACTERS, MAX_WORDS
from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, as_utf8, inputs_of
from textsearch.kinds import shown
from textsearch.tasks.settings import Writing


@command(Writing, models=("causal", "masked", "encoder", "classifier"), left_out=("coherence_weight",))
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
    *,
    classifier: str | None,
) -> list[Input]:
    """Write sentences under constraints, in any mix.

    [bold]textsearch write --template "The * ran to the * ." --topic animals --forbidden dog[/]

    Chains start from drafts and filled frames that keep every constraint, and go on by Metropolis-Hastings under the
    energy -log p(text), plus terms for the label, the topic and the context.
    """
    said: dict[str, Any] = {
        "prefix": prefix,
        "suffix": suffix,
        "template": template,
        "required": phrases(as_utf8(required)),
        "forbidden": phrases(as_utf8(forbidden)),
        "words": bounds(words, "--words", MAX_WORDS),
        "characters": bounds(characters, "--characters", MAX_CHARACTERS),
        "regex": regex,
        "rhyme": rhyme,
        "acrostic": acrostic,
        "label": label,
        "topic": topic,
        "context": context,
    }
    own = {name: as_utf8(value) if isinstance(value, str) else value for name, value in said.items() if value}
    given = inputs_of(requests, file) or ([Input(own, "")] if own else [])
    if not given:
        raise typer.BadParameter('say what is wanted, for example: textsearch write --prefix "The book"')
    if label and classifier is None:
        raise typer.BadParameter("a label is judged by a sequence classifier: name one with --classifier")
    return [one.then(lambda said: request(said, own)) for one in given]


def request(said: str | dict[str, Any], own: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A request as it was asked for, with what the options say besides, and in one line.

    Raises:
        ValueError: it is no JSON, or nothing that can be asked for.
        TypeError: the same.
    """
    from textsearch.tasks.request import Request

    if isinstance(said, str):
        try:
            said = json.loads(said, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f'{shown(said)} is no JSON ({error}): write {{"prefix": "The book"}}, or use --prefix and its like'
            ) from error
    if not isinstance(said, dict):
        raise TypeError(f'{shown(said)} is no request: write {{"prefix": "The book"}}')
    wanted = own | said
    if broken := re.search("[\ud800-\udfff]", json.dumps(wanted, ensure_ascii=False)):
        raise ValueError(f"the request holds half of a character, {broken[0]!r}")
    return wanted, str(Request.of(wanted))


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def phrases(text: str) -> list[str]:
    """Words and phrases apart by commas.

    >>> phrases("hot dog, park")
    ['hot dog', 'park']
    """
    return [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]


def bounds(text: str, option: str, most: int) -> list[int | None] | None:
    """The fewest and the most, None for no bound.

    >>> [bounds(text, "--words", 400) for text in ("6-12", "8", "6-", "")]
    [[6, 12], [8, 8], [6, None], None]
    """
    if not text:
        return None
    found = re.fullmatch(r"([0-9]+)(-?)([0-9]*)", text, re.ASCII)
    if not found or (found[3] and not found[2]):
        raise typer.BadParameter(f"{shown(text)} is no range: write 6-12, 8 or 6-", param_hint=option)
    if max(len(found[1].lstrip("0")), len(found[3].lstrip("0"))) > len(str(most)):
        raise typer.BadParameter(f"{shown(text)} is too much: {most:,} is the most", param_hint=option)
    low = int(found[1].lstrip("0") or 0)
    high = int(found[3].lstrip("0") or 0) if found[3] else None if found[2] else low
    if high is not None and low > high:
        raise typer.BadParameter(f"{shown(text)} ends before it begins: write {high}-{low}", param_hint=option)
    if max(low, high or 0) > most:
        raise typer.BadParameter(f"{shown(text)} is too much: {most:,} is the most", param_hint=option)
    return [low, high]
