"""Rules that end a run before its last step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from samplers import MetropolisHastings
from samplers.proposals import Replace
from textsearch import FunctionObjective, Generations, generate
from textsearch.result.diagnostics import statistics
from textsearch.run.until import Budget, Converged
from textsearch.testing import TableMaskedLM, letters

MODEL = TableMaskedLM.random(letters("abc"), seed=0)
FEW = FunctionObjective(lambda texts: [0.7 * text.count("a") for text in texts], name="few a")


def run(**changes: Any) -> Generations:
    arguments: dict[str, Any] = {"steps": 4000, "seed": 0, "chains": 6} | changes
    return generate(FEW, MetropolisHastings(Replace(MODEL)), ["aa", "cb"], **arguments)


def agreement(result: Generations, last: int) -> list[tuple[float, float]]:
    """R-hat and effective draws of each input's energies after the warm-up, up to step `last`."""
    found = [statistics(result.trace[result.warm_up : last, result.inputs == number].T) for number in (0, 1)]
    return [(one.r_hat, min(one.ess_bulk, one.ess_tail)) for one in found]


def test_a_run_ends_at_the_first_look_at_which_every_input_has_converged() -> None:
    result = run(until=Converged(r_hat=1.1, ess=60, every=10), warm_up=10, chains=12)
    assert (result.steps - 10) % 10 == 0 and 10 < result.steps < 4000
    assert not result.interrupted
    assert all(r_hat <= 1.1 and ess >= 60 for r_hat, ess in agreement(result, result.steps))
    for look in range(20, result.steps, 10):
        assert any(r_hat > 1.1 or ess < 60 for r_hat, ess in agreement(result, look))


def test_a_run_that_ends_early_is_the_beginning_of_a_longer_one() -> None:
    early = run(until=Budget(rows=500))
    np.testing.assert_array_equal(early.trace, run(steps=100).trace[: early.steps])


def test_chains_that_never_move_do_not_converge() -> None:
    stuck = FunctionObjective(lambda texts: [0.0 if text == "aaaa" else math.inf for text in texts], name="stuck")
    sampler = MetropolisHastings(Replace(MODEL))
    rule = Converged(r_hat=1.5, ess=1, every=5)
    assert generate(stuck, sampler, ["aaaa"], steps=40, seed=0, chains=4, until=rule).steps == 40


@pytest.mark.parametrize("unit", ["rows", "passes", "tokens"])
def test_the_step_that_spends_the_budget_is_the_last(unit: str) -> None:
    result = run(until=Budget(**{unit: 60}))
    spent = sum(getattr(usage, unit) for usage in result.usage.values())
    before = run(steps=result.steps - 1)
    assert sum(getattr(usage, unit) for usage in before.usage.values()) < 60 <= spent


def test_time_is_a_budget_too() -> None:
    assert run(until=Budget(seconds=1e-6)).steps == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Budget(), "no limit"),
        (lambda: Budget(rows=0), "rows=0"),
        (lambda: Converged(r_hat=1.0), r"r_hat=1\.0"),
        (lambda: Converged(ess=0), "ess=0"),
        (lambda: Converged(every=0), "every=0"),
    ],
)
def test_rules_that_cannot_be_meant(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
