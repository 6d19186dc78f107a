"""The figure of the comparison of samplers: one panel for each of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart by the colour-blind too (Okabe and Ito, 2008)."""


NOTE: dict[str, Any] = {"va": "top", "ha": "right", "fontsize": 8, "color": "0.4"}


def draw(found: Mapping[str, Mapping[str, Any]]) -> Figure:
    """All parts that were run."""
    panels = [name for name in ("enumerated", "infilling", "keywords") if name in found]
    widths = [1.6 if name == "enumerated" else 1.0 for name in panels]
    figure = Figure(figsize=(6.0 * sum(widths), 5.6), layout="constrained")
    every = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    for name, axes in zip(panels, every, strict=True):
        if name == "enumerated":
            _distances(axes, found[name]["samplers"], found[name]["noise"])
        elif name == "infilling":
            _energies(axes, found[name], "infilling: the five best fills")
        else:
            _energies(axes, found[name], "keywords: the best of each set")
    return figure


def _distances(axes: Axes, found: Mapping[str, Any], noise: float) -> None:
    order = sorted(
        found, key=lambda name: (found[name]["rows_to_goal"] or float("inf"), found[name]["points"][-1]["distance"])
    )
    styles = ("-", "--", ":")
    for number, name in enumerate(order):
        points = found[name]["points"]
        rows = [point["masked"] + point["causal"] for point in points]
        axes.plot(
            rows,
            [point["distance"] for point in points],
            styles[number // len(COLOURS) % len(styles)],
            color=COLOURS[number % len(COLOURS)],
            linewidth=1.4,
            label=name,
        )
    axes.axhspan(0, noise, color="0.9", zorder=0)
    axes.text(0.99, noise, "as far as exact draws are by chance", transform=axes.get_yaxis_transform(), **NOTE)
    axes.set(xscale="log", yscale="log", ylim=(noise / 2, 1.05))
    axes.set(
        xlabel="model passes a chain", ylabel="total variation to the exact law", title="all sentences, enumerated"
    )
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    axes.spines[["top", "right"]].set_visible(False)


def _energies(axes: Axes, found: Mapping[str, Any], title: str) -> None:
    """One row a sampler, the best on top, with 95 % intervals."""
    order = sorted(found, key=lambda name: found[name]["figures"]["energy"][0], reverse=True)
    for row, name in enumerate(order):
        middle, low, high = found[name]["figures"]["energy"]
        axes.errorbar(middle, row, xerr=[[middle - low], [high - middle]], fmt="o", color=COLOURS[0], lw=1)
    axes.set_yticks(range(len(order)), order, fontsize=8)
    axes.set(xlabel="energy (nats), with 95 % intervals", title=title)
    axes.spines[["top", "right"]].set_visible(False)
