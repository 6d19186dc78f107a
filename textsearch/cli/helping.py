"""What --help prints: paragraphs and two columns as wide as the terminal, made without rich, which loads slowly."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from textsearch.cli.slips import told

WIDEST = 110
"""Columns; longer lines are hard to read."""

_NAMES = 26  # columns of the names at most; what stands behind a longer one begins on a line of its own

Row = tuple[str, str]
"""What is typed, and what it does."""


class HelpedCommand(TyperCommand):
    """A command that says what it takes, by groups: its inputs, its settings, its models, its answers."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What is typed; an error in it names the value and what to write."""
        with told(ctx):
            return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help, from the docstring of its function and the words of its options."""
        parameters: list[Any] = [one for one in self.get_params(ctx) if not getattr(one, "hidden", False)]
        taken = [one for one in parameters if one.param_type_name == "argument"]
        groups: dict[str, list[Row]] = {}
        panels = {one.name: getattr(one, "rich_help_panel", None) for one in parameters}
        rest = "Inputs" if any(panels.values()) else "Options"
        for one in (*taken, *(one for one in parameters if one not in taken and one.name != "help")):
            groups.setdefault(panels[one.name] or rest, []).append(_row(one))
        last = list(groups)[-1] if groups else rest
        groups.setdefault(last, []).append(("--help", "Show this, and end."))
        names = [_name(one) if one.required else f"[{_name(one)}]" for one in taken]
        usage = " ".join([ctx.command_path, "[OPTIONS]", *names])
        formatter.write(page(usage, self.help or "", groups))


def page(usage: str, said: str, groups: dict[str, list[Row]], width: int | None = None) -> str:
    r"""A page of help.

    Args:
        usage: a call.
        said: paragraphs; lines that are set in stay as they are.
        groups: heading -> rows below it.
        width: columns; by default those of the terminal, 110 at most.

    >>> import re
    >>> help = page("dig [OPTIONS]", "Dig.\n\n    dig --deep 3\n\nEnds.", {"Options": [("--deep N", "How deep.")]}, 60)
    >>> print(re.sub(r"\x1b\[\d+m", "", help).rstrip())
    Usage: dig [OPTIONS]
    <BLANKLINE>
    Dig.
    <BLANKLINE>
        dig --deep 3
    <BLANKLINE>
    Ends.
    <BLANKLINE>
    Options
      --deep N  How deep.
    """
    width = min(width or shutil.get_terminal_size().columns, WIDEST)
    lengths = [len(name) + 4 for rows in groups.values() for name, _ in rows]
    names = max((one for one in lengths if one <= _NAMES), default=_NAMES)
    paragraphs = inspect.cleandoc(said).split("\n\n")
    parts = [f"{_bold('Usage:')} {usage}"]
    parts += [one if one.startswith(" ") else "\n".join(_filled(one, width)) for one in paragraphs]
    parts += ["\n".join([_bold(heading), *_columns(rows, names, width)]) for heading, rows in groups.items()]
    return "\n\n".join(parts) + "\n"


def first_sentence(said: str) -> str:
    """What a command is for, in the list of all."""
    return " ".join(inspect.cleandoc(said).split("\n\n")[0].split())


def _columns(rows: Iterable[Row], names: int, width: int) -> list[str]:
    lines = []
    for name, said in rows:
        behind = _filled(said, max(width - names, 20)) or [""]
        lines.append(f"  {name}" if len(name) + 4 > names else f"  {name:<{names - 2}}{behind.pop(0)}")
        lines += [" " * names + line for line in behind]
    return [line.rstrip() for line in lines]


def _filled(text: str, width: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)


def _bold(text: str) -> str:
    # taken out again where standard output is no terminal
    return typer.style(text, bold=True)


def _row(one: Any) -> Row:
    """An argument or an option."""
    said = (one.help or "").strip()
    if one.param_type_name == "argument":
        return _name(one), said
    return _typed(one), " ".join(filter(None, [said, _default(one)]))


def _name(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()).removesuffix("...")
    return f"{name}..." if argument.nargs == -1 else str(name)


def _typed(option: Any) -> str:
    long = [one for one in option.opts if one.startswith("--")]
    if option.is_flag:
        # what turns off what is off says nothing
        others = [one for one in option.secondary_opts if option.default or not one.startswith("--no-")]
        return ", ".join([*long, *others])
    return f"{', '.join(long)} {option.metavar or _kind(option.default)}"


def _kind(default: object) -> str:
    kinds = {int: "N", float: "NUMBER", str: "TEXT"}
    return kinds.get(type(default), "PATH" if hasattr(default, "joinpath") else "TEXT")


def _default(option: Any) -> str:
    shown, default = option.show_default, option.default
    if isinstance(shown, str):
        return f"(default: {shown})"
    if not shown or default is None or default is False or callable(default):
        return ""
    if default is True:
        return f"(default: {option.opts[0]})" if option.secondary_opts else ""
    if isinstance(default, Sequence) and not isinstance(default, str):
        default = ", ".join(map(str, default))
    return f"(default: {default:g})" if isinstance(default, float) else f"(default: {default})" if str(default) else ""
