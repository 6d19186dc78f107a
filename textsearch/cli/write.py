"""`textsearch write`."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from textsearch.cli import options
from textsearch.cli.building import command
from textsearch.cli.inputs import Input, as_utf8, inputs_of
from textsearch.kinds import shown
from textsearch.tasks.constraints import table
from textsearch.tasks.constraints.base import Constraint
from textsearch.tasks.settings import Writing

Function = TypeVar("Function", bound=Callable[..., Any])


def asking(function: Function) -> Function:
    """A command that takes `**asked`, with an option for each constraint of the table in their place."""
    signature = inspect.signature(function, eval_str=True)
    first, *rest = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    asked = [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default="",
            annotation=Annotated[str, typer.Option(metavar=one.metavar, help=one.help, show_default=False)],
        )
        for one in table.CONSTRAINTS
    ]
    rest = [one.replace(kind=one.KEYWORD_ONLY) for one in rest]
    function.__signature__ = signature.replace(parameters=[first, *asked, *rest])  # type: ignore[attr-defined]
    return function


@command(Writing, models=("causal", "masked", "encoder", "classifier"), left_out=("coherence_weight",))
@asking
def write(
    requests: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REQUEST...",
            help="Requests as JSON, in place of the options below: "
            """'{"template": "The * ran to the *.", "rhyme": "day"}'""",
            show_default=False,
        ),
    ] = None,
    file: options.File = None,
    *,
    classifier: str | None,
    **asked: str,
) -> list[Input]:
    """Write sentences under constraints, in any mix.

        textsearch write --template "The * ran to the *." --topic animals

    Chains start from drafts and filled frames that keep every constraint, and go on by Metropolis-Hastings under the
    energy -log p(text), plus terms for the label, the topic and the context.
    """
    own = {one.name: value for one in table.CONSTRAINTS if (value := typed(one, asked[one.name]))}
    given = inputs_of(requests, file) or ([Input(own, "")] if own else [])
    if not given:
        raise typer.BadParameter('say what is wanted, for example: textsearch write --prefix "The book"')
    models = {"classifier": classifier}
    for one in table.CONSTRAINTS:
        if one.name in own and one.needs and models[one.needs] is None:
            raise typer.BadParameter(f"a {one.name} is judged by a sequence {one.needs}: name one with --{one.needs}")
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


def typed(constraint: Constraint, text: str) -> Any:
    """What is typed for a constraint, as JSON would have it."""
    try:
        return constraint.typed(as_utf8(text))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"--{constraint.name.replace('_', '-')}") from error
