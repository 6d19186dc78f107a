"""Small tables that a terminal, a plain text and a notebook can show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table as RichTable


@final
@dataclass(frozen=True)
class Sheet:
    """Rows of words and numbers; the first column holds names, and `total` stands apart below.

    >>> print(Sheet(("move", "rate"), (("swap", "34%"),), total=("all", "34%")))
    move   rate
    ───────────
    swap    34%
    <BLANKLINE>
    all     34%
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] | None = None
    caption: str = ""

    def table(self) -> RichTable:
        """As a rich table."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, caption=self.caption or None, caption_justify="left"
        )
        for number, name in enumerate(self.columns):
            table.add_column(Text(name), justify="right" if number else "left", no_wrap=not number)
        for row in self.rows:
            table.add_row(*map(Text, row))
        if self.total is not None:
            table.add_section()
            table.add_row(*map(Text, self.total))
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RichTable]:
        yield self.table()

    def __str__(self) -> str:
        """The table as plain text."""
        lines = [line.rstrip() for line in plain(self.table()).splitlines()]
        return "\n".join(lines).strip("\n")

    def _repr_html_(self) -> str:
        """For notebooks."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        lines = [*self.rows, *([self.total] if self.total else [])]
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def plain(shown: RenderableType, width: int = 120) -> str:
    """What rich would print, without colours."""
    from rich.console import Console

    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()
