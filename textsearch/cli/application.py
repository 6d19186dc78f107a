"""The application that the commands belong to."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from textsearch.cli.helping import HelpedCommand, first_sentence, page
from textsearch.cli.leaving import leave


class Commands(TyperGroup):
    """The commands; a wrong call is one line that says what to write."""

    def main(self, args: Sequence[str] | None = None, *_: Any, standalone_mode: bool = True, **more: Any) -> Any:
        """Run one command and exit."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **more)
        return leave(lambda: self._one(sys.argv[1:] if args is None else list(args)))

    def _one(self, args: list[str]) -> None:
        with self.make_context("textsearch", args) as context:
            self.invoke(context)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Options of the whole: --help and --version."""
        if args == ["--version"]:
            typer.echo(f"textsearch {_version()}")
            ctx.exit()
        if not args:
            ctx.fail(f"name a command: {_listed(self.commands)}; textsearch --help says more")
        if args[0].startswith("-") and args[0] != "--help":
            ctx.fail(f"options come after the command, one of {_listed(self.commands)}: {args[0]} came before it")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The commands, each in a line."""
        listed = [(name, first_sentence(self.commands[name].help or "")) for name in sorted(self.commands)]
        own = [("--version", "Print the version, and end."), ("--help", "Show this, and end.")]
        usage = "textsearch COMMAND ..., or textsearch COMMAND --help"
        formatter.write(page(usage, self.help or "", {"Commands": listed, "Options": own}))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is meant."""
        if args[0] not in self.commands:
            near = difflib.get_close_matches(args[0].lower(), self.commands, 1)
            meant = f"did you mean {near[0]}?" if near else f"choose from {_listed(self.commands)}"
            ctx.fail(f"there is no command {args[0]!r}: {meant}")
        return super().resolve_command(ctx, args)


class Command(HelpedCommand):
    """A command whose --server may stand alone, for the server of this machine."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What is typed, with the address that is meant in its place."""
        return super().parse_args(ctx, with_server(args))


def with_server(args: Sequence[str]) -> list[str]:
    """`--server` followed by no address is `--server=local`.

    >>> with_server(["--server", "dog park"]), with_server(["--server", "http://127.0.0.1:8760", "--", "--server"])
    (['--server=local', 'dog park'], ['--server', 'http://127.0.0.1:8760', '--', '--server'])
    """
    own = args.index("--") if "--" in args else len(args)
    following = [*args[1:], ""]
    return [
        "--server=local"
        if one == "--server" and place < own and not following[place].startswith(("http://", "https://"))
        else one
        for place, one in enumerate(args)
    ]


app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sample and search text under an energy: fluency x relevance x hard constraints, on pretrained models.",
)


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("textsearch-sampling")
    except metadata.PackageNotFoundError:
        return "from a folder, not installed"


def _listed(names: Iterable[str]) -> str:
    *most, last = sorted(names)
    return f"{', '.join(most)} or {last}"
