"""Streams of inputs: every input is answered, in order, and the same however the work was cut or broken off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from samplers import MetropolisHastings
from samplers.proposals import Replace
from textsearch import FunctionObjective, Generations, generate
from textsearch.tasks import stream
from textsearch.testing import TableMaskedLM, letters

MOVES = Replace(TableMaskedLM.random(letters("abc"), seed=0))
FEW_B = FunctionObjective(lambda texts: [float(text.count("b")) for text in texts], name="b")


def task(texts: Sequence[str], *, seed: int = 0, steps: int = 6, progress: bool = False) -> Generations:
    """Fewer b; no text may hold an x."""
    for text in texts:
        if "x" in text:
            raise ValueError(f"{text!r} holds an x")
    return generate(FEW_B, MetropolisHastings(MOVES), texts, steps=steps, seed=seed, chains=3)


MANY = ["abc"[i % 3] * (1 + i % 4) for i in range(1000)]


def test_a_thousand_inputs() -> None:
    records = list(stream(task, MANY, at_once=100))
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

    records = stream(counted, MANY[:50], at_once=10)
    assert next(records)["number"] == 0
    assert seen == [10]
    assert len(list(records)) == 49
    assert seen == [10] * 5


@pytest.mark.parametrize("done", [0, 3, 4, 9, 10])
def test_a_stream_goes_on_where_it_was_broken_off(done: int) -> None:
    whole = list(stream(task, MANY[:10], at_once=4, seed=3))
    assert list(stream(task, MANY[:10], at_once=4, seed=3, done=done)) == whole[done:]


def test_groups_draw_apart() -> None:
    """The same text in two groups is not answered by the same chains."""
    same = ["bbbbbb"] * 2
    texts = [record["texts"] for record in stream(task, same, at_once=1, steps=1)]
    assert texts[0] != texts[1]


def test_a_refused_input_costs_nobody_else_the_answer() -> None:
    records = list(stream(task, ["ab", "x", "bb", "cx", "bx"], at_once=4))
    assert [record.get("error") for record in records] == [
        None,
        "'x' holds an x",
        None,
        "'cx' holds an x",
        "'bx' holds an x",
    ]
    assert [bool(record.get("texts")) for record in records] == [True, False, True, False, False]


def test_an_error_of_all_inputs_is_raised() -> None:
    """What is wrong with the request as a whole is no fault of an input."""

    def together(texts: Sequence[str], **settings: Any) -> Generations:
        if len(texts) > 1:
            raise ValueError("one at a time, please")
        return task(texts, **settings)

    with pytest.raises(ValueError, match="one at a time"):
        list(stream(together, ["a", "b"]))


def test_control_c_ends_the_stream_with_what_there_is() -> None:
    calls = 0

    def slow(texts: list[str]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise KeyboardInterrupt
        return [float(text.count("b")) for text in texts]

    objective = FunctionObjective(slow, name="slow")

    def run(texts: Sequence[str], *, seed: int) -> Generations:
        return generate(objective, MetropolisHastings(MOVES), texts, steps=5, seed=seed, chains=2)

    records = list(stream(run, ["bb"] * 9, at_once=3))
    assert [record["number"] for record in records] == list(range(6))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"at_once": 0}, "at_once=0"), ({"done": 4}, "done=4"), ({"done": -1}, "done=-1")],
)
def test_what_cannot_be_meant(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stream(task, ["a", "b", "c"], **settings)
    with pytest.raises(TypeError, match="'abc' is one string"):
        stream(task, "abc")
