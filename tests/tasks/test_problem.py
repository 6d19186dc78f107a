# mypy: disable-error-code="arg-type, list-item"
"""A task as a value: built, solved, solved again, by the caller's own sampler, rule and callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from samplers import MetropolisHastings
from samplers.proposals import Replace
from tests.models.tiny import Tiny, roomy_causal, tiny_encoder
from tests.models.tiny import tiny as tiny
from tests.tasks.chinese import Chinese
from tests.tasks.chinese import chinese as chinese
from tests.tasks.test_groups import CASES as ALL
from tests.tasks.test_groups import Case, models_of
from textsearch import Batch, FunctionObjective, Generations, Progress, partial_result, tasks
from textsearch.tasks import (
    Asking,
    Correction,
    Infilling,
    KeywordSentences,
    Models,
    Paraphrasing,
    Problem,
    Sampling,
    Stage,
    Writing,
    solve,
)
from textsearch.testing import TableMaskedLM, letters

SETTINGS = {
    tasks.ask: Asking,
    tasks.correct: Correction,
    tasks.infill: Infilling,
    tasks.keywords: KeywordSentences,
    tasks.paraphrase: Paraphrasing,
    tasks.sample: Sampling,
    tasks.write: Writing,
}
NAMES = ["ask", "correct", "infill", "keywords", "paraphrase", "sample", "write", "Chinese keywords"]
CASES = {name: replace(ALL[name], inputs=ALL[name].inputs[:2]) for name in NAMES}


@pytest.fixture(scope="module")
def load(tiny: Tiny, chinese: Chinese, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], dict[str, Any]]:
    folders = {
        "causal": roomy_causal(tmp_path_factory.mktemp("causal"), ascii_alone=True),
        "encoder": tiny_encoder(tmp_path_factory.mktemp("encoder")),
    }
    return lambda case: models_of(case, tiny, chinese, folders)


def built(case: Case, models: dict[str, Any]) -> Problem:
    """The problem of a case, with the heat of the settings."""
    settings = dict(case.warmed)
    given = {name: settings.pop(name) for name in ("classifier",) if name in settings}
    module = import_module(case.task.__module__)
    problem: Problem = module.build(case.inputs, SETTINGS[case.task](**settings), Models(**models, **given))
    return problem


def same(one: Generations, other: Generations) -> bool:
    """Whether two results say the same, to the last bit."""
    return (
        one.texts == other.texts
        and one.best_texts == other.best_texts
        and one.sources == other.sources
        and one.energies.tolist() == other.energies.tolist()
        and one.best_energies.tolist() == other.best_energies.tolist()
        and one.trace.tolist() == other.trace.tolist()
    )


def tensors_of(value: Any, seen: dict[int, Tensor], depth: int = 0) -> dict[int, Tensor]:
    """All tensors that a value holds, in dataclasses, sequences and mappings; models' weights are left alone."""
    if isinstance(value, Tensor):
        seen[id(value)] = value
    elif is_dataclass(value) and depth < 12:
        for field in fields(value):
            tensors_of(getattr(value, field.name), seen, depth + 1)
    elif isinstance(value, list | tuple):
        for one in value:
            tensors_of(one, seen, depth + 1)
    elif isinstance(value, dict):
        for one in [*value, *value.values()]:
            tensors_of(one, seen, depth + 1)
    return seen


def copies(problem: Problem) -> list[tuple[Tensor, Tensor]]:
    """Tensors of a problem, each with a copy."""
    seen = tensors_of((problem.start, problem.objective, problem.moves, problem.after), {})
    return [(one, one.clone()) for one in seen.values()]


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_is_solved_as_the_function_answers_and_stays_as_it_is(
    name: str, load: Callable[[Case], dict[str, Any]]
) -> None:
    """And can be solved again."""
    case = CASES[name]
    whole = case.task(case.inputs, **case.warmed, **load(case))
    problem = built(case, load(case))
    kept = copies(problem)
    assert len(kept) >= 6
    once, again = solve(problem), solve(problem)
    assert same(once, whole) and same(again, whole)
    assert all(torch.equal(one, copy) for one, copy in kept)
    other = solve(problem, seed=5, steps=once.steps + (3 if name == "ask" else 30))
    assert not same(other, whole) and other.steps > whole.steps and other.sources == whole.sources


def test_what_is_written_into_a_problem_is_seen(load: Callable[[Case], dict[str, Any]]) -> None:
    """The control: a sampler that writes into the tensors of its batch."""

    class Scribbler:
        def __init__(self, moves: Any) -> None:
            self.chain = MetropolisHastings(moves)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.chain, name)

        def init(self, objective: Any, batch: Batch) -> Any:
            problem.start.editable.logical_not_()
            return self.chain.init(objective, batch)

    problem = built(CASES["infill"], load(CASES["infill"]))
    kept = copies(problem)
    with torch.inference_mode():
        solve(problem, sampler=Scribbler)
    assert not all(torch.equal(one, copy) for one, copy in kept)


@pytest.mark.parametrize("name", NAMES)
def test_every_task_takes_a_sampler_a_rule_and_callbacks(name: str, load: Callable[[Case], dict[str, Any]]) -> None:
    case = CASES[name]
    moves: list[Any] = []
    seen: list[int] = []

    def own(given: Any) -> MetropolisHastings:
        moves.append(given)
        return MetropolisHastings(given)

    def watch(progress: Progress) -> None:
        seen.append(progress.step)

    settings = {"seed": 2, **case.settings, "steps": 10, **load(case)}
    result = case.task(case.inputs, sampler=own, callbacks=[watch], until=lambda seen: seen.step == 2, **settings)
    searches = 2 if case.task is tasks.correct else 1
    assert result.guarantee == "exact" and not result.interrupted
    assert result.steps == 2 and seen == [1, 2] * searches and len(moves) == searches
    # the control: its own sampler is a search, but for those that draw
    assert (
        case.task in (tasks.infill, tasks.sample)
        or case.task(case.inputs, **settings | {"steps": 0}).guarantee == "biased"
    )
    stopped = case.task(case.inputs, callbacks=[lambda seen: True], **settings)
    assert stopped.interrupted and stopped.steps <= 1


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.reliability] if name in ("ask", "paraphrase", "Chinese keywords") else [])
        for name in NAMES
    ],
)
def test_a_task_that_was_broken_off_goes_on(name: str, load: Callable[[Case], dict[str, Any]], tmp_path: Path) -> None:
    """In either of the searches of a correction."""
    case = CASES[name]
    settings = case.warmed | {"steps": 10}
    whole = case.task(case.inputs, **settings, **load(case))
    searches = 2 if case.task is tasks.correct else 1
    taken: list[int] = []

    def dies(progress: Progress) -> None:
        taken.append(progress.step)
        if len(taken) in (3, 10):
            raise OSError("gone")

    def asked(**more: Any) -> Generations:
        return case.task(case.inputs, checkpoint=tmp_path / "run", every=1e-9, **settings, **load(case), **more)

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            asked(callbacks=[dies])
    assert same(asked(callbacks=[dies]), whole)
    # nothing is run again but the steps that the errors came in
    assert len(taken) <= 12 and same(asked(callbacks=[dies]), whole) and len(taken) <= 12
    assert len(list(tmp_path.glob("run/**/run.json"))) == searches
    with pytest.raises(ValueError, match="seed"):
        case.task(case.inputs, checkpoint=tmp_path / "run", **settings | {"seed": 3}, **load(case))


MODEL = TableMaskedLM.random(letters("abc"), seed=0)
FEW_A = FunctionObjective(lambda texts: [float(text.count("a")) for text in texts], name="a")
FEW_B = FunctionObjective(lambda texts: [float(text.count("b")) for text in texts], name="b")


def two(share: Fraction = Fraction(1, 4), start: Callable[[Generations], Batch] | None = None) -> Problem:
    """A search after another."""
    after = Stage("second", FEW_B, sampled, start or (lambda found: found.best_batch), share)
    return Problem(
        FEW_A,
        Replace(MODEL),
        sampled,
        MODEL.vocabulary.encode(["aba", "ab"]).repeat(2),
        steps=20,
        seed=1,
        finish=lambda result: replace(result, best_texts=[text.upper() for text in result.best_texts]),
        after=(after,),
    )


def sampled(moves: Any, steps: int) -> MetropolisHastings:
    return MetropolisHastings(moves)


def test_stages_follow_one_another() -> None:
    seen: list[tuple[int, int]] = []

    def watch(progress: Progress) -> None:
        seen.append((progress.step, progress.steps))

    result = solve(two(), callbacks=[watch])
    assert seen == [*((step, 15) for step in range(1, 16)), *((step, 5) for step in range(1, 6))]
    assert result.steps == 5 and result.best_terms.keys() == {"b"}
    assert all(text.isupper() for text in result.best_texts)
    # nothing has an a, which the first search has seen to, before the second can be thought to bring it back
    assert result.inputs.tolist() == [0, 0, 1, 1]
    assert same(result, solve(two())) and not same(result, solve(two(), seed=2))
    assert solve(two(), steps=8).steps == 2
    # the stages draw numbers of their own
    assert not same(solve(two()), solve(replace(two(), after=(replace(two().after[0], name="other"),))))


def test_stages_that_are_broken_off() -> None:
    def stop(progress: Progress) -> bool:
        return progress.step == 3

    result = solve(two(), callbacks=[stop])
    # what the first search had is told in the energy of the last
    assert result.interrupted and result.steps == 0 and result.best_terms.keys() == {"b"}

    def broken(found: Generations) -> Batch:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone") as caught:
        solve(two(start=broken))
    partial = partial_result(caught.value)
    assert partial is not None and partial.steps == 15 and partial.best_texts[0].isupper()
    times = iter([KeyboardInterrupt, None])

    def interrupted(found: Generations) -> Batch:
        if (error := next(times)) is not None:
            raise error
        return found.best_batch

    late = solve(two(start=interrupted))
    assert late.interrupted and late.steps == 0 and late.best_terms.keys() == {"b"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve(FEW_A), r"problem=.* is an objective: pass a Problem, such as a task's build makes"),
        (lambda: solve(two(), steps=-1), "steps=-1 must be at least 0"),
        (lambda: solve(two(), seed=0.5), "seed=0.5 must be a whole number"),
        (lambda: solve(two(), every=0), "every=0 must be a positive number of seconds"),
        (lambda: solve(two(), checkpoint=3), "checkpoint=3 is a number: pass the name of a folder"),
        (lambda: solve(two(), sampler=MetropolisHastings(Replace(MODEL))), "is a sampler already, but the moves are"),
        (lambda: solve(two(), callbacks=len), "callbacks=len is one function; pass a list of them"),
        (lambda: two(Fraction(1)), "share=1 must lie between 0 and 1"),
        (lambda: replace(two(), start=["ab"]), "start=.* is a list, not a batch"),
        (lambda: replace(two(), numbers=[1]), "1 numbers for 2 inputs"),
        (lambda: replace(two(), sampler=MetropolisHastings), "sampler=MetropolisHastings is a class, not a maker"),
        (lambda: Models(causal=5), "causal=5 is a number, not a causal language model"),
        (lambda: Infilling(gap=" "), "gap=' ' must be what stands for a gap"),
        (lambda: Correction(keep=(word for word in ["a", 3])), r"keep\[1\]=3 is no string"),
        (lambda: tasks.correct(["a"], causal="no", until=5), "until=5 is a number"),
        (lambda: tasks.infill(["[MASK]"], causal="no", callbacks=[3]), r"callbacks\[0\]=3 is a number"),
        (lambda: tasks.paraphrase(["a"], causal="no", every=-1), "every=-1 must be a positive number of seconds"),
    ],
)
def test_what_cannot_be_meant(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_words_to_keep_may_come_one_by_one() -> None:
    assert Correction(keep=(word for word in ["a", "b"])).keep == ("a", "b")
