"""Diagnostics: known answers, and what they refuse; of arrays, of texts, and of a run."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from objectives import Length
from samplers import MaskedResampling, MetropolisHastings, ParallelTempering
from samplers.proposals import InsertDelete, Replace
from textsearch import FunctionObjective, Generations, generate
from textsearch.models.usage import Usage
from textsearch.result.diagnostics import (
    autocorrelation,
    distinct_n,
    edit_distance,
    measured,
    running_median,
    statistics,
    to_arviz,
    unique_rate,
)
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


SHORT: dict[str, Any] = {"steps": 40, "seed": 0, "chains": 8}


@cache
def generations(inputs: tuple[str, ...] = ("abb", "bb"), **arguments: Any) -> Generations:
    sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    few = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    settings: dict[str, Any] = {"steps": 150, "seed": 0, "chains": 4, "thin": 2} | arguments
    return generate(few, sampler, list(inputs), **settings)


RESULT = generations()


def number(table: pd.DataFrame, one: int, quantity: str, column: str) -> float:
    return float(table[column].to_dict()[one, quantity])


def quantities(table: pd.DataFrame, one: int = 0) -> list[str]:
    return [quantity for number, quantity in table.index.tolist() if number == one]


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
    table = RESULT.summary(warm_up=50)
    assert table.index.names == ["input", "quantity"]
    assert quantities(table) == quantities(table, 1) == ["energy", "tokens", "edits (characters)"]
    assert set(table["chains"]) == {4}
    for one in range(2):
        # rows are ordered by input, then by chain
        found = statistics(RESULT.trace[50:, 4 * one : 4 * one + 4].T)
        assert number(table, one, "energy", "draws") == 100
        assert number(table, one, "edits (characters)", "draws") == 50
        assert number(table, one, "energy", "mean") == found.mean
        assert number(table, one, "energy", "r_hat") == found.r_hat
        assert number(table, one, "energy", "ess_tail") == found.ess_tail
        # the length never changes
        assert number(table, one, "tokens", "mean") == [3, 2][one]
        assert math.isnan(number(table, one, "tokens", "ess_bulk"))
    assert number(table, 0, "energy", "mean") != number(table, 1, "energy", "mean")


def test_summary_leaves_out_the_run_s_own_warm_up() -> None:
    warmed = generations(warm_up=50)
    pd.testing.assert_frame_equal(
        warmed.summary().drop(columns="ess_per_second"), RESULT.summary(warm_up=50).drop(columns="ess_per_second")
    )
    assert number(warmed.summary(warm_up=0), 0, "energy", "draws") == 150


def test_summary_says_what_the_draws_cost() -> None:
    """An input of 4 of the 8 chains has half of the time and half of what models read."""
    paid = replace(RESULT, seconds=20.0, usage={"one": Usage(rows=3000), "two": Usage(rows=1000)})
    table = paid.summary()
    for one in range(2):
        ess = number(table, one, "energy", "ess_bulk")
        assert number(table, one, "energy", "ess_per_second") == pytest.approx(ess / 10)
        assert number(table, one, "energy", "ess_per_1000_rows") == pytest.approx(ess / 2)
    assert math.isnan(number(replace(RESULT, usage={}).summary(), 0, "energy", "ess_per_1000_rows"))


def test_summary_covers_the_truth() -> None:
    """Of "few a", 3 independent letters: the mean energy is 3 * 0.5 * P(a), with odds exp(-0.5)."""
    table = generations(("abb",), steps=120, chains=50).summary(warm_up=20)
    odds = math.exp(-0.5)
    error = number(table, 0, "energy", "mcse")
    assert abs(number(table, 0, "energy", "mean") - 1.5 * odds / (1 + odds)) < 4 * error
    assert error < 0.04


def test_summary_of_quantities_of_the_kept_texts() -> None:
    table = RESULT.summary(warm_up=50, quantities={"a": lambda text: text.count("a"), "letters": len})
    assert quantities(table) == ["energy", "tokens", "edits (characters)", "a", "letters"]
    kept = RESULT.samples[25:]
    assert RESULT.sample_steps[25] == 52
    counts = np.array([[text.count("a") for text in texts[:4]] for texts in kept])
    assert number(table, 0, "a", "mean") == pytest.approx(counts.mean())
    assert number(table, 0, "letters", "mean") == 3
    assert math.isnan(number(table, 0, "letters", "r_hat"))


def test_summary_of_edits_counts_from_the_input() -> None:
    """Texts of as many letters that are only ever replaced: edits are the letters that differ."""
    table = RESULT.summary(warm_up=50)
    for one, start in enumerate(("abb", "bb")):
        mine = [text for texts in RESULT.samples[25:] for text in texts[4 * one : 4 * one + 4]]
        # in two and three letters of two kinds no detour is shorter
        edits = np.mean([reference_distance(list(text), list(start)) for text in mine])
        assert number(table, one, "edits (characters)", "mean") == pytest.approx(edits)
    spaced = replace(RESULT, samples=[[" ".join(text) for text in texts] for texts in RESULT.samples])
    assert "edits (words)" in quantities(spaced.summary())


def test_summary_has_the_terms_of_a_sum() -> None:
    """Terms named as ours are told apart; one that never changes does no harm, nor does one not always needed."""
    model = TableMaskedLM.random(letters("ab"), seed=0)
    few = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="energy")
    same = FunctionObjective(lambda texts: [1.0] * len(texts), name="same")
    run = generate(few + same + Length(mean=2, sd=1), MetropolisHastings(InsertDelete(model)), ["ab"], **SHORT)
    table = run.summary()
    assert quantities(table) == ["energy", "energy (term)", "same", "length", "tokens"]
    assert number(table, 0, "same", "mean") == 1
    parts = sum(number(table, 0, name, "mean") for name in ("energy (term)", "same", "length"))
    assert number(table, 0, "energy", "mean") == pytest.approx(parts)


def test_summary_of_a_search_through_forbidden_texts() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    no_aa = FunctionObjective(lambda texts: [math.inf if "aa" in text else 0.0 for text in texts], name="no aa")
    few = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    run = generate(no_aa + few, MaskedResampling(model), ["bbb"], **SHORT)
    assert np.isinf(run.trace).any()
    table = run.summary()
    assert math.isnan(number(table, 0, "energy", "mean"))
    assert math.isnan(number(table, 0, "no aa", "r_hat"))
    assert number(table, 0, "tokens", "mean") == 3


def test_summary_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="energy of input 0: chains=1 tells"):
        generations(chains=1, steps=10).summary()
    with pytest.raises(ValueError, match="energy of input 0: 2 draws a chain are too few"):
        RESULT.summary(warm_up=148)
    with pytest.raises(ValueError, match=r"no samples were kept after step 0 .* thin"):
        generations(thin=None, steps=10).summary(quantities={"letters": len})
    with pytest.raises(ValueError, match="another name"):
        RESULT.summary(quantities={"energy": len})
    # too few texts for a statistic of ours are no error, for one of the user's they are
    few = generations(steps=30, thin=10)
    assert quantities(few.summary()) == ["energy", "tokens"]
    with pytest.raises(ValueError, match="letters of input 0: 3 draws a chain are too few"):
        few.summary(quantities={"letters": len})


def test_weighted_draws_are_not_counted_alike() -> None:
    weighted = replace(RESULT, recorded={"log weights": np.zeros((150, 8))})
    for call in (weighted.summary, weighted.to_arviz, weighted.plot):
        with pytest.raises(ValueError, match=r"weighted .* use samplers.importance_summary"):
            call()


@pytest.mark.parametrize("warm_up", [-1, 150, 1.5, True])
@pytest.mark.parametrize("method", ["summary", "to_arviz", "plot", "diversity"])
def test_warm_up_must_be_a_number_of_steps(method: str, warm_up: Any) -> None:
    with pytest.raises(ValueError, match=f"warm_up={warm_up}"):
        getattr(RESULT, method)(warm_up=warm_up)


def test_arviz_gets_the_traces() -> None:
    data = RESULT.to_arviz(warm_up=50)
    assert set(data["posterior"].data_vars) == {"energy", "tokens"}
    energy = data["posterior"]["energy"]
    assert energy.dims == ("chain", "draw", "input")
    for one in range(2):
        for chain in range(4):
            row = 4 * one + chain
            assert energy.sel(input=one, chain=chain).values.tolist() == RESULT.trace[50:, row].tolist()
    assert data["warmup_posterior"]["energy"].shape == (4, 50, 2)
    assert data.attrs["guarantee"] == "exact"
    assert data.attrs["acceptance of replace"] == RESULT.acceptance["replace"].rate
    pd.testing.assert_frame_equal(
        pd.DataFrame(generations(warm_up=50).to_arviz()["posterior"]["energy"].values[..., 0]),
        pd.DataFrame(energy.values[..., 0]),
    )


def test_arviz_gets_what_the_sampler_recorded_of_each_chain() -> None:
    shape = RESULT.trace.shape
    heat = np.arange(shape[0] * shape[1], dtype=np.float64).reshape(shape)
    recorded = {"temperature": heat, "rung energies": np.zeros((150, 3, 8))}
    data = replace(RESULT, recorded=recorded).to_arviz(warm_up=50)
    assert list(data["sample_stats"].data_vars) == ["temperature"]
    assert data["sample_stats"]["temperature"].sel(input=1, chain=2).values.tolist() == heat[50:, 6].tolist()
    assert data["warmup_sample_stats"]["temperature"].shape == (4, 50, 2)


def test_arviz_without_warm_up_and_of_few_steps() -> None:
    data = generations(steps=2).to_arviz()
    # a method of ArviZ 0.23's InferenceData, of 1.x's DataTree the paths
    groups = data.groups() if callable(data.groups) else [path[1:] for path in data.groups[1:]]
    assert groups == ["posterior", "sample_stats"]
    assert list(data["sample_stats"].data_vars) == ["accepted"]
    assert data["posterior"]["energy"].shape == (4, 2, 2)


def test_arviz_wants_as_many_chains_of_each_input() -> None:
    uneven = replace(RESULT, inputs=np.array([0] * 3 + [1] * 5))
    with pytest.raises(ValueError, match="3 of input 0, 5 of input 1"):
        uneven.to_arviz()
    assert number(uneven.summary(), 0, "energy", "chains") == 3
    assert number(uneven.summary(), 1, "energy", "chains") == 5


def test_a_ladder_has_a_summary() -> None:
    chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    few = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    run = generate(few, ParallelTempering(chain, (1, 2)), ["aaa"], **SHORT)
    assert number(run.summary(), 0, "energy", "r_hat") < 1.5
    assert "energy" in run.to_arviz()["posterior"]


def test_diversity() -> None:
    table = RESULT.diversity(warm_up=140)
    kept = [text for texts in RESULT.samples[70:] for text in texts[:4]]
    assert table["texts"].tolist() == [20, 20]
    assert table["unique"].tolist()[0] == len(set(kept)) / 20
    assert table["distinct_2"].tolist()[0] == distinct_n(kept, 2, list)
    final = generations(thin=None, steps=10).diversity()
    assert final["texts"].tolist() == [4, 4]


@pytest.mark.parametrize("rho", [0.5, 0.9, -0.5])
def test_autocorrelation_of_draws_that_depend_on_the_last(rho: float) -> None:
    """rho^k, and the standard error of a correlation of n draws is at most sqrt((1 + rho^2) / (1 - rho^2) / n)."""
    found = autocorrelation(autoregressive(rho), most=10)
    error = math.sqrt((1 + rho**2) / (1 - rho**2) / 80_000)
    assert np.abs(found - rho ** np.arange(11)).max() < 5 * error
    # the control: another process is told apart
    assert np.abs(found - (rho - 0.1) ** np.arange(11)).max() > 5 * error


def test_autocorrelation_against_its_definition() -> None:
    draws = normal(3, 40).cumsum(1)
    centred = draws - draws.mean()
    plain = [(centred[:, : 40 - lag] * centred[:, lag:]).mean() for lag in range(15)]
    np.testing.assert_allclose(autocorrelation(draws, 14), np.array(plain) / plain[0], atol=1e-12)


def test_chains_apart_stay_correlated() -> None:
    draws = normal(4, 1000)
    assert abs(autocorrelation(draws, 5)[1:]).max() < 0.1
    assert autocorrelation(draws + 20 * np.arange(4.0)[:, None], 5).min() > 0.9
    assert np.isnan(autocorrelation(np.ones((2, 10)), 3)).all()
    with pytest.raises(ValueError, match="most=10 must be a lag below the 10 draws"):
        autocorrelation(draws[:, :10], 10)


def test_running_median() -> None:
    values = normal(50, 3)
    found = running_median(values, 7)
    middle = np.median(values, axis=1)
    assert found.tolist() == [float(np.median(middle[max(at - 3, 0) : at + 4])) for at in range(50)]
    assert running_median(values, 1).tolist() == middle.tolist()
    assert np.isnan(running_median(np.full((3, 2), math.nan), 1)).all()


def reference_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Levenshtein's, cell by cell."""
    above = list(range(len(other) + 1))
    for row, mine in enumerate(one, 1):
        left = [row]
        for column, theirs in enumerate(other, 1):
            left.append(min(above[column] + 1, left[-1] + 1, above[column - 1] + (mine != theirs)))
        above = left
    return above[-1]


@pytest.mark.parametrize("cut", [list, str.split])
def test_edit_distance_is_levenshtein_s(cut: Any) -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ab "), size=rng.integers(0, 9))) for _ in range(400)]
    one, other = texts[:200], texts[200:]
    found = edit_distance(one, other, cut).tolist()
    assert found == [reference_distance(cut(a), cut(b)) for a, b in zip(one, other, strict=True)]
    assert found == edit_distance(other, one, cut).tolist()
    # the control: counting the places that differ is something else
    shift = [sum(a != b for a, b in zip(cut(x), cut(y), strict=False)) for x, y in zip(one, other, strict=True)]
    assert found != shift
    assert edit_distance([], [], cut).tolist() == []
    assert edit_distance(["", ""], ["", "a"], cut).tolist() == [0, 1]


def test_each_text_is_measured_once() -> None:
    asked: list[str] = []

    def length(text: str) -> float:
        asked.append(text)
        return len(text)

    assert measured([["a", "bb"], ["bb", "a"]], length).tolist() == [[1, 2], [2, 1]]
    assert asked == ["a", "bb"]


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
    for call in (
        lambda: statistics(normal(2, 10)),
        RESULT.summary,
        RESULT.to_arviz,
        lambda: to_arviz({}, RESULT.inputs),
    ):
        with pytest.raises(ImportError, match=r"pip install 'textsearch-sampling\[diagnostics\]'"):
            call()
    assert unique_rate(["a"]) == 1


@pytest.mark.parametrize(
    "statement", ["import textsearch.result.diagnostics", "import textsearch.result, textsearch.run.loop"]
)
def test_heavy_libraries_are_loaded_late(statement: str) -> None:
    script = f"{statement}\nimport sys\nprint(sorted({{'arviz', 'pandas', 'matplotlib', 'xarray'}} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
