"""A run that an error ends loses nothing: the error comes out as it was raised, and carries the steps before it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.progress import Progress as Bar

from samplers import MetropolisHastings
from samplers.proposals import InsertDelete, Mixture, Replace
from textsearch import Answer, FunctionObjective, Generations, Progress, generate, generate_each, partial_result
from textsearch.run.partial import carry, gathered, viewed
from textsearch.testing import TableMaskedLM, letters

MODEL = TableMaskedLM.random(letters("abc"), seed=0)
WALK = MetropolisHastings(Mixture({Replace(MODEL, max_length=8): 1.0, InsertDelete(MODEL, max_length=8): 1.0}))
INPUTS = ["abc", "c", "bbbb"]


def length(texts: list[str]) -> list[float]:
    return [abs(len(text) - 4) for text in texts]


def at_call(number: int, error: BaseException) -> Callable[[list[str]], list[float]]:
    """The energy, of which one call raises the error."""
    calls = 0

    def energy(texts: list[str]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == number:
            raise error
        return length(texts)

    return energy


def run(energy: Callable[[list[str]], list[float]] = length, **changes: Any) -> Generations:
    settings: dict[str, Any] = {"steps": 8, "seed": 3, "chains": 2, "thin": 1} | changes
    return generate(FunctionObjective(energy, name="length"), WALK, INPUTS, **settings)


def raising(error: BaseException) -> Callable[[Progress], bool]:
    def look(progress: Progress) -> bool:
        if progress.step == 5:
            raise error
        return False

    return look


ERRORS = [ValueError("bad"), RuntimeError("broken"), KeyError("steps"), StopIteration(), SystemExit(3), MemoryError()]


@pytest.mark.parametrize("progress", [False, True])
@pytest.mark.parametrize("place", ["energy", "callback", "rule"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_error_comes_out_with_what_there_was(error: BaseException, place: str, progress: bool) -> None:
    error = pickle.loads(pickle.dumps(error))
    with pytest.raises(type(error)) as caught:
        match place:
            case "energy":
                run(at_call(6, error), progress=progress)  # the first call is for the start
            case "callback":
                run(callbacks=[raising(error)], progress=progress)
            case _:
                run(until=raising(error), progress=progress)
    assert caught.value is error
    partial = partial_result(error)
    assert partial is not None
    steps = 4 if place == "energy" else 5
    before = run(steps=steps)
    assert partial.interrupted and partial.steps == steps
    assert partial.trace.tolist() == before.trace.tolist()
    assert (partial.texts, partial.best_texts, partial.samples) == (before.texts, before.best_texts, before.samples)
    assert [note for note in error.__notes__ if "partial_result(error)" in note] == [
        f"{steps} steps had been taken: textsearch.partial_result(error) is what they gave"
    ]


@pytest.mark.parametrize("place", ["callback", "rule"])
def test_control_c_gives_back_what_there_is(place: str) -> None:
    look = raising(KeyboardInterrupt())
    result = run(callbacks=[look]) if place == "callback" else run(until=look)
    assert result.interrupted and result.steps == 5


def test_nothing_is_carried_where_no_run_had_begun() -> None:
    for error in (RuntimeError("broken"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            run(at_call(1, error))
        assert partial_result(caught.value) is None


def test_an_error_raised_from_it_tells_too() -> None:
    error = ValueError("bad")
    with pytest.raises(ValueError, match="bad"):
        run(until=raising(error))
    other = OSError("while saving")
    other.__cause__ = error
    assert partial_result(other) is partial_result(error)
    other.__cause__ = other
    assert partial_result(other) is None


def again_and_again(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Ctrl-C arrives so many times while results are gathered."""
    from textsearch.run import loop

    real, calls = loop.generations, 0

    def slow(*arguments: Any, **settings: Any) -> Generations:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise KeyboardInterrupt
        return real(*arguments, **settings)

    monkeypatch.setattr(loop, "generations", slow)
    monkeypatch.setattr("textsearch.run.admission.generations", slow)


def test_control_c_while_the_live_line_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = Bar.__exit__

    def struck(bar: Bar, *arguments: Any) -> None:
        leave(bar, *arguments)
        raise KeyboardInterrupt

    before = run()
    monkeypatch.setattr(Bar, "__exit__", struck)
    result = run(progress=True)
    assert result.interrupted and result.trace.tolist() == before.trace.tolist()
    with pytest.raises(KeyboardInterrupt):
        run(at_call(1, RuntimeError("no run had begun")), progress=True)


def test_control_c_while_a_task_shows_what_it_found() -> None:
    calls = 0

    def show(result: Generations) -> Generations:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyboardInterrupt
        return replace(result, sources=["seen"])

    result = viewed(run, show)
    assert result.interrupted and result.sources == ["seen"] and result.steps == 8


@pytest.mark.parametrize("times", [1, 2])
def test_control_c_while_results_are_gathered(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run(steps=5)
    again_and_again(monkeypatch, times)
    result = run(until=raising(KeyboardInterrupt()))
    assert result.interrupted and result.trace.tolist() == before.trace.tolist()
    again_and_again(monkeypatch, times)
    assert run().interrupted  # the run was over, but whoever runs others behind it must know
    again_and_again(monkeypatch, times)
    with pytest.raises(ValueError, match="bad") as caught:
        run(until=raising(ValueError("bad")))
    assert partial_result(caught.value) is not None


def test_who_insists_gets_out(monkeypatch: pytest.MonkeyPatch) -> None:
    again_and_again(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        run(until=raising(KeyboardInterrupt()))


def test_what_cannot_be_gathered_leaves_the_error_that_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(*arguments: Any, **settings: Any) -> Generations:
        raise OSError("no space left")

    monkeypatch.setattr("textsearch.run.loop.generations", torn)
    with pytest.raises(ValueError, match="bad") as caught:
        run(until=raising(ValueError("bad")))
    assert partial_result(caught.value) is None
    assert "lost: OSError: no space left" in caught.value.__notes__[-1]


def test_a_view_is_carried_on() -> None:
    def show(result: Generations) -> Generations:
        object.__setattr__(result, "sources", ["seen"])
        return result

    assert viewed(run, show).sources == ["seen"]
    with pytest.raises(ValueError, match="bad") as caught:
        viewed(lambda: run(until=raising(ValueError("bad"))), show)
    partial = partial_result(caught.value)
    assert partial is not None and partial.sources == ["seen"]
    assert len(caught.value.__notes__) == 1
    carry(caught.value, partial)
    assert gathered(lambda interrupted: partial, False) is partial


def each(energy: Callable[[list[str]], list[float]] = length, **changes: Any) -> list[Answer]:
    settings: dict[str, Any] = {"steps": 8, "seed": 3, "chains": 2, "batch_inputs": 2} | changes
    return list(generate_each(FunctionObjective(energy, name="length"), WALK, INPUTS, **settings))


@pytest.mark.parametrize("error", [RuntimeError("broken"), ValueError("bad"), StopIteration(), TimeoutError()])
def test_a_rule_that_fails_for_one_input_is_that_input_s(error: Exception) -> None:
    def rule(progress: Progress) -> bool:
        if progress.step == 4 and progress.batch.inputs[0] == 1:
            raise error
        return False

    answers = {answer.number: answer for answer in each(until=rule)}
    whole = run()
    assert sorted(answers) == [0, 1, 2]
    failed = answers[1]
    assert failed.result is None and failed.cause is error and type(error).__name__ in f"{failed.error}ValueError"
    assert failed.partial is not None and failed.partial.interrupted and partial_result(error) is failed.partial
    assert failed.partial.trace.tolist() == whole.trace[:4, 2:4].tolist()
    for number in (0, 2):
        result = answers[number].result
        assert result is not None and not result.interrupted
        assert result.trace.tolist() == whole.trace[:, 2 * number : 2 * number + 2].tolist()


def test_an_energy_that_fails_for_one_text_is_that_input_s() -> None:
    def fussy(texts: list[str]) -> list[float]:
        if any(len(text) > 4 for text in texts):
            raise RuntimeError("too long for me")
        return length(texts)

    answers = {answer.number: answer for answer in each(fussy, steps=60)}
    assert answers[2].cause is not None and answers[2].partial is not None and answers[2].partial.steps > 0
    assert str(answers[2].error).startswith("RuntimeError: too long")
    assert sorted(answers) == [0, 1, 2]


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError()])
def test_an_error_of_no_input_alone_is_raised_when_all_are_answered(error: BaseException) -> None:
    calls = 0

    def energy(texts: list[str]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise error
        return length(texts)

    answers: list[Answer] = []
    with pytest.raises(type(error)):
        for answer in generate_each(FunctionObjective(energy), WALK, INPUTS, steps=8, seed=3, chains=2, batch_inputs=2):
            answers.append(answer)  # noqa: PERF402 (what came before the error counts)
    assert [answer.number for answer in answers] == [0, 1]
    assert all(answer.result and answer.result.interrupted and answer.result.steps == 3 for answer in answers)
