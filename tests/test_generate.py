"""`generate`: its arguments, its bookkeeping, and how it can be stopped."""

from __future__ import annotations

import inspect
import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers import MetropolisHastings, ParallelTempering, SimulatedAnnealing
from samplers.proposals import InsertDelete, Mixture, Replace
from textsearch import FunctionObjective, Generations, Guarantee, Progress, generate
from textsearch.batch import Batch
from textsearch.objective import Objective
from textsearch.run.loop import run
from textsearch.schedule import constant
from textsearch.testing import TableMaskedLM, letters

VOCABULARY = letters("abc")
MODEL = TableMaskedLM.random(VOCABULARY, seed=0)
REPLACE = MetropolisHastings(Replace(MODEL))
SAMPLER = MetropolisHastings(Mixture({Replace(MODEL, max_length=8): 1.0, InsertDelete(MODEL, max_length=8): 1.0}))
INPUTS = ["abc", "c", "bbbb"]


def score(text: str) -> float:
    """Different for all short texts."""
    return sum(math.sqrt(position + 1.5) * math.sin(ord(letter)) for position, letter in enumerate(text))


WAVE = FunctionObjective(lambda texts: [score(text) for text in texts], name="wave")
LENGTH = FunctionObjective(lambda texts: [abs(len(text) - 4) for text in texts], name="length")
NO_CC = FunctionObjective(lambda texts: [math.inf if "cc" in text else 0.0 for text in texts], name="no cc")
TOTAL = NO_CC + 2.0 * WAVE + LENGTH


def total(text: str) -> float:
    return 2.0 * score(text) + abs(len(text) - 4)


def small(**changes: Any) -> Generations:
    """A short run, but for what a test changes."""
    arguments: dict[str, Any] = {"steps": 12, "seed": 0, "chains": 2} | changes
    inputs = arguments.pop("inputs", INPUTS)
    objective, sampler = arguments.pop("objective", TOTAL), arguments.pop("sampler", SAMPLER)
    return generate(objective, sampler, inputs, **arguments)


def assert_consistent(result: Generations) -> None:
    """What holds of every result, however the run ended."""
    rows = len(result)
    assert rows == len(result.best_texts) == len(result.inputs) == len(result.energies) == len(result.best_energies)
    assert result.trace.shape == (result.steps, rows)
    assert sum(count.proposed for count in result.acceptance.values()) == result.steps * rows
    assert all(0 <= count.accepted <= count.proposed for count in result.acceptance.values())
    # each energy belongs to its text
    np.testing.assert_allclose(result.energies, [total(text) for text in result.texts], atol=1e-12)
    np.testing.assert_allclose(result.best_energies, [total(text) for text in result.best_texts], atol=1e-12)
    for energies, terms in ((result.energies, result.terms), (result.best_energies, result.best_terms)):
        assert list(terms) == ["no cc", "wave", "length"]
        np.testing.assert_allclose(sum(terms.values()), energies, atol=1e-12)
    # the best is the lowest of the start and of every step
    start = [total(result.sources[number]) for number in result.inputs]
    np.testing.assert_array_equal(result.best_energies, np.vstack([start, result.trace]).min(0))
    np.testing.assert_array_equal(result.energies, [start, *result.trace][-1])
    assert result.batch.texts() == result.texts
    assert len(result.samples) == len(result.sample_steps)
    # the traces are of the same texts
    assert list(result.term_traces) == ["no cc", "wave", "length"]
    np.testing.assert_allclose(sum(result.term_traces.values()), result.trace, atol=1e-12)
    np.testing.assert_allclose(result.term_traces["length"], abs(result.length_trace - 4), atol=1e-12)
    for texts, step in zip(result.samples, result.sample_steps, strict=True):
        np.testing.assert_allclose([total(text) for text in texts], result.trace[step - 1], atol=1e-12)


WRONG_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"steps": -1}, "steps=-1"),
    ({"steps": 2.5}, "steps=2.5"),
    ({"steps": "3"}, "steps='3'"),
    ({"steps": True}, "steps=True"),
    ({"steps": None}, "steps=None"),
    ({"chains": 0}, "chains=0"),
    ({"chains": 1.0}, "chains=1.0"),
    ({"chains": None}, "chains=None"),
    ({"warm_up": -1}, "warm_up=-1"),
    ({"warm_up": None}, "warm_up=None"),
    ({"thin": 0}, "thin=0"),
    ({"thin": False}, "thin=False"),
    ({"temperature": 0}, "temperature=0"),
    ({"temperature": -0.5}, "temperature=-0.5"),
    ({"temperature": math.nan}, "temperature=nan"),
    ({"seed": 2**64}, f"seed={2**64}"),
    ({"seed": 1.5}, "seed=1.5"),
    ({"seed": "one"}, "seed='one'"),
    ({"inputs": []}, "inputs is empty"),
    ({"inputs": "abc"}, r"inputs='abc' is one string.*\['abc'\]"),
    ({"inputs": ["ab", 3]}, r"inputs.*3"),
    ({"inputs": letters("abc").encode(["a"])}, "another tokenizer"),
    ({"objective": score}, "score.*FunctionObjective"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_ARGUMENTS, ids=[message for _, message in WRONG_ARGUMENTS])
def test_arguments_that_cannot_be_meant(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        small(**changes)


def test_a_forbidden_start_is_named() -> None:
    with pytest.raises(ValueError, match=r"4 of 6 starting texts are forbidden, the first by no cc: 'acc'"):
        small(inputs=["ab", "acc", "cc"])


def test_a_start_of_nan_is_named() -> None:
    strange = FunctionObjective(lambda texts: [math.nan if text == "bb" else 1.0 for text in texts], name="strange")
    with pytest.raises(ValueError, match=r"'strange' gave nan for row 2, 'bb'"):
        small(objective=strange, inputs=["ab", "bb"])


def test_a_nan_on_the_way_is_named() -> None:
    strange = FunctionObjective(lambda texts: [math.nan if "cc" in text else 1.0 for text in texts], name="strange")
    with pytest.raises(ValueError, match=r"'strange' gave nan for row \d+, '\w*cc\w*'"):
        small(objective=strange, steps=300)


def test_an_error_in_an_energy_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        small(objective=FunctionObjective(lambda texts: [1 / 0 for _ in texts]))


def test_a_term_may_refuse_the_inputs_before_any_energy() -> None:
    @dataclass(frozen=True)
    class Impossible(Objective):
        def check(self, batch: Batch) -> None:
            raise ValueError(f"no text of {len(batch)} inputs will do")

        def energy(self, batch: Batch) -> Tensor:
            raise AssertionError("asked for an energy")

    with pytest.raises(ValueError, match="no text of 3 inputs will do"):
        small(objective=TOTAL + Impossible())


@pytest.mark.parametrize("chains", [1, 3])
@pytest.mark.parametrize("steps", [0, 1, 25])
@pytest.mark.parametrize("thin", [None, 4])
def test_results_are_consistent(chains: int, steps: int, thin: int | None) -> None:
    result = small(chains=chains, steps=steps, thin=thin)
    assert_consistent(result)
    assert result.steps == steps
    assert not result.interrupted
    assert result.sample_steps == ([] if thin is None else list(range(4, steps + 1, 4)))
    assert result.guarantee == Guarantee.EXACT


def test_the_best_is_not_the_last() -> None:
    """Some chain leaves its best text, or the law above could not tell the two apart."""
    result = small(steps=40)
    assert any(best != last for best, last in zip(result.best_texts, result.texts, strict=True))


def test_rows_are_ordered_by_input_then_chain() -> None:
    result = small(sampler=REPLACE, chains=3)
    assert result.inputs.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [result.sources[number] for number in range(3)] == INPUTS
    assert [len(text) for text in result.texts] == [3, 3, 3, 1, 1, 1, 4, 4, 4]
    assert len(set(result.texts[6:])) > 1


def test_no_steps_give_back_the_inputs() -> None:
    result = small(steps=0)
    assert result.texts == result.best_texts == ["abc", "abc", "c", "c", "bbbb", "bbbb"]
    assert result.trace.shape == (0, 6)
    assert all(math.isnan(count.rate) for count in result.acceptance.values())


def test_the_same_seed_gives_the_same_texts() -> None:
    one, same, other = (small(seed=seed, steps=20) for seed in (5, 5, 6))
    assert one.texts == same.texts
    assert one.trace.tolist() == same.trace.tolist()
    assert one.texts != other.texts


def test_temperature_is_that_of_the_draws() -> None:
    cold, hot = small(temperature=0.05, steps=30, chains=6), small(temperature=5.0, steps=30, chains=6)
    assert cold.energies.mean() < hot.energies.mean() - 1
    annealed = small(sampler=SimulatedAnnealing(SAMPLER, constant(0.05)), steps=30, chains=6)
    assert annealed.texts == cold.texts
    assert annealed.guarantee == Guarantee.BIASED


def test_frozen_tokens_stay() -> None:
    batch = VOCABULARY.encode(["abc", "cab"])
    first = torch.tensor([[True, False, False]] * 2)
    result = small(sampler=REPLACE, inputs=batch.frozen(first), steps=30, chains=4)
    assert [text[0] for text in result.texts] == ["a"] * 4 + ["c"] * 4
    assert len({text[1:] for text in result.texts}) > 1


def test_terms_freeze_what_they_want_kept() -> None:
    @dataclass(frozen=True)
    class KeepB(Objective):
        def energy(self, batch: Batch) -> Tensor:
            return torch.zeros(len(batch), dtype=torch.float64)

        def freeze(self, batch: Batch) -> Batch:
            return batch.frozen(batch.tokens == 2)

    result = small(sampler=REPLACE, objective=TOTAL + KeepB(), inputs=["abaa"], steps=40, chains=6)
    assert {text[1] for text in result.texts} == {"b"}


def test_rows_of_a_batch_keep_their_inputs() -> None:
    """Going on with some of the rows of an earlier batch."""
    batch = VOCABULARY.encode(["abc", "c", "bbbb", "aa"])
    result = small(inputs=batch.rows([1, 3]), sampler=REPLACE, steps=3, chains=2)
    assert result.inputs.tolist() == [1, 1, 3, 3]
    assert [len(result.sources[number]) for number in result.inputs.tolist()] == [1, 1, 2, 2]
    assert "c" in str(result)


def test_a_run_can_go_on_from_the_texts_of_another() -> None:
    first = small(steps=5)
    second = generate(TOTAL, SAMPLER, first.batch, steps=0, seed=1)
    assert second.texts == first.texts
    assert second.inputs.tolist() == first.inputs.tolist()


def test_callbacks_see_every_step() -> None:
    seen: list[Progress] = []
    result = small(callbacks=[seen.append], steps=7)
    assert [progress.step for progress in seen] == [1, 2, 3, 4, 5, 6, 7]
    assert {progress.steps for progress in seen} == {7}
    np.testing.assert_array_equal([progress.energies.numpy() for progress in seen], result.trace)
    last = seen[-1]
    assert last.batch.texts() == result.texts
    assert last.best.texts() == result.best_texts
    assert last.best_energies.tolist() == result.best_energies.tolist()
    assert last.best_energy == result.best_energies.min()
    assert total(last.best_text) == pytest.approx(last.best_energy)
    accepted = sum(int(progress.accepted.sum()) for progress in seen)
    assert accepted == sum(count.accepted for count in result.acceptance.values())
    assert last.acceptance == pytest.approx(accepted / 42)
    assert 0 < seen[0].seconds <= last.seconds <= result.seconds


def test_a_callback_stops_the_run() -> None:
    steps: list[int] = []

    def stop(progress: Progress) -> bool:
        steps.append(progress.step)
        return progress.step == 4

    result = small(callbacks=[lambda progress: False, stop, lambda progress: None])
    assert steps == [1, 2, 3, 4]
    assert result.steps == 4
    assert result.interrupted
    assert_consistent(result)
    assert result.trace.tolist() == small(steps=4).trace.tolist()


def test_a_callback_that_stops_after_the_last_step_interrupts_nothing() -> None:
    assert not small(callbacks=[lambda progress: progress.step == progress.steps]).interrupted


def test_an_error_in_a_callback_is_not_swallowed() -> None:
    def fail(progress: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        small(callbacks=[fail])


def interrupt(progress: Progress) -> None:
    if progress.step == 3:
        raise KeyboardInterrupt


def test_control_c_in_a_callback_returns_what_there_is() -> None:
    result = small(callbacks=[interrupt], thin=1)
    assert result.interrupted
    assert result.steps == 3
    assert_consistent(result)


def test_control_c_in_an_energy_returns_what_there_is() -> None:
    calls = 0

    def slow(texts: list[str]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return [abs(len(text) - 4) for text in texts]

    result = small(objective=NO_CC + 2.0 * WAVE + FunctionObjective(slow, name="length"), thin=1)
    assert result.interrupted
    assert result.steps == 4
    assert_consistent(result)


def test_control_c_at_the_start_is_not_swallowed() -> None:
    """Nothing has been computed that could be returned."""

    def slow(texts: list[str]) -> list[float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(objective=FunctionObjective(slow))


def visited_lines(start: Callable[[], Generations], interrupt_line: int = -1) -> Counter[int]:
    """How often each line of `run` was met; Ctrl-C arrives at the third visit of `interrupt_line`."""
    visits: Counter[int] = Counter()

    def trace_lines(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            visits[frame.f_lineno] += 1
            if frame.f_lineno == interrupt_line and visits[interrupt_line] == 3:
                raise KeyboardInterrupt
        return trace_lines

    def trace_calls(frame: FrameType, event: str, argument: object) -> Any:
        return trace_lines if frame.f_code is run.__code__ else None

    before = sys.gettrace()
    sys.settrace(trace_calls)
    try:
        result = start()
    finally:
        sys.settrace(before)
    assert_consistent(result)
    assert result.interrupted == (interrupt_line >= 0)
    return visits


def test_control_c_on_any_line_returns_whole_steps() -> None:
    """An interrupt may arrive between any two lines of the loop: each step is counted in full or not at all."""

    def start() -> Generations:
        return small(steps=5, thin=1, callbacks=[lambda progress: None])

    source, offset = inspect.getsourcelines(run)
    end = offset + next(number for number, line in enumerate(source) if "except KeyboardInterrupt" in line)
    loop = [line for line, visits in visited_lines(start).items() if visits >= 5 and line < end]
    assert len(loop) > 5
    broken = []
    for line in loop:
        try:
            visited_lines(start, line)
        except (AssertionError, ValueError):
            broken.append(source[line - offset].strip())
    assert broken == []


def test_progress_needs_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    shown, plain = small(progress=True), small()
    assert shown.texts == plain.texts
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["[a]", "[/a]", "\\[/a]", "[[a", "a\\"])
def test_progress_shows_any_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets are letters to the reader, though markup to the terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    model = TableMaskedLM.random(letters("[/]a\\"), seed=0)
    nothing = FunctionObjective(lambda texts: [0.0 for _ in texts])
    result = generate(nothing, MetropolisHastings(Replace(model)), [text], steps=3, seed=0, progress=True)
    assert result.steps == 3


def test_progress_ends_with_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The line is gone and the cursor is back, however the run ends."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    small(progress=True, callbacks=[interrupt])
    shown = capsys.readouterr().err
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")


def test_kinds_of_one_name_are_counted_together() -> None:
    """Two parts of a mixture may both be called "replace"."""
    mixture = Mixture({Replace(MODEL, max_length=6): 1.0, Replace(MODEL, max_length=7): 1.0})
    flat = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")
    result = generate(flat, MetropolisHastings(mixture), ["ab"], steps=40, seed=0)
    assert result.acceptance["replace"].proposed == 40


def test_samples_are_thinned_after_the_warm_up() -> None:
    every = small(steps=20, thin=1)
    thinned = small(steps=20, warm_up=5, thin=4)
    assert thinned.warm_up == 5
    assert thinned.sample_steps == [9, 13, 17]
    assert thinned.samples == [every.samples[step - 1] for step in thinned.sample_steps]
    np.testing.assert_array_equal(thinned.trace, every.trace)


def test_how_far_moves_go_is_counted_by_kind() -> None:
    steps: list[tuple[Progress, Batch]] = []
    last = [VOCABULARY.encode(INPUTS).repeat(2)]

    def watch(progress: Progress) -> None:
        steps.append((progress, last[0]))
        last[0] = progress.batch

    result = small(steps=30, callbacks=[watch])
    starts = np.vstack([[total(result.sources[number]) for number in result.inputs], result.trace])
    jumps = np.diff(starts, axis=0) ** 2
    kinds = np.stack([progress.info.kind.numpy() for progress, _ in steps])
    changed = np.stack([progress.batch.changed(before).numpy() for progress, before in steps])
    for number, kind in enumerate(SAMPLER.kinds):
        assert result.acceptance[kind].proposed == (kinds == number).sum()
        np.testing.assert_allclose(result.acceptance[kind].jump, changed[kinds == number].mean())
        np.testing.assert_allclose(result.acceptance[kind].energy_jump, jumps[kinds == number].mean())
    assert 0 < result.acceptance["replace"].jump < 1


def test_what_a_sampler_wants_recorded_is_stacked() -> None:
    ladder = ParallelTempering(SAMPLER, (1.0, 2.0))
    result = small(sampler=ladder)
    assert result.recorded["rung energies"].shape == (12, 6, 2)
    np.testing.assert_array_equal(result.recorded["rung energies"][..., 0], result.trace)
    assert set(small().recorded) == {"accepted"}
    assert small(sampler=ladder, steps=0).recorded == {}
