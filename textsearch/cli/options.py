"""Options that the commands share; those of the settings are made of the settings, in `textsearch.cli.building`."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from textsearch.addresses import checked_token
from textsearch.cli.models import model_name
from textsearch.cli.paths import kept_in, path
from textsearch.cli.server.client import address

MAX_STEPS, MAX_CHAINS, MAX_BATCH_INPUTS, MAX_WORKERS = 10**7, 10**5, 10**5, 10**3
"""Beyond these no memory is large enough."""


def temperature(number: float) -> float:
    """A temperature."""
    if not 0 < number < math.inf:
        raise typer.BadParameter(
            f"--temperature {number:g} must be a number above 0; for a pure search take a small one"
        )
    return number


def token(given: str | None) -> str | None:
    """What requests must bring, if it can be that."""
    try:
        return given if given is None else checked_token(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


_APART = re.compile("[,，、]")
# a space, or a character of a script that is written without: kana, Chinese, hangul
_PHRASE = re.compile(r"\S\s+\S|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_FILE = re.compile(r"^[./~\\]|^\S*[/\\]\S*$|\.[A-Za-z]\w*$")


def kept(given: str | bool) -> Any:
    """What `--keep` means: True, False, a list of words, or the name of a file that is there.

    What holds a space or a Chinese character, and looks like no file, is one phrase.

    >>> kept("New York"), kept("iPhone 手机"), kept("Kowalczyk,"), kept("北京、New York"), kept("no")
    (['New York'], ['iPhone 手机'], ['Kowalczyk'], ['北京', 'New York'], False)
    >>> kept("Windows 3.11"), kept("A/B 测试"), kept("カタカナ"), kept("北" * 90) == ["北" * 90], kept("yes ")
    (['Windows 3.11'], ['A/B 测试'], ['カタカナ'], True, True)
    """
    if isinstance(given, bool):  # the default
        return given
    given = given.strip()
    if given.lower() in {"yes", "no"}:
        return given.lower() == "yes"
    if _APART.search(given):
        return [word.strip() for word in _APART.split(given) if word.strip()]
    if _PHRASE.search(given) and not _FILE.search(given) and not _is_file(given):
        return [given]
    from textsearch.language.literals import Kept

    try:
        Kept.of(given)
    except ValueError as error:
        why = "is no text in UTF-8" if _is_file(given) else "is no file"
        listed = f"{given or 'Kowalczyk'},"
        raise typer.BadParameter(
            f"{given!r} {why}: write yes, no, a file of words, one a line, or words with commas, {listed!r}"
        ) from error
    return given


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


WRITTEN: dict[str, dict[str, Any]] = {
    "chains": {"min": 1, "max": MAX_CHAINS},
    "steps": {"min": 0, "max": MAX_STEPS},
    "temperature": {"callback": temperature},
    "lang": {"metavar": "CODE"},
    "script": {"metavar": "SCRIPT"},
    "keep": {
        "metavar": "YES|NO|FILE|WORDS",
        "parser": kept,
        "callback": None,
        "show_default": "yes",
        "help": "Leave addresses, handles, code, file names, numbers with units and marks of markdown as they are: "
        "yes, no, or yes and some words besides: a file with one a line, one phrase, or words with commas between.",
    },
}
"""What options of settings that several tasks have need besides a type, a default and a line of help."""

Causal = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        rich_help_panel="Models",
        callback=model_name,
        help="Hub id or folder; by default SmolLM2-135M-Instruct, fetched once.",
    ),
]
Masked = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        rich_help_panel="Models",
        callback=model_name,
        help="Hub id or folder; by default the one that comes with textsearch.",
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        rich_help_panel="Models",
        callback=model_name,
        help="Hub id or folder; by default all-MiniLM-L6-v2, fetched once.",
    ),
]
Classifier = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        rich_help_panel="Models",
        callback=model_name,
        help="Hub id or folder of a sequence classifier.",
    ),
]
MODELS = {"causal": Causal, "masked": Masked, "encoder": Encoder, "classifier": Classifier}
"""Model of a task -> its option."""

File = Annotated[
    Path | None,
    typer.Option(
        parser=path, metavar="FILE", help="Read more inputs from a file, one a line; - reads them from standard input."
    ),
]
Top = Annotated[int, typer.Option(min=1, rich_help_panel="Answers", help="Texts to print for each input.")]
Json = Annotated[
    bool, typer.Option("--json", rich_help_panel="Answers", help="Print JSON: one record a text, best first.")
]
JsonLines = Annotated[
    bool,
    typer.Option(
        "--jsonl", rich_help_panel="Answers", help="Print a line of JSON for each input, as soon as it is done."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="FILE",
        rich_help_panel="Answers",
        help="Append those lines to a file; inputs that it holds already are not run again. "
        "FILE.settings.json beside it says how they were made.",
    ),
]
AtOnce = Annotated[
    int,
    typer.Option(
        min=1, max=MAX_BATCH_INPUTS, rich_help_panel="Running", help="Inputs in one batch; the next ones come after it."
    ),
]
Report = Annotated[
    bool,
    typer.Option(
        rich_help_panel="Answers", help="Say on standard error what each kind of move did and what models were asked."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", rich_help_panel="Answers", help="No progress on standard error.")]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        max=MAX_WORKERS,
        rich_help_panel="Running",
        help="Processes that answer batches of inputs at the same time; the answers stay the same. "
        "Each loads the models once.",
    ),
]

Checkpoint = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        callback=kept_in,
        metavar="FOLDER",
        rich_help_panel="Running",
        help="Keep what is running in a folder, once a minute: the same command goes on in the middle of a long run.",
    ),
]

Server = Annotated[
    str | None,
    typer.Option(
        metavar="[ADDRESS]",
        rich_help_panel="Running",
        callback=lambda given: given and address(given),
        help="Ask a server, in place of loading models: the one on this machine (textsearch serve), or that at an "
        "address, http://... The answers are the same.",
        show_default=False,
    ),
]

SHARED: dict[str, tuple[Any, Any]] = {
    "as_json": (Json, False),
    "jsonl": (JsonLines, False),
    "output": (Output, None),
    "batch_inputs": (AtOnce, 16),
    "report": (Report, False),
    "quiet": (Quiet, False),
    "workers": (Workers, 1),
    "checkpoint": (Checkpoint, None),
    "server": (Server, None),
}
"""What every command has, whatever its task: name of a field of `textsearch.cli.answer.Shown` -> option and default."""
