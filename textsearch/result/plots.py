"""Plots of a run, by matplotlib: the energies, how long they remember, their distribution, and what was accepted.

One function a panel, on axes of your own; `figure` has all four. Colours are those of Okabe and Ito (2008), which
colour-blind readers tell apart; rungs of a ladder go from light to dark.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from textsearch.result.diagnostics import autocorrelation, rows_by_input, running_median

try:
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter
except ImportError as error:
    raise ImportError("plots of a run need matplotlib: pip install 'textsearch-sampling[plots]'") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""One an input; beyond six inputs all have the first, and no legend."""
GREY, INK = "#8A8A8A", "#222222"
BINS = 40
NORMAL_95 = 1.96


@final
class Panels(Figure):
    """A figure that a notebook shows although it was made without pyplot."""

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        self.savefig(image, format="png")
        return image.getvalue()


def figure(
    energies: NDArray[np.float64],
    inputs: NDArray[np.int64],
    moves: Mapping[str, tuple[int, int]],
    *,
    warm_up: int = 0,
    rungs: NDArray[np.float64] | None = None,
    temperatures: NDArray[np.float64] | None = None,
) -> Figure:
    """All four panels.

    Args:
        energies: (T, B) of each step and chain, nats.
        inputs: (B,) the input of each chain.
        moves: kind of move -> how often accepted and proposed.
        warm_up: steps at the start to leave out of the second and the third panel.
        rungs: (T, B, R) energies of all rungs of a ladder, for the third.
        temperatures: (T, B, R) theirs.

    >>> energies = np.random.default_rng(0).normal(20.0, 2.0, (100, 8))
    >>> len(figure(energies, np.zeros(8, dtype=np.int64), {"replace": (30, 100)}, warm_up=20).axes)
    4
    """
    shown = Panels(figsize=(10, 6.4), dpi=120)
    shown.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    (first, second), (third, fourth) = shown.subplots(2, 2)
    energy_trace(first, energies, inputs, warm_up)
    energy_autocorrelation(second, energies[warm_up:], inputs)
    if rungs is None:
        energy_histogram(third, energies[warm_up:], inputs)
    else:
        rung_histogram(third, rungs[warm_up:], None if temperatures is None else temperatures[warm_up:])
    acceptance(fourth, moves)
    return shown


def energy_trace(axes: Axes, energies: NDArray[np.float64], inputs: NDArray[np.int64], warm_up: int = 0) -> None:
    """(T, B) energies step by step: chains thin, the median of an input's chains bold, a running one."""
    steps = np.arange(1, len(energies) + 1)
    finite = np.where(np.isfinite(energies), energies, math.nan)
    window = max(len(energies) // 40, 1)
    for label, colour, rows in _groups(inputs):
        axes.plot(steps, finite[:, rows], color=colour, linewidth=0.8, alpha=max(0.15, 0.9 / math.sqrt(len(rows))))
        if len(energies):
            middle = running_median(finite[:, rows], window)
            axes.plot(steps, middle, color=colour, linewidth=2.2, label=label or "median of the chains")
    if warm_up:
        axes.axvspan(0.5, warm_up + 0.5, color=GREY, alpha=0.15, linewidth=0, label="warm-up")
    _dress(axes, "Energy of each chain", "step", "energy (nats)", whole=True)
    _legend(axes)


def energy_autocorrelation(axes: Axes, energies: NDArray[np.float64], inputs: NDArray[np.int64]) -> None:
    """Of (T, B) energies, the chains of an input together, against the band that independent draws would keep to."""
    length, chains = len(energies), min((len(rows) for _, _, rows in _groups(inputs)), default=1)
    most = min(length // 3, 200)
    for label, colour, rows in _groups(inputs):
        draws = energies[:, rows].T
        draws = draws[np.isfinite(draws).all(1)]
        if most and len(draws):
            axes.plot(np.arange(most + 1), autocorrelation(draws, most), color=colour, linewidth=1.8, label=label)
    if most:
        band = NORMAL_95 / math.sqrt(length * chains)
        axes.axhspan(-band, band, color=GREY, alpha=0.25, linewidth=0, label="95% if independent")
    axes.axhline(0, color=GREY, linewidth=0.8)
    _dress(axes, "Autocorrelation of the energy", "lag (steps)", "correlation", whole=True)
    axes.set_ylim(top=1.02)
    axes.set_xlim(0, max(most, 1))
    _legend(axes)


def energy_histogram(axes: Axes, energies: NDArray[np.float64], inputs: NDArray[np.int64]) -> None:
    """The distribution of (T, B) energies, by input."""
    groups = list(_groups(inputs))
    _histograms(axes, [(energies[:, rows], colour, label) for label, colour, rows in groups])
    _dress(axes, "Distribution of the energy", "energy (nats)", "share of the steps")
    _legend(axes, "best")


def rung_histogram(axes: Axes, rungs: NDArray[np.float64], temperatures: NDArray[np.float64] | None = None) -> None:
    """The distributions of (T, B, R) energies by rung: neighbours exchange texts where theirs overlap."""
    count = rungs.shape[2]
    shades = [colormaps["viridis"](0.9 * (count - 1 - rung) / max(count - 1, 1)) for rung in range(count)]
    names = [f"rung {rung + 1}" for rung in range(count)]
    if temperatures is not None and len(temperatures):
        names = [f"T = {temperatures[-1, :, rung].mean():.3g}" for rung in range(count)]
    _histograms(axes, [(rungs[..., rung], shades[rung], names[rung]) for rung in range(count)])
    _dress(axes, "Distribution of the energy, by rung", "energy (nats)", "share of the steps")
    _legend(axes, "best")


def acceptance(axes: Axes, moves: Mapping[str, tuple[int, int]]) -> None:
    """The share of proposals taken, by kind of move -> how often accepted and proposed."""
    tried = {kind: counts for kind, counts in moves.items() if counts[1]}
    rates = [accepted / proposed for accepted, proposed in tried.values()]
    places = np.arange(len(tried))[::-1]
    # room for the words to the right of the longest bar, but never past 100%
    limit = min(1.5 * max(rates, default=0.0), 1.0) or 1.0
    axes.barh(places, rates, height=0.6, color=COLOURS[0])
    for place, rate, (_, proposed) in zip(places, rates, tried.values(), strict=True):
        inside = rate > 0.7 * limit
        axes.annotate(
            f"{rate:.1%} of {proposed:,}",
            (rate, place),
            xytext=(-5 if inside else 5, 0),
            textcoords="offset points",
            ha="right" if inside else "left",
            va="center",
            fontsize=9,
            color="white" if inside else INK,
        )
    axes.set_xlim(0, limit)
    # a few bars are no thicker than many
    axes.set_ylim(min(len(tried) - 4, 0) - 0.7, len(tried) - 0.3)
    axes.set_yticks(places, [kind.replace("$", r"\$") for kind in tried])
    _dress(axes, "Proposals accepted", "share accepted", "")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.tick_params(axis="y", length=0)


def _groups(inputs: NDArray[np.int64]) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    """Label, colour and rows of each input."""
    groups = list(rows_by_input(inputs))
    for place, (number, rows) in enumerate(groups):
        few = 1 < len(groups) <= len(COLOURS)
        yield f"input {number}" if few else "", COLOURS[place if few else 0], rows


def _histograms(axes: Axes, groups: list[tuple[NDArray[np.float64], Any, str]]) -> None:
    """Outlines over common bins, each of whose heights add up to 1."""
    groups = [(values[np.isfinite(values)], colour, label) for values, colour, label in groups]
    every = np.concatenate([values for values, _, _ in groups]) if groups else np.zeros(0)
    if len(every) == 0:
        return
    edges = np.histogram_bin_edges(every, BINS)
    for values, colour, label in groups:
        heights = np.histogram(values, edges)[0] / max(len(values), 1)
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.2)
        axes.stairs(heights, edges, color=colour, linewidth=1.4, label=label)


def _dress(axes: Axes, title: str, x: str, y: str, whole: bool = False) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(x, fontsize=10, color=INK)
    axes.set_ylabel(y, fontsize=10, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(labelsize=9, color=GREY, labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=whole))
    axes.margins(x=0.01)


def _legend(axes: Axes, place: Literal["upper right", "best"] = "upper right") -> None:
    # the best place is slow to find among many points; energies fall, and correlations fade, to the right
    named = [(artist, label) for artist, label in zip(*axes.get_legend_handles_labels(), strict=True) if label]
    if named:
        artists, labels = zip(*named, strict=True)
        axes.legend(artists, labels, loc=place, framealpha=0.8, edgecolor="none", fontsize=9, labelcolor=INK)
