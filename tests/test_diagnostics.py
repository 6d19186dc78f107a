"""Diagnostics: known answers, and what they refuse."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from samplers import MetropolisHastings
from samplers.proposals import Replace
from textsearch import FunctionObjective, Generations, generate
from textsearch.diagnostics import distinct_n, statistics, summary, to_arviz, unique_rate
from textsearch.testing import TableMaskedLM, letters

ROOT = Path(__file__).parent.parent
Floats = NDArray[np.float64]


def normal(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=shape)


def autoregressive(rho: float, chains: int = 4, draws: int = 20_000) -> Floats:
    """AR(1) chains that start on their law, a standard normal one: x' = rho x + sqrt(1 - rho^2) e."""
    noise = normal(chains, draws)
    found = np.empty_like(noise)
    found[:, 0] = noise[:, 0]
    for draw in range(1, draws):
        found[:, draw] = rho * found[:, draw - 1] + math.sqrt(1 - rho**2) * noise[:, draw]
    return found


def generations(inputs: tuple[str, ...] = ("abb", "bb"), **arguments: Any) -> Generations:
    sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    few = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    settings: dict[str, Any] = {"steps": 150, "seed": 0, "chains": 4, "keep_every": 2} | arguments
    return generate(few, sampler, list(inputs), **settings)


RESULT = generations()


def number(table: pd.DataFrame, row: int, column: str) -> float:
    return float(table[column].to_numpy()[row])


def test_independent_draws() -> None:
    draws = 3.0 + 2.0 * normal(4, 5000)
    found = statistics(draws)
    assert found.mean == pytest.approx(draws.mean())
    assert found.sd == pytest.approx(draws.std(ddof=1))
    assert abs(found.r_hat - 1) < 0.002
    assert found.ess_bulk == pytest.approx(20_000, rel=0.05)
    assert found.ess_tail == pytest.approx(20_000, rel=0.05)
    assert found.mcse == pytest.approx(2 / math.sqrt(20_000), rel=0.05)
    # the difference of two independent draws has twice the variance
    assert found.jump == pytest.approx(2 * 4.0, rel=0.05)


@pytest.mark.parametrize("rho", [0.5, 0.9, -0.5])
def test_draws_that_depend_on_the_last(rho: float) -> None:
    """An AR(1) process has n (1 - rho) / (1 + rho) effective draws.

    Sums of about 5 correlation times of 80,000 draws are known to 2% at rho = 0.5 and to 7% at 0.9.
    """
    draws = autoregressive(rho)
    found = statistics(draws)
    effective = draws.size * (1 - rho) / (1 + rho)
    assert found.ess_bulk == pytest.approx(effective, rel=0.2)
    assert found.mcse == pytest.approx(1 / math.sqrt(effective), rel=0.1)
    assert found.jump == pytest.approx(2 * (1 - rho), rel=0.05)
    assert found.r_hat < 1.01


def test_chains_apart_have_a_large_r_hat() -> None:
    draws = normal(4, 1000)
    assert statistics(draws + np.array([[0.0], [0.0], [0.0], [3.0]])).r_hat > 1.2
    assert statistics(draws + 20 * np.arange(4.0)[:, None]).r_hat > 2
    # the same middle with other tails: folding finds it
    assert statistics(draws * np.array([[1.0], [1.0], [1.0], [10.0]])).r_hat > 1.1


def test_chains_that_drift_have_a_large_r_hat() -> None:
    """Each chain is compared with itself as well: its first half with its second."""
    assert statistics(normal(4, 1000) + np.linspace(0, 10, 1000)).r_hat > 1.5


def test_chains_that_never_move() -> None:
    constant = statistics(np.full((4, 50), 2.5))
    assert (constant.mean, constant.sd, constant.mcse, constant.jump) == (2.5, 0.0, 0.0, 0.0)
    assert all(math.isnan(value) for value in (constant.r_hat, constant.ess_bulk, constant.ess_tail))
    stuck = statistics(np.arange(4.0)[:, None] * np.ones(50))
    assert stuck.r_hat == math.inf
    assert stuck.ess_bulk < 10


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_must_be_finite(value: float) -> None:
    draws = normal(2, 10)
    draws[1, 3] = value
    with pytest.raises(ValueError, match=f"draw 3 of chain 1 is {value}"):
        statistics(draws)


def test_too_few_chains_or_draws() -> None:
    with pytest.raises(ValueError, match="chains=1 tells nothing"):
        statistics(normal(1, 100))
    with pytest.raises(ValueError, match="3 draws a chain are too few"):
        statistics(normal(4, 3))
    with pytest.raises(ValueError, match=r"shape \(5,\) must be \(chains, draws\)"):
        statistics(normal(5))
    assert statistics(normal(2, 4)).r_hat > 0


def test_summary_has_the_statistics_of_each_input() -> None:
    table = summary(RESULT, warm_up=50)
    assert table["input"].tolist() == [0, 1]
    assert table["quantity"].tolist() == ["energy"] * 2
    assert table["chains"].tolist() == [4, 4]
    assert table["draws"].tolist() == [100, 100]
    for one in range(2):
        # rows are ordered by input, then by chain
        found = statistics(RESULT.trace[50:, 4 * one : 4 * one + 4].T)
        assert number(table, one, "mean") == found.mean
        assert number(table, one, "r_hat") == found.r_hat
        assert number(table, one, "ess_tail") == found.ess_tail
    assert number(table, 0, "mean") != number(table, 1, "mean")


def test_summary_covers_the_truth() -> None:
    """Of "few a", 3 independent letters: the mean energy is 3 * 0.5 * P(a), with odds exp(-0.5)."""
    table = summary(generations(("abb",), steps=120, chains=50), warm_up=20)
    odds = math.exp(-0.5)
    assert abs(number(table, 0, "mean") - 1.5 * odds / (1 + odds)) < 4 * number(table, 0, "mcse")
    assert number(table, 0, "mcse") < 0.04


def test_summary_of_quantities_of_the_kept_texts() -> None:
    table = summary(RESULT, warm_up=50, quantities={"a": lambda text: text.count("a"), "letters": len})
    assert table["quantity"].tolist() == ["energy", "a", "letters"] * 2
    assert table["draws"].tolist() == [100, 50, 50] * 2
    kept = RESULT.samples[25:]
    assert RESULT.sample_steps[25] == 52
    counts = np.array([[text.count("a") for text in texts[:4]] for texts in kept])
    assert number(table, 1, "mean") == pytest.approx(counts.mean())
    assert number(table, 2, "mean") == 3
    assert math.isnan(number(table, 2, "r_hat"))


def test_summary_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="energy of input 0: chains=1 tells"):
        summary(generations(chains=1, steps=10))
    with pytest.raises(ValueError, match="energy of input 0: 2 draws a chain are too few"):
        summary(RESULT, warm_up=148)
    with pytest.raises(ValueError, match=r"no samples were kept after step 0 .* keep_every"):
        summary(generations(keep_every=None, steps=10), quantities={"letters": len})
    with pytest.raises(ValueError, match="another name"):
        summary(RESULT, quantities={"energy": len})


@pytest.mark.parametrize("warm_up", [-1, 150, 1.5, True])
@pytest.mark.parametrize("function", [summary, to_arviz])
def test_warm_up_must_be_a_number_of_steps(function: Any, warm_up: Any) -> None:
    with pytest.raises(ValueError, match=f"warm_up={warm_up}"):
        function(RESULT, warm_up=warm_up)


def test_arviz_gets_the_trace() -> None:
    data = to_arviz(RESULT, warm_up=50)
    energy = data["posterior"]["energy"]
    assert energy.dims == ("chain", "draw", "input")
    for one in range(2):
        for chain in range(4):
            row = 4 * one + chain
            assert energy.sel(input=one, chain=chain).values.tolist() == RESULT.trace[50:, row].tolist()
    assert data["warmup_posterior"]["energy"].shape == (4, 50, 2)
    assert data.attrs["guarantee"] == "exact"


def test_arviz_without_warm_up_and_of_few_steps() -> None:
    data = to_arviz(generations(steps=2))
    assert data.groups() == ["posterior"]
    assert data["posterior"]["energy"].shape == (4, 2, 2)


def test_arviz_wants_as_many_chains_of_each_input() -> None:
    uneven = replace(RESULT, inputs=np.array([0] * 3 + [1] * 5))
    with pytest.raises(ValueError, match="3 of input 0, 5 of input 1"):
        to_arviz(uneven)
    assert summary(uneven)["chains"].tolist() == [3, 5]


def test_unique_rate() -> None:
    assert unique_rate(["a", "b", "c"]) == 1
    assert unique_rate(["a"] * 4) == 0.25
    with pytest.raises(ValueError, match="texts is empty"):
        unique_rate([])


def test_distinct_n() -> None:
    assert distinct_n(["a b a b"], n=1) == 0.5
    assert distinct_n(["a b a b"], n=2) == pytest.approx(2 / 3)
    # n-grams do not reach from one text into the next
    assert distinct_n(["a b", "b a"], n=2) == 1
    assert distinct_n(["我我"], n=1, words=list) == 0.5
    assert math.isnan(distinct_n(["a", ""], n=2))
    with pytest.raises(ValueError, match="n=0"):
        distinct_n(["a"], n=0)


def test_without_arviz_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arviz", None)
    for call in (lambda: statistics(normal(2, 10)), lambda: summary(RESULT), lambda: to_arviz(RESULT)):
        with pytest.raises(ImportError, match=r"pip install 'textsearch-sampling\[diagnostics\]'"):
            call()
    assert unique_rate(["a"]) == 1


@pytest.mark.parametrize("statement", ["import textsearch", "import textsearch.diagnostics"])
def test_arviz_is_loaded_late(statement: str) -> None:
    script = f"{statement}\nimport sys\nprint(sorted({{'arviz', 'pandas', 'matplotlib', 'torch'}} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "arviz" not in answer.stdout
    assert "pandas" not in answer.stdout
