"""What is typed wrongly, said so that the value and the remedy are in the line, whatever the parser says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from textsearch.kinds import shown

_MUST: Final[Mapping[str, str]] = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is beyond all numbers that are needed",
    "float_parsing": "must be a number",
    "bool_parsing": "must be yes or no",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
}
"""Kind of an error of pydantic, which reads what is typed -> what it asks for."""


@contextmanager
def told(context: Any) -> Iterator[None]:
    """Say of an error in what is typed which value it is about, or which command has the option that this one lacks.

    Args:
        context: of the command that reads it.

    Raises:
        typer.BadParameter, click's UsageError: as the parser raises it, with the better message.
    """
    try:
        yield
    except Exception as raised:
        error: Any = raised
        found = getattr(error.__cause__, "errors", None)
        if hasattr(error, "message") and callable(found):
            error.message = _of_value(error, found()[0])
        elif hasattr(error, "option_name") and type(error).__name__ == "NoSuchOption":
            _of_option(error, context)
        elif type(error).__name__ == "MissingParameter":
            error.message = f"{context.command_path} --help says what it is"
        elif str(getattr(error, "message", "")).startswith("Got unexpected extra argument"):
            error.message += f"; {context.command_path} --help lists what may stand here"
        raise


def _of_value(error: Any, first: Mapping[str, Any]) -> str:
    """What is wrong with a value; `first` is the error of pydantic."""
    name = next((one for one in getattr(error.param, "opts", ()) if one.startswith("--")), "")
    value = str(first["input"])
    # a number stands as it was typed; of anything else one should see where it ends
    value = value if re.fullmatch(r"[-+.\w]+", value) and any(map(str.isdigit, value)) else shown(value)
    must = _MUST.get(first["type"], f"cannot be meant: {first['msg']}").format(**first.get("ctx", {}))
    return f"{name} {value} {must}".strip()


def _of_option(error: Any, context: Any) -> None:
    """Which commands have the option, if any has it."""
    others = getattr(getattr(context.parent, "command", None), "commands", {})
    having = sorted(
        name for name, command in others.items() if any(error.option_name in one.opts for one in command.params)
    )
    if having:
        # a command that has just this name tells more than names like it
        error.possibilities = None
        error.message += f"; it belongs to {', '.join(having)}"
    if not error.possibilities:
        error.message += f"; {context.command_path} --help lists what may stand here"
