"""Streams of inputs: every input is answered, in order, and the same however the work was cut or broken off."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from samplers import MetropolisHastings
from samplers.proposals import Replace
from textsearch import FunctionObjective, Generations, generate
from textsearch.run.until import Settled
from textsearch.tasks import stream
from textsearch.testing import TableMaskedLM, letters

MOVES = Replace(TableMaskedLM.random(letters("abc"), seed=0))
FEW_B = FunctionObjective(lambda texts: [float(text.count("b")) for text in texts], name="b")


def task(
    texts: Sequence[str],
    *,
    seed: int = 0,
    steps: int = 6,
    progress: bool = False,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """Fewer b; no text may hold an x."""
    for text in texts:
        if "x" in text:
            raise ValueError(f"{text!r} holds an x")
    return generate(FEW_B, MetropolisHastings(MOVES), texts, steps=steps, seed=seed, chains=3, numbers=numbers)


MANY = ["abc"[i % 3] * (1 + i % 4) for i in range(1000)]


def test_a_thousand_inputs() -> None:
    records = list(stream(task, MANY, batch_inputs=100))
    assert [record["number"] for record in records] == list(range(1000))
    assert [record["input"] for record in records] == MANY
    for record in records:
        texts = record["texts"]
        assert isinstance(texts, list) and 1 <= len(texts) <= 3
        assert [text["energy"] for text in texts] == sorted(text["energy"] for text in texts)
        assert all(len(text["text"]) == len(str(record["input"])) for text in texts)


def test_the_first_answer_comes_before_the_last_input_runs() -> None:
    seen: list[int] = []

    def counted(texts: Sequence[str], **settings: Any) -> Generations:
        seen.append(len(texts))
        return task(texts, **settings)

    records = stream(counted, MANY[:50], batch_inputs=10)
    assert next(records)["number"] == 0
    assert seen == [10]
    assert len(list(records)) == 49
    assert seen == [10] * 5


@pytest.mark.parametrize("done", [0, 3, 4, 9, 10])
def test_a_stream_goes_on_where_it_was_broken_off(done: int) -> None:
    whole = list(stream(task, MANY[:10], batch_inputs=4, seed=3))
    assert list(stream(task, MANY[:10], batch_inputs=4, seed=3, done=done)) == whole[done:]


def test_groups_draw_apart() -> None:
    """The same text in two groups is not answered by the same chains."""
    same = ["bbbbbb"] * 2
    texts = [record["texts"] for record in stream(task, same, batch_inputs=1, steps=1)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("batch_inputs", [1, 3, 16])
def test_an_answer_depends_on_seed_and_number_alone(batch_inputs: int) -> None:
    run = task(MANY[:10], seed=3, steps=20)
    whole = list(stream(task, MANY[:10], batch_inputs=batch_inputs, seed=3, steps=20))
    for record in whole:
        rows = [row for row in run.ranked() if run.inputs[row] == record["number"]]
        texts = record["texts"]
        assert isinstance(texts, list)
        assert [(text["text"], text["energy"]) for text in texts] == [
            (run.best_texts[row], run.best_energies[row]) for row in rows
        ]
    # a part of them, in another order
    part = [7, 2, 5]
    again = stream(task, [MANY[number] for number in part], batch_inputs=batch_inputs, seed=3, steps=20, numbers=part)
    assert [record["texts"] for record in again] == [whole[number]["texts"] for number in part]
    # with an input that is refused in between
    beside = list(
        stream(task, ["x", *MANY[:3], "x"], batch_inputs=batch_inputs, seed=3, steps=20, numbers=[77, 0, 1, 2, 78])
    )
    assert [record.get("texts") for record in beside] == [None, *(record["texts"] for record in whole[:3]), None]


def until_settled(texts: Sequence[str], *, until: Any, **settings: Any) -> Generations:
    return generate(FEW_B, MetropolisHastings(MOVES), texts, steps=60, chains=2, until=until, **settings)


def test_a_rule_sees_each_input_alone() -> None:
    whole = list(stream(until_settled, MANY[:9], batch_inputs=1, seed=3, until=Settled(4)))
    assert list(stream(until_settled, MANY[:9], batch_inputs=4, seed=3, until=Settled(4))) == whole
    part = stream(until_settled, [MANY[8], MANY[2]], numbers=[8, 2], seed=3, until=Settled(4))
    assert [record["texts"] for record in part] == [whole[8]["texts"], whole[2]["texts"]]
    # the control: asked of all together, it lets the first to settle go on
    steps = {
        number: until_settled([MANY[number]], until=Settled(4), seed=3, numbers=[number]).steps for number in (1, 7)
    }
    both = until_settled([MANY[1], MANY[7]], until=Settled(4), seed=3, numbers=[1, 7]).steps
    assert min(steps.values()) < both == max(steps.values())


def test_groups_that_take_a_seed_each_are_found() -> None:
    """The control, as it was once: seed + g for group g, and numbers from 0 on in each."""

    def by_group(batch_inputs: int, seed: int = 3) -> list[object]:
        answers: list[object] = []
        for first in range(0, 10, batch_inputs):
            group = ["bbbb"] * min(batch_inputs, 10 - first)
            answers += [one["texts"] for one in stream(task, group, seed=seed + first // batch_inputs, steps=4)]
        return answers

    assert by_group(3) != by_group(10)
    assert by_group(1)[1] == by_group(1, seed=4)[0]
    ours = [[one["texts"] for one in stream(task, ["bbbb"] * 10, seed=seed, steps=4)] for seed in (3, 4)]
    assert ours[0][1] != ours[1][0]


def test_a_task_without_numbers_has_a_seed_for_each_input() -> None:
    seeds: list[int] = []

    def plain(texts: Sequence[str], *, seed: int) -> Generations:
        assert len(texts) == 1
        seeds.append(seed)
        return task(texts, seed=seed)

    whole = list(stream(plain, MANY[:5], batch_inputs=4, seed=1))
    assert len(set(seeds)) == 5 and not {0, 1} & set(seeds)
    assert list(stream(plain, MANY[:5], seed=1, done=3)) == whole[3:]


def test_a_refused_input_costs_nobody_else_the_answer() -> None:
    records = list(stream(task, ["ab", "x", "bb", "cx", "bx"], batch_inputs=4))
    assert [record.get("error") for record in records] == [
        None,
        "'x' holds an x",
        None,
        "'cx' holds an x",
        "'bx' holds an x",
    ]
    assert [bool(record.get("texts")) for record in records] == [True, False, True, False, False]


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), KeyError("steps"), TimeoutError(), StopIteration()])
@pytest.mark.parametrize("batch_inputs", [1, 3, 5])
def test_any_error_of_one_input_is_its_own(error: Exception, batch_inputs: int) -> None:
    def moody(texts: Sequence[str], **settings: Any) -> Generations:
        if "cc" in texts:
            raise error
        return task(texts, **settings)

    records = list(stream(moody, ["ab", "cc", "bb", "ac", "cc"], batch_inputs=batch_inputs))
    kind = type(error).__name__
    assert [record.get("error") for record in records] == [None, said := str(records[1]["error"]), None, None, said]
    assert said.startswith(kind) and str(error) in said
    fine = list(stream(task, ["ab", "bb", "ac"], numbers=[0, 2, 3]))
    assert [record["texts"] for record in records if "texts" in record] == [record["texts"] for record in fine]


def test_what_is_refused_together_is_answered_alone() -> None:
    def together(texts: Sequence[str], **settings: Any) -> Generations:
        if len(texts) > 1:
            raise ValueError("one at a time, please")
        return task(texts, **settings)

    assert list(stream(together, MANY[:6], seed=2)) == list(stream(task, MANY[:6], seed=2))


def test_a_stream_without_an_end_reads_one_group_ahead() -> None:
    read: list[int] = []

    def endless() -> Iterator[str]:
        for number in itertools.count():
            read.append(number)
            yield MANY[number]

    records = stream(task, endless(), batch_inputs=3, seed=1)
    assert read == []
    found = []
    for _ in range(7):
        found.append(next(records))
        assert len(read) == 3 * -(-len(found) // 3)
    assert found == list(stream(task, MANY[:7], seed=1))
    later = stream(task, endless(), batch_inputs=2, seed=1, done=5, numbers=itertools.count())
    assert [next(later) for _ in range(2)] == found[5:7]


def test_inputs_that_break_down_are_answered_as_far_as_they_came() -> None:
    def torn() -> Iterator[str]:
        yield from MANY[:5]
        raise OSError("the line is dead")

    records = stream(task, torn(), batch_inputs=4, seed=1)
    assert [next(records) for _ in range(5)] == list(stream(task, MANY[:5], seed=1))
    with pytest.raises(OSError, match="the line is dead"):
        next(records)
    assert list(stream(task, iter([]))) == []


def slow_run(last: int) -> Callable[..., Generations]:
    """A task that Ctrl-C hits at the `last` call of its energy."""
    calls = 0

    def slow(texts: list[str]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == last:
            raise KeyboardInterrupt
        return [float(text.count("b")) for text in texts]

    def run(texts: Sequence[str], *, seed: int, numbers: Sequence[int]) -> Generations:
        objective = FunctionObjective(slow, name="slow")
        return generate(objective, MetropolisHastings(MOVES), texts, steps=5, seed=seed, chains=2, numbers=numbers)

    return run


def test_control_c_ends_the_stream_with_what_there_is() -> None:
    records = list(stream(slow_run(9), ["bb"] * 9, batch_inputs=3))
    assert [record["number"] for record in records] == list(range(6))
    assert [record.get("interrupted", False) for record in records] == [False] * 3 + [True] * 3
    assert all(record["texts"] for record in records)


def test_control_c_outside_a_run_is_raised() -> None:
    """The first call of each run is for its start, when there is nothing to give back."""
    records = stream(slow_run(7), ["bb"] * 9, batch_inputs=3)
    assert [next(records)["number"] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt):
        next(records)


@pytest.mark.parametrize("inputs", [7, None, {"a": 1}, np.array("a")])
def test_inputs_that_do_not_come_one_by_one(inputs: Any) -> None:
    with pytest.raises(TypeError, match="pass a list"):
        stream(task, inputs)


def test_numbers_are_one_for_each() -> None:
    with pytest.raises(ValueError, match="2 numbers for 3 inputs"):
        stream(task, ["a", "b", "c"], numbers=[1, 2])
    with pytest.raises(ValueError, match="numbers ended before input 1"):
        list(stream(task, iter(["a", "b"]), numbers=[1]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"batch_inputs": 0}, "batch_inputs=0"), ({"done": 4}, "done=4"), ({"done": -1}, "done=-1")],
)
def test_what_cannot_be_meant(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stream(task, ["a", "b", "c"], **settings)
    with pytest.raises(TypeError, match="'abc' is one string"):
        stream(task, "abc")
