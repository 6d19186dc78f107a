"""`textsearch sample`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, inputs_of
from textsearch.cli.paths import path
from textsearch.kinds import shown
from textsearch.tasks.settings import MAX_LENGTH, METHODS, Sampling

if TYPE_CHECKING:
    from textsearch.result import Generations
    from textsearch.result.tables import Sheet
    from textsearch.tasks.trust import Account

_NAMES = {"grammar": "--grammar", "json_schema": "--json-schema", "regex": "--regex", "choices": "--choices"}


def read_text(name: str, option: str) -> str:
    """What a file holds, without the mark that some editors put before it.

    Raises:
        typer.BadParameter: it cannot be read, or is no text.
    """
    try:
        return path(name).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{shown(name, 200)} is not UTF-8: {error.reason}", param_hint=option) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise typer.BadParameter(f"cannot read {shown(name, 200)}: {reason}", param_hint=option) from error


def grammar(given: str) -> str:
    """The grammar of a file, or the name of one that comes with textsearch."""
    from objectives.grammar import named_grammars

    names = named_grammars()
    if given in names and not Path(given).is_file():
        return given
    if not os.path.lexists(given):
        raise typer.BadParameter(
            f"there is no file {shown(given, 200)}, and no grammar of this name comes with textsearch: choose from "
            f"{', '.join(names)}",
            param_hint="--grammar",
        )
    return read_text(given, "--grammar")


def schema(given: str) -> Any:
    """The schema that a file holds."""
    text = read_text(given, "--json-schema")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{shown(given, 200)} is no JSON: {error}", param_hint="--json-schema") from error
    if not isinstance(found, dict | bool):
        raise typer.BadParameter(
            f"{shown(given, 200)} holds {json.dumps(found)[:40]}, which is no schema: write an object, such as "
            '{"type": "array"}',
            param_hint="--json-schema",
        )
    return found


def choices(given: str) -> list[str]:
    """The texts apart by commas, or those of a list in JSON."""
    if given.lstrip().startswith("["):
        try:
            found = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise typer.BadParameter(
                f'{shown(given)} begins as a list in JSON and is none ({error}): write a,b or \'["a", "b, c"]\'',
                param_hint="--choices",
            ) from error
        return list(found)
    return [one.strip() for one in given.split(",")]


@final
class Trust:
    """Whether to trust the draws of all runs."""

    def __init__(self) -> None:
        self._found: list[Account] = []

    def add(self, run: Generations) -> None:
        """Those of one run more."""
        from textsearch.tasks.trust import accounts

        self._found += accounts(run)

    def sheet(self) -> Sheet:
        """Of each prompt a line."""
        from textsearch.tasks.trust import sheet

        return sheet(self._found)


@command(
    Sampling,
    models=("causal",),
    top=None,
    left_out=("constraint",),
    written={
        "grammar": {
            "parser": grammar,
            "metavar": "FILE|NAME",
            "help": "A grammar in Lark's EBNF that parses every draw: a file, or the name of one that comes with "
            "textsearch, such as json, sql_select or iso_date.",
        },
        "json_schema": {
            "parser": schema,
            "metavar": "FILE",
            "help": "A file with a JSON schema that every draw is valid under.",
        },
        "regex": {"metavar": "EXPRESSION"},
        "choices": {
            "parser": choices,
            "metavar": "A,B,...",
            "help": "The texts that may be drawn, apart by commas; or as a list in JSON.",
        },
        "draws": {"min": 1, "max": options.MAX_CHAINS},
        "max_length": {"min": 1, "max": MAX_LENGTH},
        "tries": {"min": 1, "max": options.MAX_STEPS},
        "method": {"names": ["--sampler"], "metavar": "|".join(METHODS)},
    },
    also=Trust,
)
def sample(
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT...", help="What the texts answer or go on from.", show_default=False),
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", help="The same; may come several times.", show_default=False)
    ] = None,
    file: options.File = None,
    *,
    grammar: Any,
    json_schema: Any,
    regex: str | None,
    choices: Sequence[str] | None,
) -> list[Input]:
    """Draw texts that parse, from the law of the model over all texts that do.

        textsearch sample --prompt "Name a colour." --choices "red,green" --report

    Every draw is accepted by a parser of the whole text. The draws are exact and independent where rejection succeeds;
    elsewhere chains rewrite the ends of texts by Metropolis-Hastings, under a mask of what may come next. --report says
    which it was, and whether to trust the draws.
    """
    said = {"grammar": grammar, "json_schema": json_schema, "regex": regex, "choices": choices}
    given = [_NAMES[name] for name, value in said.items() if value is not None]
    if not given:
        raise typer.BadParameter(f"say what a text must be: one of {', '.join(_NAMES.values())}")
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)} both say what a text must be: leave one of them out")
    found = inputs_of([*(prompts or []), *(prompt or [])], file)
    if not found:
        raise typer.BadParameter(
            'name a prompt, for example: textsearch sample --prompt "Name a colour." --choices "red,green"'
        )
    # what nothing satisfies, or no parser can be made of, is told once, and not for each prompt
    from textsearch.tasks.sampling import constraint_of

    try:
        constraint_of(Sampling(**said))
    except (ValueError, TypeError, ImportError) as error:
        message = str(error).replace("pattern=", "--regex ")
        raise typer.BadParameter(message, param_hint=given[0]) from error
    return found
