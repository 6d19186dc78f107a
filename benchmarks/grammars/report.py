"""What is printed of the figures: one table for each question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from benchmarks.grammars import methods
from benchmarks.grammars.truth import REJECTION, goal
from benchmarks.intervals import shown


def truth_tables(found: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Languages; distances and tokens of each method; `found` as `truth.merged` gives it."""
    languages = table_of("finite languages", "language", "strings",
                       "log mass", "effective strings", "TV of masking", "not canonical",
                       "of its canonical texts", "KL", "TV of 10,000 exact", "chains", "their chance")  # fmt: skip
    names = _names(found)
    costs = {
        "tokens": table_of("tokens of a draw within the goal, by itself; times fewer than restart", "language", *names),
        "shared": table_of("the same where all draws remember what any of them read", "language", *names),
    }
    last = table_of("total variation at the end, less chance", "language", *names)
    for name, own in found.items():
        mask, exact = own["methods"].get("masked decoding", {}), own["exact_10000"]
        languages.add_row(
            name, f"{own['strings']:,}", f"{own['log_mass']:.1f}",
            f"{own['perplexity']:.1f}", _number(mask.get("tv"), 3), _number(mask.get("not_canonical"), 2),
            _number(mask.get("tv_of_canonical"), 3), _number(mask.get("kl_of_canonical"), 2), f"{exact['tv']:.4f}",
            f"{own['chains']:,}", f"{own['noise']:.4f}",
        )  # fmt: skip
        for price, table in costs.items():
            table.add_row(name, *(_cost(own["methods"], method, price) for method in names))
        last.add_row(name, *(_end(own["methods"].get(method, {}).get("points", [])) for method in names))
    costs[
        "tokens"
    ].caption = "not met: not within the steps of the run; adaptive rejection: of the fewest and most draws"
    return [languages, *costs.values(), last]


def _cost(found: Mapping[str, Any], method: str, price: str) -> str:
    """What a draw within the goal takes, and how many times that of restart it goes into."""
    if method not in found:
        return ""
    points, base = found[method]["points"], goal(found[methods.RESTART]["points"], price)
    # exact however many are drawn: what differs is the price
    at = [points[0][price], points[-1][price]] if method == REJECTION else [goal(points, price)]
    cells = []
    for one in at:
        gain = f" ({base / one:.1f} x)" if one and base and method != methods.RESTART else ""
        cells.append("not met" if one is None else f"{one:.0f}{gain}")
    return " - ".join(cells)


def _end(points: Sequence[Mapping[str, float]]) -> str:
    if not points:
        return ""
    one = points[-1]
    if math.isnan(one["excess_low"]):  # of one seed
        return f"{one['excess']:.3f}"
    return shown((one["excess"], one["excess_low"], one["excess_high"]), 3)


def powers_tables(found: Mapping[str, Any]) -> list[Table]:
    """Finite languages under p^4, all texts of a toy, and the long text."""
    toys = table_of("p^4 on finite languages: total variation less chance, by tokens", "language", "method", "points")
    for name, own in found["toys"].items():
        for method, one in own["methods"].items():
            points = [one["points"][0], *one["points"][3::3]]
            toys.add_row(name, method, "  ".join(f"{point['tokens']:.0f}: {point['excess']:.3f}" for point in points))
    every = table_of(
        "p^4 over all texts of a toy", "method", "guarantee", "steps", "draws", "TV less chance", "KL", "tokens a step"
    )
    for name, one in found["every text"]["methods"].items():
        every.add_row(
            name, one["guarantee"], str(one["steps"]), str(one["draws"]), f"{one['excess']:.3f}", f"{one['kl']:.3f}",
            f"{one['tokens_a_step']:.0f}",
        )  # fmt: skip
    text = table_of(
        "p^4 of a long text", "method", "guarantee", "moves", "tokens a move", "without reuse", "seconds", "accepted",
        "energy at start", "at the end", "tokens of a text",
    )  # fmt: skip
    for name, one in found["text"].items():
        text.add_row(
            name, one["guarantee"], str(one["moves"]), f"{one['tokens_a_move']:.1f}",
            f"{one['tokens_a_move_without_reuse']:.1f}", f"{one['seconds_a_move']:.2f}", f"{one['accepted']:.2f}",
            f"{one['energy_at_start']:.0f}", f"{one['energy_at_end']:.0f} [{one['low']:.0f}, {one['high']:.0f}]",
            f"{one['length']:.0f}",
        )  # fmt: skip
    return [toys, every, text]


def _names(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names: list[str] = []
    for own in found.values():
        names += [name for name in own["methods"] if name not in names]
    return names


def table_of(title: str, *columns: str) -> Table:
    table = Table(title=title, caption_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
