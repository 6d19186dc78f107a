"""The live line of a run: speed, acceptance, best energy, best text so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from textsearch.run.loop import Callback, Progress


@contextmanager
def live(console: Console | None = None) -> Iterator[Callback]:
    """A callback that draws a bar on standard error while the block runs."""
    shown_on = console or Console(stderr=True)
    bar = Bar(
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

        def show(progress: Progress) -> None:
            bar.update(
                task,
                total=progress.steps,
                completed=progress.step,
                speed=progress.step / max(progress.seconds, 1e-9),
                accepted=progress.acceptance,
                energy=progress.best_energy,
                text=escape(progress.best_text),
            )

        yield show
