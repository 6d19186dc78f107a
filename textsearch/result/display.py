"""The live line of a run: speed, acceptance, best energy, best text so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from textsearch.run.loop import Callback, Progress
from textsearch.steps_bar import Far, steps_bar

if TYPE_CHECKING:
    from rich.console import Console


def far(progress: Progress) -> Far:
    """What the line says of a step."""
    return Far(
        progress.step,
        progress.steps,
        progress.seconds,
        progress.acceptance,
        progress.best_energy,
        progress.best_text,
    )


@contextmanager
def live(console: Console | None = None) -> Iterator[Callback]:
    """A callback that draws a bar on standard error while the block runs."""
    with steps_bar(console) as show:
        yield lambda progress: show(far(progress))
