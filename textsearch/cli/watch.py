"""`textsearch watch`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textsearch.cli.application import app
from textsearch.cli.console import is_terminal, visible
from textsearch.cli.helping import HelpedCommand
from textsearch.waiting import waiting

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.text import Text

    from textsearch.service.reading import Source, View

_POLL = 0.3  # seconds
_BARS = "▁▂▃▄▅▆▇█"
NONE_YET = "no text yet that the energy allows"
FORBIDDEN = "at a text that the energy forbids"


@app.command("watch", cls=HelpedCommand)
def watch(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Of the checkpoints of a run, or of the runs of a page; of several the newest.", show_default=False
        ),
    ],
    once: Annotated[bool, typer.Option("--once", help="Show how it stands, and end.")] = False,
) -> None:
    """Watch a run in the terminal, while it runs or after.

        textsearch watch textsearch-runs

    Of each chain: the text, the words of the last proposal green and underlined where they were accepted, red and
    struck through where they were refused, the ratio and what it was made of, the energy by term, the best so far. Of
    checkpoints of other runs there are no proposals, and texts as last written.
    """
    with waiting("opening the run", True):
        from rich.console import Console
        from rich.live import Live

        from textsearch.service.reading import OVER, source
    console = Console(highlight=False)
    try:
        run = source(folder)
        if once or not is_terminal(sys.stdout):
            console.print(screen(_view(run)))
            return
        with Live(console=console, auto_refresh=False) as live:
            drawn: View | None = None
            while True:
                view = _view(run)
                if view is not drawn:
                    live.update(screen(view), refresh=True)
                    drawn = view
                if view.state in OVER:
                    return
                time.sleep(_POLL)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="FOLDER") from error


def _view(run: Source, tries: int = 10) -> View:
    """How a run stands; a checkpoint that is being replaced while it is read is read again.

    Raises:
        ValueError: it stays damaged.
    """
    while True:
        try:
            return run.view()
        except ValueError:
            tries -= 1
            if not tries:
                raise
            time.sleep(_POLL)


def screen(view: View) -> Group:
    """How a run stands, in one view."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    from textsearch.service.summaries import StepCounts, brief

    head = Text(visible(view.title) + "  ")
    head.append(view.state, "bold")
    if view.error:
        head.append(f"\n{visible(view.error)}", "red")
    if not view.events:
        return Group(head, Text("no step yet", "dim"))
    last, steps = view.events[-1], [brief(event) for event in view.events]
    head.append(f"\nstep {last['step']} of {last['steps']}  {_speed(steps)}")
    lowest = min(last["chains"], key=lambda chain: float(chain["best_energy"]))
    found = f"{shown(lowest['best_energy'])}  {visible(lowest['best'])}" if allowed(lowest["best_energy"]) else NONE_YET
    best = Panel(Text(found), title="best so far", title_align="left")
    curve = Text("energy  ", "dim") + Text(bars([_mean(step["energies"]) for step in steps]))
    moves = Table("move", "proposed", "accepted", box=None, header_style="dim")
    counts = StepCounts()
    counts.take(view.events)
    for kind, count in counts.acceptance().items():
        moves.add_row(kind, str(count["proposed"]), f"{count['accepted'] / count['proposed']:.0%}")
    return Group(head, best, *(_chain(number, chain) for number, chain in enumerate(last["chains"], 1)), curve, moves)


def _chain(number: int, chain: dict[str, Any]) -> RenderableType:
    from rich.text import Text

    line = Text(f"{number:>2} ", "dim")
    line.append("✓ " if chain["accepted"] else "✗ ", "green" if chain["accepted"] else "red")
    line.append_text(words(chain))
    line.append(f"\n     {made(chain)}", "dim")
    if not allowed(chain["energy"]):
        line.append(f"\n     {chain['move']}  {NONE_YET if not allowed(chain['best_energy']) else FORBIDDEN}", "dim")
        return line
    terms = " + ".join(f"{name} {shown(value)}" for name, value in chain["terms"].items())
    line.append(
        f"\n     {chain['move']}  E = {shown(chain['energy'])} = {terms}  best {shown(chain['best_energy'])}", "dim"
    )
    return line


def words(chain: dict[str, Any]) -> Text:
    """The text with the words of the last proposal."""
    from difflib import SequenceMatcher

    from rich.text import Text

    if not chain["proposals"]:
        return Text(visible(chain["text"]))
    before, after = chain["before"]["text"].split(), chain["proposals"][0]["text"].split()
    style = "green underline" if chain["accepted"] else "red strike"
    found: list[tuple[str, str]] = []
    for kind, old, old_end, new, new_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal" or (not chain["accepted"] and kind in ("delete", "replace")):
            found += [(word, "") for word in before[old:old_end]]
        if kind in ("insert", "replace"):
            found += [(word, style) for word in after[new:new_end]]
    line = Text()
    for number, (word, own) in enumerate(found):
        line.append(" " if number else "")
        line.append(visible(word), own)
    return line


def made(chain: dict[str, Any]) -> str:
    """The log ratio, and what it was made of."""
    ratio = chain["log_ratio"]
    if len(chain["proposals"]) != 1:
        return f"log r = {shown(ratio)}"
    one = chain["proposals"][0]
    back, there = one["log_backward"], one["log_forward"]
    if isinstance(back, str):
        return "no move: it could not be undone, or was impossible"
    if isinstance(ratio, float):
        energy = f"{ratio - back + there:.2f}"
    else:
        # a step works out no more of an energy than it needs to refuse it
        energy = "-inf" if "inf" in one["terms"].values() else "too low to be accepted; the rest was not worked out"
        ratio = "..."
    return f"log r = {shown(ratio)} = -dE/T ({energy}) + log q(x|x') ({back:.2f}) - log q(x'|x) ({shown(there)})"


def allowed(energy: float | str | None) -> bool:
    """Whether an energy of an event is that of a text which no hard term forbids.

    >>> allowed(1.5), allowed("inf"), allowed(None)
    (True, False, False)
    """
    return energy is not None and float(energy) < float("inf")


def shown(value: float | str | None) -> str:
    """A number of an event."""
    return "?" if value is None else value if isinstance(value, str) else f"{value:.2f}"


def bars(values: list[float], width: int = 60) -> str:
    """A curve in one line.

    >>> bars([0.0, 1.0, 7.0])
    '▁▂█'
    """
    values = [value for value in values if abs(value) < float("inf")]
    if len(values) > width:
        values = [values[number * len(values) // width] for number in range(width)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    return "".join(_BARS[round((value - low) / ((high - low) or 1) * (len(_BARS) - 1))] for value in values)


def _mean(values: list[Any]) -> float:
    return sum(float(value) for value in values) / len(values)


def _speed(steps: list[dict[str, Any]]) -> str:
    first, last = steps[max(len(steps) - 20, 0)], steps[-1]
    seconds = last["seconds"] - first["seconds"]
    if seconds <= 0:
        return ""
    rates = [(last[name] - first[name]) / seconds for name in ("step", "tokens")]
    return f"{rates[0]:.1f} steps/s  {rates[1]:.0f} tokens/s"
