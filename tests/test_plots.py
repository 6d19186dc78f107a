"""Plots: what they draw is what was computed, of any run."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray

from samplers import MetropolisHastings, ParallelTempering
from samplers.proposals import InsertDelete, Mixture, Replace
from textsearch import FunctionObjective, Generations, generate
from textsearch.result import plots
from textsearch.result.diagnostics import autocorrelation
from textsearch.testing import TableMaskedLM, letters

ROOT = Path(__file__).parent.parent
MODEL = TableMaskedLM.random(letters("ab"), seed=0)
FEW = FunctionObjective(lambda texts: [0.5 * text.count("a") + 0.1 * len(text) for text in texts], name="few a")


def generations(inputs: tuple[str, ...] = ("abb", "bb"), ladder: bool = False, **arguments: Any) -> Generations:
    sampler = MetropolisHastings(Mixture({Replace(MODEL): 0.5, InsertDelete(MODEL, max_length=4): 0.5}))
    settings: dict[str, Any] = {"steps": 60, "seed": 0, "chains": 4, "warm_up": 12} | arguments
    if ladder:
        return generate(FEW, ParallelTempering(sampler, (1, 2, 4)), list(inputs), **settings)
    return generate(FEW, sampler, list(inputs), **settings)


RESULT = generations()


def axes() -> Axes:
    return Figure().subplots()


def line(shown: Axes, label: str) -> NDArray[np.float64]:
    """(2, n) the points of the line of that name."""
    return np.array(next(one for one in shown.lines if one.get_label() == label).get_data(), dtype=np.float64)


def words(shown: Axes) -> list[str]:
    legend = shown.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


def pixels(figure: Figure) -> NDArray[Any]:
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return np.asarray(imread(io.BytesIO(image.getvalue()), format="png"))


def test_a_run_has_four_panels_named_and_with_units() -> None:
    shown = RESULT.plot()
    assert [panel.get_title(loc="left") for panel in shown.axes] == [
        "Energy of each chain",
        "Autocorrelation of the energy",
        "Distribution of the energy",
        "Proposals accepted",
    ]
    assert [panel.get_xlabel() for panel in shown.axes] == ["step", "lag (steps)", "energy (nats)", "share accepted"]
    assert shown.axes[0].get_ylabel() == "energy (nats)"
    image = pixels(shown)
    assert image.shape[0] > 500
    # something is drawn in each quarter
    height, width = image.shape[0] // 2, image.shape[1] // 2
    for rows in (slice(0, height), slice(height, None)):
        for columns in (slice(0, width), slice(width, None)):
            assert image[rows, columns].std() > 0.02


def test_a_notebook_shows_the_figure() -> None:
    shown: Any = RESULT.plot()
    assert shown._repr_png_().startswith(b"\x89PNG")


def test_files_can_be_written(tmp_path: Path) -> None:
    for name in ("run.png", "run.svg"):
        RESULT.plot().savefig(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


def test_trace_has_every_chain_and_the_median_of_each_input() -> None:
    shown = axes()
    plots.energy_trace(shown, RESULT.trace, RESULT.inputs, warm_up=12)
    assert len(shown.lines) == 8 + 2
    # of 60 steps the window is one
    for number in (0, 1):
        steps, values = line(shown, f"input {number}")
        assert steps.tolist() == list(range(1, 61))
        assert values.tolist() == np.median(RESULT.trace[:, RESULT.inputs == number], axis=1).tolist()
    assert words(shown) == ["input 0", "input 1", "warm-up"]
    thin, bold = shown.lines[0], shown.lines[4]
    assert thin.get_linewidth() < bold.get_linewidth()


def test_autocorrelation_is_that_of_the_draws_after_the_warm_up() -> None:
    shown = RESULT.plot(warm_up=20).axes[1]
    for number in (0, 1):
        lags, values = line(shown, f"input {number}")
        most = int(lags[-1])
        expected = autocorrelation(RESULT.trace[20:, RESULT.inputs == number].T, most)
        assert values.tolist() == expected.tolist()
    band = shown.patches[0].get_extents().transformed(shown.transData.inverted())
    assert band.y1 == pytest.approx(1.96 / math.sqrt(40 * 4))


def test_histograms_hold_every_draw_once() -> None:
    shown = RESULT.plot().axes[2]
    filled = shown.patches[::2]
    assert len(filled) == 2
    for patch in filled:
        heights = np.asarray(patch.get_data().values)  # type: ignore[attr-defined]
        assert heights.sum() == pytest.approx(1)


def test_a_ladder_shows_its_rungs() -> None:
    run = generations(("abb",), ladder=True)
    shown = run.plot().axes[2]
    assert words(shown) == ["T = 1", "T = 2", "T = 4"]
    outlines = shown.patches[1::2]
    for rung, patch in enumerate(outlines):
        values, edges, _ = patch.get_data()  # type: ignore[attr-defined]
        draws = run.recorded["rung energies"][12:, :, rung]
        assert np.asarray(values).tolist() == (np.histogram(draws, edges)[0] / draws.size).tolist()
    assert words(replace(run, recorded={"rung energies": run.recorded["rung energies"]}).plot().axes[2])[0] == "rung 1"


def test_acceptance_is_that_of_the_moves() -> None:
    shown = axes()
    plots.acceptance(shown, {"replace": (30, 40), "$swap$": (1, 8), "never": (0, 0)})
    assert [patch.get_width() for patch in shown.patches] == [0.75, 0.125]  # type: ignore[attr-defined]
    assert [text.get_text() for text in shown.texts] == ["75.0% of 40", "12.5% of 8"]
    # dollars would be read as mathematics
    assert [label.get_text() for label in shown.get_yticklabels()] == ["replace", r"\$swap\$"]
    assert len(generations(steps=0).plot().axes[3].patches) == 0


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda: generations(steps=0), id="no steps"),
        pytest.param(lambda: generations(steps=1, warm_up=0), id="one step"),
        pytest.param(lambda: generations(("ab",), chains=1), id="one chain"),
        pytest.param(lambda: generations(("ab",) * 9), id="more inputs than colours"),
        pytest.param(lambda: replace(RESULT, trace=np.full((60, 8), 3.0)), id="constant"),
        pytest.param(lambda: replace(RESULT, trace=np.full((60, 8), math.inf)), id="all forbidden"),
        pytest.param(lambda: replace(RESULT, trace=np.where(RESULT.trace > 0.8, math.inf, RESULT.trace)), id="inf"),
    ],
)
def test_any_run_can_be_plotted(run: Any) -> None:
    shown = run().plot()
    shown.draw_without_rendering()
    assert len(shown.axes) == 4


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "textsearch.result.plots")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'textsearch-sampling\[plots\]'"):
        RESULT.plot()


def test_no_window_is_needed() -> None:
    """pyplot would look for one, and keep every figure alive."""
    script = """
import sys
import numpy as np
from textsearch.result.plots import figure
figure(np.random.default_rng(0).normal(size=(20, 4)), np.zeros(4, dtype=int), {"swap": (1, 2)})._repr_png_()
print("matplotlib.pyplot" in sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
