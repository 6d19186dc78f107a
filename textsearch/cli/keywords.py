"""`textsearch keywords`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, inputs_of
from textsearch.language.keyword_lists import keywords_of
from textsearch.tasks.lists import check_sentences
from textsearch.tasks.settings import KEYWORD_PRESETS, KeywordSentences


def quotes_left_out(inputs: Sequence[Input]) -> str:
    """What to say to `textsearch keywords dog park`, which is two sets.

    >>> quotes_left_out([Input(["dog"], "dog"), Input(["park"], "park")])
    '2 sets of one word each; for sentences that hold all the words, quote them as one set: "dog park"'
    >>> quotes_left_out([Input(["dog"], "dog")]), quotes_left_out([Input(["dog", "park"], ""), Input(["cat"], "cat")])
    ('', '')
    """
    typed = [one.source for one in inputs if one.line is None and one.error is None and len(one.value) == 1]
    if len(typed) < 2 or len(typed) < len(inputs):
        return ""
    return (
        f"{len(typed)} sets of one word each; for sentences that hold all the words, quote them as one set: "
        f'"{" ".join(typed)}"'
    )


def sentences(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """The lines of the file that `--sentences` names; they are told as they are, since a server reads no files."""
    if isinstance(given, tuple):  # the default
        return given
    try:
        return check_sentences(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@command(
    KeywordSentences,
    models=("causal", "masked"),
    presets=KEYWORD_PRESETS,
    advice=quotes_left_out,
    written={
        "sentences": {
            "metavar": "FILE",
            "parser": sentences,
            "callback": None,
            "show_default": False,
            "help": "A file of sentences, one a line: those that hold some of the words are changed to hold all, and "
            "start the chains. How much of them is left word for word is told.",
        },
        "inflections": {"names": ["--inflections/--exact-forms"]},
        "fast": {"help": "Sooner, at higher energies"},
        "better": {"help": "Later, at lower energies"},
    },
)
def keywords(
    sets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORDS...",
            help="Each argument is one set: words apart by spaces, or phrases apart by commas. "
            '"dog frisbee park" or "hot dog, park". A word with a ? is a wish, left out at a price: '
            '"dog park frisbee?", or with the price in nats, "frisbee?30".',
            show_default=False,
        ),
    ] = None,
    file: options.File = None,
    *,
    lang: str,
) -> list[Input]:
    """Write sentences that hold all the given words.

        textsearch keywords "dog frisbee park" --chains 8 --steps 100 --seed 0

    Chains start from drafts of the causal model, with the words that it forgot woven in, and are annealed: words are
    replaced, inserted, deleted, swapped and rewritten in blocks, under the energy -log p(sentence | request)
    - log p(sentence), every keyword kept. Printed is the best sentence of each chain, the lowest energy first.
    """
    given = inputs_of(sets, file)
    if not given:
        raise typer.BadParameter('name the words, for example: textsearch keywords "dog frisbee park"')

    def read(line: str) -> tuple[list[str], str]:
        words = keywords_of(line, lang)
        return words, ", ".join(words)

    return [one.then(read) for one in given]
