"""Bad inputs and Ctrl-C: the others lose nothing."""

from __future__ import annotations

import inspect
import math
import sys
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.run.toys import (
    INPUTS,
    QUICK,
    STEPS,
    TOTAL,
    WALK,
    Wave,
    by_number,
    differences,
    flow,
    own_end,
    whole,
)
from textsearch import Answer, FunctionObjective, generate_each
from textsearch.batch import Batch
from textsearch.objective import Objective
from textsearch.run import admission as each


class Strict(Objective):
    """Refuses "bcbc" beforehand, forbids input 5 its start, and is nan at whatever input 4 moves to."""

    def __init__(self, turns_bad: bool = True) -> None:
        self.turns_bad = turns_bad

    def check(self, batch: Batch) -> None:
        if "bcbc" in batch.texts():
            raise ValueError("bcbc is beyond me")

    def energy(self, batch: Batch) -> Tensor:
        return torch.tensor(list(map(self._one, batch.texts(), batch.inputs.tolist())), dtype=torch.float64)

    def _one(self, text: str, number: int) -> float:
        if (text, number) == ("cab", 5):
            return math.inf
        return math.nan if self.turns_bad and number == 4 and text != "aa" else 0.0


@pytest.mark.parametrize("batch_inputs", [1, 3, 9])
def test_a_bad_input_stops_no_other(batch_inputs: int) -> None:
    inputs = [*INPUTS, "bcbc", "zz"]
    answers = flow(QUICK, inputs, objective=TOTAL + Strict(), batch_inputs=batch_inputs, until=None)
    assert sorted(answers) == list(range(9))
    errors = {number: str(answer.error) for number, answer in answers.items() if not answer.result}
    assert sorted(errors) == [4, 5, 7, 8]
    for number, said in ((4, "nan for row"), (5, "forbidden"), (7, "bcbc is beyond me"), (8, "'zz' holds")):
        assert said in errors[number]
    # the others as in a run in which nothing is wrong
    fine = {number: answer for number, answer in answers.items() if answer.result}
    run = whole(QUICK, [*INPUTS[:5], "ca", *INPUTS[6:]], objective=TOTAL + Strict(turns_bad=False))
    assert differences(fine, run) == []


def test_an_error_that_no_input_has_alone_is_not_swallowed() -> None:
    def broken(texts: list[str]) -> list[float]:
        raise RuntimeError("broken")

    answers = flow(WALK, objective=FunctionObjective(broken))
    assert {answer.error for answer in answers.values()} == {"RuntimeError: broken"}
    assert all(isinstance(answer.cause, RuntimeError) and answer.partial is None for answer in answers.values())

    def shy(texts: list[str]) -> list[float]:
        if len(texts) > 4:
            raise ValueError("too many")
        return [0.0] * len(texts)

    with pytest.raises(ValueError, match="too many"):
        flow(WALK, objective=FunctionObjective(shy))


def test_control_c_keeps_what_is_done() -> None:
    run = whole(QUICK)
    counts = set()
    for last in range(2, 26, 4):
        calls = 0

        def slow(texts: list[str], last: int = last) -> list[float]:
            nonlocal calls
            calls += 1
            if calls == last:
                raise KeyboardInterrupt
            return [abs(len(text) - 4) for text in texts]

        answers = flow(QUICK, objective=2.0 * Wave() + FunctionObjective(slow, name="length"))
        assert calls == last
        assert differences(answers, run) == []
        stopped = [number for number, answer in answers.items() if answer.result and answer.result.interrupted]
        assert stopped == list(answers)[-len(stopped) :] and 1 <= len(stopped) <= 3
        counts.add(len(answers))
    assert len(counts) > 2

    def batch_inputs(texts: list[str]) -> list[float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flow(QUICK, objective=FunctionObjective(batch_inputs))


def interrupted_at(code: Any, line: int, visit: int) -> list[Answer]:
    """The answers if Ctrl-C arrives at a visit of a line.

    A visit comes from another line: a comprehension in the line may be told of once for each of its elements, or not at
    all, as the version of Python has it.
    """
    visits, before_it = 0, 0

    def trace_lines(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal visits, before_it
        if event == "line":
            visits += frame.f_lineno == line != before_it
            arrives = frame.f_lineno == line != before_it and visits == visit
            before_it = frame.f_lineno
            if arrives:
                raise KeyboardInterrupt
        return trace_lines

    def trace_calls(frame: FrameType, event: str, argument: object) -> Any:
        return trace_lines if frame.f_code is code else None

    before = sys.gettrace()
    sys.settrace(trace_calls)
    try:
        settings: dict[str, Any] = {"steps": STEPS, "seed": 3, "chains": 2, "batch_inputs": 2, "until": own_end}
        return list(generate_each(TOTAL, QUICK, INPUTS[:3], **settings))
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("name", ["_answers", "_moved"])
def test_control_c_on_any_line_leaves_whole_steps(name: str) -> None:
    """Nobody is told twice, nobody who was there is left out, and each step counts in full or not at all."""
    run = whole(QUICK)
    source, first = inspect.getsourcelines(getattr(each, name))
    code = getattr(each, name).__code__
    begin = next((at for at, line in enumerate(source) if line.strip() == "try:"), 0)
    end = next((at for at, line in enumerate(source) if "except KeyboardInterrupt" in line), len(source))
    for line in range(first + begin + 1, first + end):
        answers = interrupted_at(code, line, 5)
        assert differences(by_number(answers), run) == []
        whole_numbers = [answer.number for answer in answers]
        assert sorted(whole_numbers) == list(range(len(whole_numbers)))
