"""What `benchmarks.speed` has measured, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

RATIOS = (
    "times textbook",
    "times one that keeps energies",
    "share of the limit",
    "textbook proposals/s",
    "too close to call",
    "textbook MB",
)
"""Of the first table."""

DETAILS = (
    "proposals/s",
    "accepted/s",
    "ESS/s",
    "rows/proposal",
    "tokens/proposal",
    "in models",
    "rate in models",
    "padding",
    "remembered",
    "reused",
    "cost of a chain, to 32",
    "MB",
)
"""Of the second."""

SHARES = ("share of the limit", "in models", "rate in models", "padding", "remembered", "reused")
SPREAD = (*RATIOS, "proposals/s", "rate in models", "times the first", "times the first there")


def figures(found: Mapping[str, Any], rate: float) -> dict[str, list[float]]:
    """Name -> a number for each turn; `rate` is the best of a matrix product."""
    told: dict[str, list[float]] = {}

    def tell(name: str, value: float) -> None:
        told.setdefault(name, []).append(value)

    for turn in found["turns"]:
        count, seconds = turn["proposals"], turn["seconds"]
        spent = {name: sum(usage[name] for usage in turn["usage"]) for name in turn["usage"][0]}
        tell("proposals/s", count / seconds)
        tell("accepted/s", turn["accepted"] / seconds)
        if "textbook" in turn:
            loop = turn["textbook"]
            tell("textbook proposals/s", loop["proposals"] / loop["seconds"])
            tell("times textbook", (count / seconds) / (loop["proposals"] / loop["seconds"]))
            kept = loop["seconds"] - loop["seconds_again"]
            tell("times one that keeps energies", (count / seconds) / (loop["proposals"] / kept))
        tell("share of the limit", turn["flops"] / rate / seconds)
        tell("in models", turn["forward"] / seconds)
        tell("rate in models", turn["flops"] / rate / turn["forward"])
        tell("rows/proposal", spent["rows"] / count)
        tell("tokens/proposal", spent["tokens"] / count)
        tell("padding", spent["padding"] / max(spent["tokens"], 1))
        tell("remembered", spent["hits"] / max(spent["hits"] + spent["rows"], 1))
        tell("reused", spent["reused"] / max(spent["reused"] + spent["tokens"] - spent["padding"], 1))
        tell("ms a step of a chain", 1000 * seconds / count)
    if "ess" in found:
        told["ESS/s"] = [found["ess"] / sum(turn["seconds"] for turn in found["turns"])]
    return told


def shown(name: str, values: Sequence[float]) -> str:
    """The median, and for what varies with the machine the lowest and highest.

    >>> shown("times textbook", [3.0, 1.0, 2.0]), shown("padding", [0.1, 0.5, 0.2])
    ('2.00 [1.00, 3.00]', '20.0 %')
    """
    unit, digits = (" %", 1) if name in SHARES else ("", 2 if name.startswith("times") else 1)
    low, middle, high = ((100 if unit else 1) * value for value in np.quantile(values, (0, 0.5, 1)))
    spread = f" [{low:.{digits}f}, {high:.{digits}f}]" if name in SPREAD else ""
    return f"{middle:.{digits}f}{unit}{spread}"


def tables(cells: Sequence[Mapping[str, Any]], rate: float) -> Iterator[Table]:
    """The ratios, and what they are made of; a column that nothing is known for is left out."""
    told = [figures(found, rate) for found in cells]
    cost = [float(np.median(own["ms a step of a chain"])) for own in told]
    base = {found["setting"]: one for found, one in zip(cells, cost, strict=True) if found["chains"] == 32}
    lines: list[dict[str, str]] = []
    for found, own, one in zip(cells, told, cost, strict=True):
        line = {name: shown(name, values) for name, values in own.items()}
        line |= {"setting": found["setting"], "chains": str(found["chains"]), "MB": f"{found['memory'] / 1e6:.0f}"}
        if found["setting"] in base:
            line["cost of a chain, to 32"] = f"{one / base[found['setting']]:.2f} x"
        if "textbook_memory" in found:
            close = sum(turn["textbook"]["too_close_to_call"] for turn in found["turns"])
            line |= {"too close to call": str(close), "textbook MB": f"{found['textbook_memory'] / 1e6:.0f}"}
        lines.append(line)
    for title, names in (("ratios", RATIOS), ("what they are made of", DETAILS)):
        table = Table(
            title=title, caption=f"a float32 matrix product: {rate / 1e9:.0f} GFLOP/s", caption_justify="left"
        )
        columns = [name for name in ("setting", "chains", *names) if any(name in line for line in lines)]
        for name in columns:
            table.add_column(name, justify="left" if name == "setting" else "right")
        for line in lines:
            table.add_row(*(line.get(name, "") for name in columns))
        yield table


def threads_table(cells: Sequence[Mapping[str, Any]]) -> Table:
    """Numbers of threads, and how many times as fast as the first each is in the same turn."""
    table = Table(title="threads")
    names = ("proposals/s", "times the first", "in models", "times the first there", "of a large product")
    for name in ("setting", "chains", "threads", *names):
        table.add_column(name, justify="left" if name == "setting" else "right")
    for found in cells:
        first = next(iter(found["turns"][0]))
        for count in found["turns"][0]:
            own, base = ([turn[one] for turn in found["turns"]] for one in (count, first))
            pairs = list(zip(own, base, strict=True))
            told = {
                "proposals/s": [one["proposals/s"] for one in own],
                "times the first": [one["proposals/s"] / other["proposals/s"] for one, other in pairs],
                "in models": [one["in models"] / one["seconds a step"] for one in own],
                "times the first there": [other["in models"] / one["in models"] for one, other in pairs],
                "of a large product": [one["product_rate"] / other["product_rate"] for one, other in pairs],
            }
            shares = (shown(name, told[name]) for name in names[:4])
            table.add_row(found["setting"], str(found["chains"]), count, *shares, f"{np.median(told[names[4]]):.2f}")
    return table


def profile_table(found: Mapping[str, Any]) -> Table:
    """The parts of a step, the most expensive first."""
    table = Table("part", "share", title=f"where the time goes: {found['setting']}, {found['chains']} chains")
    for name, share in sorted(found["shares"].items(), key=lambda pair: -float(pair[1])):
        table.add_row(name, f"{100 * share:.1f} %")
    return table
