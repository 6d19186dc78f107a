"""Rules that end an input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.run.toys import (
    INPUTS,
    QUICK,
    differences,
    flow,
    wave,
    whole,
)
from textsearch import FunctionObjective
from textsearch.result.diagnostics import statistics
from textsearch.run.until import Converged, Reached, Settled


def test_a_settled_input_has_met_nothing_better_for_so_long() -> None:
    run = whole(QUICK, steps=80)
    answers = flow(QUICK, steps=80, until=Settled(patience=12))
    assert differences(answers, run) == []
    for number, answer in answers.items():
        assert answer.result is not None
        start = 2.0 * wave(INPUTS[number], number) + abs(len(INPUTS[number]) - 4)
        lowest = np.minimum.accumulate([start, *run.trace[:, run.inputs == number].min(1)])
        ends = [step for step in range(12, 81) if lowest[step] == lowest[step - 12]]
        assert answer.result.steps == ends[0]
    assert len({answer.result.steps for answer in answers.values() if answer.result}) > 3


def test_an_input_ends_when_it_has_reached_its_target() -> None:
    run = whole(QUICK, steps=40)
    answers = flow(QUICK, steps=40, until=Reached(-2.0))
    assert differences(answers, run) == []
    for number, answer in answers.items():
        assert answer.result is not None
        below = (run.trace[:, run.inputs == number].min(1) <= -2.0).nonzero()[0]
        assert answer.result.steps == (below[0] + 1 if len(below) else 40)


def test_each_input_converges_by_itself() -> None:
    few = FunctionObjective(lambda texts: [0.7 * text.count("a") for text in texts], name="few a")
    changes: dict[str, Any] = {"objective": few, "chains": 4, "steps": 200}
    run = whole(QUICK, INPUTS[:3], **changes)
    answers = flow(QUICK, INPUTS[:3], until=Converged(r_hat=1.3, ess=15, every=20), batch_inputs=2, **changes)
    for number, answer in answers.items():
        looks = [statistics(run.trace[:step, run.inputs == number].T) for step in range(20, 201, 20)]
        good = [one.r_hat <= 1.3 and min(one.ess_bulk, one.ess_tail) >= 15 for one in looks]
        assert answer.result is not None
        assert answer.result.steps == 20 * (good.index(True) + 1)


@pytest.mark.parametrize("patience", [0, -3, 2.5, True])
def test_patience_is_a_number_of_steps(patience: Any) -> None:
    with pytest.raises(ValueError, match="patience="):
        Settled(patience)
