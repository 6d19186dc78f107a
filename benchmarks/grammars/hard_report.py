"""What is printed of patterns and schemas: how many have a valid draw, what one costs, and what could not be done."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.grammars import infinite
from benchmarks.grammars.patterns import Problem
from benchmarks.grammars.report import table_of
from benchmarks.grammars.schemas import LONG_RUN, Schema, distances
from benchmarks.intervals import Interval, interval, mean_of, shown

Known = Mapping[tuple[str, ...], Mapping[str, Any]]
Row = Mapping[str, Any]


def wilson(successes: int, count: int) -> Interval:
    """A share with its 95 % interval (Wilson, "Probable inference", 1927).

    >>> [round(end, 3) for end in wilson(9, 10)]
    [0.9, 0.596, 0.982]
    """
    if not count:
        return math.nan, 0.0, 1.0
    z, share = 1.96, successes / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return share, max(0.0, middle - half), min(1.0, middle + half)


def pattern_tables(given: Sequence[Problem], known: Known) -> list[Table]:
    """Patterns and sets of words, and those of which something went wrong."""
    tables = []
    for title, words in (("patterns", False), ("sentences with all words of a set", True)):
        names = [problem.name for problem in given if problem.words is words]
        found = {method: _rows(names, method, known) for method in infinite.METHODS}
        if any(found.values()):
            tables.append(_costs(title, found, len(names)))
    return [*tables, _trouble([problem.name for problem in given], known)]


def schema_tables(given: Sequence[Schema], known: Known) -> list[Table]:
    """All schemas, by depth, and the fields of those with a long run."""
    names = [schema.name for schema in given]
    found = {method: _rows(names, method, known) for method in infinite.METHODS}
    by_depth = table_of("schemas by depth: with a valid draw / that were run", "method")
    for depth in sorted({schema.depth for schema in given}):
        by_depth.add_column(str(depth))
    for method, rows in found.items():
        cells = []
        for depth in sorted({schema.depth for schema in given}):
            own = [row for row in rows if row["depth"] == depth]
            cells.append(f"{sum(row['valid'] > 0 for row in own)} / {len(own)}")
        by_depth.add_row(method, *cells)
    fields = table_of(
        "fields: total variation to the long run, and that of as many draws of it", "method", "schemas", "fields",
        "distance", "by chance", "the excess"
    )  # fmt: skip
    for method, one in distances(known).items():
        pairs = np.array([pair for own in one.values() for pair in own])
        fields.add_row(
            method, str(len(one)), str(len(pairs)),
            f"{pairs[:, 0].mean():.3f}", f"{pairs[:, 1].mean():.3f}",
            shown(interval(len(pairs), mean_of(pairs[:, 0] - pairs[:, 1]), 0), 3),
        )  # fmt: skip
    longest = [known[name, LONG_RUN] for name in names if (name, LONG_RUN) in known]
    fields.caption = f"draws of the long runs: {', '.join(str(row['valid']) for row in longest) or 'none'}"
    return [_costs("schemas", found, len(names)), by_depth, fields, _trouble(names, known)]


def _rows(names: Sequence[str], method: str, known: Known) -> list[Row]:
    """Those of a method that could be run at all."""
    rows = [known[name, method] for name in names if (name, method) in known]
    return [row for row in rows if "tokens" in row]


def _costs(title: str, found: Mapping[str, Sequence[Row]], asked: int) -> Table:
    table = table_of(
        title, "method", "run", "with a valid draw", "texts valid", "distinct", "tokens a valid draw", "seconds",
        "median tokens", "median seconds", "KL of masking"
    )  # fmt: skip
    for method, rows in found.items():
        if not rows:
            continue
        some = [row for row in rows if row["valid"]]
        # what masked decoding has written is its draws; chains stand at a text, and the others tell what is none
        texts = sum(row.get("written", 0) if method == infinite.MASKED else len(row["texts"]) for row in rows)
        table.add_row(
            method,
            f"{len(rows)} of {asked}",
            shown(wilson(len(some), len(rows)), 2),
            f"{sum(row['valid'] for row in rows)} of {texts}",
            _over(some, lambda own: sum(row["distinct"] for row in own) / sum(row["valid"] for row in own), 2),
            *(_over(rows, _all_over_valid(key), digits) for key, digits in (("tokens", 0), ("seconds", 2))),
            *(_over(some, _median_of(key), digits) for key, digits in (("tokens", 0), ("seconds", 2))),
            _over([row for row in rows if "kl" in row], lambda own: float(np.median([row["kl"] for row in own])), 2),
        )
    table.caption = (
        "brackets: 95 %, by Wilson for shares, else by the bootstrap over rows; tokens and seconds of all texts over "
        "the number of valid draws, then medians where there is one"
    )
    return table


def _all_over_valid(key: str) -> Callable[[Sequence[Row]], float]:
    """What all rows cost, over their valid draws."""
    return lambda rows: float(sum(row[key] for row in rows) / sum(row["valid"] for row in rows))


def _median_of(key: str) -> Callable[[Sequence[Row]], float]:
    """The median of what a valid draw of a row costs."""
    return lambda rows: float(np.median([row[key] / row["valid"] for row in rows]))


def _over(rows: Sequence[Row], figure: Callable[[Sequence[Row]], float], digits: int) -> str:
    """A figure of rows with its interval; without end where some resampled rows have no valid draw."""
    if not any(row["valid"] for row in rows):
        return ""

    def of(index: Any) -> float:
        own = [rows[i] for i in index]
        return figure(own) if any(row["valid"] for row in own) else math.inf

    rng = np.random.default_rng(0)
    again = sorted(of(rng.integers(0, len(rows), len(rows))) for _ in range(1000))
    return shown((of(range(len(rows))), again[25], again[974]), digits)


def _trouble(names: Sequence[str], known: Known) -> Table:
    """What could not be read, exploded, or was broken off, by name."""
    table = table_of("what went wrong", "what", "where", "")
    for name in names:
        own = {method: known[name, method] for method in infinite.METHODS if (name, method) in known}
        said: dict[str, list[str]] = {}
        for method, row in own.items():
            for key in ("error", "stopped"):
                if key in row:
                    said.setdefault(row[key], []).append(method)
        if own and not any(row.get("mask", True) for row in own.values()):
            said["the mask engine cannot read it"] = ["all"]
        for text, where in said.items():
            table.add_row(name, "all" if len(where) == len(infinite.METHODS) else ", ".join(where), text)
    return table
