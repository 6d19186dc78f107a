"""The bar of a run on standard error. Light to import: a command that asks a server draws it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console


class Far(NamedTuple):
    """How far a run is.

    Attributes:
        step: steps taken.
        steps: in all.
        seconds: that they took.
        accepted: share of the proposals that were.
        energy: the lowest one met, nats.
        text: that had it.
    """

    step: int
    steps: int
    seconds: float
    accepted: float
    energy: float
    text: str


@contextmanager
def steps_bar(console: Console | None = None) -> Iterator[Callable[[Far], None]]:
    """Draws a bar on standard error while the block runs; what it yields moves it. Where nobody watches, none."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown_on = console or Console(stderr=True)
    bar = Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[speed]:.1f} steps/s  accepted {task.fields[accepted]:.2f}"),
        TimeRemainingColumn(compact=True),
        TextColumn("best [bold]{task.fields[energy]:.2f}[/] {task.fields[text]}", markup=True),
        console=shown_on,
        # a log has no use for a bar
        disable=console is None and not shown_on.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=None, speed=0.0, accepted=0.0, energy=float("nan"), text="")

        def show(far: Far) -> None:
            bar.update(
                task,
                total=far.steps,
                completed=far.step,
                speed=far.step / max(far.seconds, 1e-9),
                accepted=far.accepted,
                energy=far.energy,
                text=escape(far.text),
            )

        yield show
