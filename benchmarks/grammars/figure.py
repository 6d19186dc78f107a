"""The figure of the finite languages: total variation against the tokens that a draw took, a panel a language."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.figure import COLOURS, NOTE
from benchmarks.grammars.truth import REJECTION

COLUMNS = 4


def draw(found: Mapping[str, Any]) -> Figure:
    """All languages that were measured, as `truth.merged` gives them."""
    rows = math.ceil(len(found) / COLUMNS)
    figure = Figure(figsize=(3.4 * min(COLUMNS, len(found)), 2.9 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, min(COLUMNS, len(found)), squeeze=False).ravel()
    names: list[str] = []
    for own in found.values():
        # what was priced and not drawn has no distance to show
        drawn = [name for name, one in own["methods"].items() if any(point["tv"] > 0 for point in one["points"])]
        names += [name for name in drawn if name not in names]
    for axes, (language, own) in zip(panels, found.items(), strict=False):
        for name, method in own["methods"].items():
            if name not in names:
                continue
            points = [one for one in method["points"] if one["tv"] > 0]
            if name == REJECTION:
                points = points[-1:]  # of as many draws as there are chains
            axes.plot(
                [one["tokens"] for one in points],
                [one["tv"] for one in points],
                "o-" if len(points) == 1 else "-",
                color=COLOURS[names.index(name) % len(COLOURS)],
                markersize=4,
                linewidth=1.3,
                label=name,
            )
        axes.axhspan(1e-4, own["noise"], color="0.9", zorder=0)
        if "exact_10000" in own:
            axes.axhline(own["exact_10000"]["tv"], color="0.5", linewidth=0.8, linestyle=":")
        axes.set(xscale="log", yscale="log", ylim=(min(own["noise"], own["exact_10000"]["tv"]) / 2, 1.1))
        axes.set_title(f"{language}, {own['strings']:,} strings", fontsize=9)
        axes.text(0.99, own["noise"], "chance", transform=axes.get_yaxis_transform(), **NOTE)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    panels[0].set_ylabel("total variation")
    for axes in panels[max(0, len(found) - COLUMNS) : len(found)]:
        axes.set_xlabel("tokens a draw")
    handles: dict[str, Any] = {}
    for axes in panels[: len(found)]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure
