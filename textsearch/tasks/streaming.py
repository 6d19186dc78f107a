"""Many inputs through a task: a few at once, each answered as soon as it is done."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from textsearch.checks import seed_of, sequence, whole
from textsearch.kinds import nature, shown

if TYPE_CHECKING:
    from textsearch.result import Generations

Input = TypeVar("Input")


def stream(
    task: Callable[..., Generations],
    inputs: Sequence[Input],
    *,
    at_once: int = 16,
    done: int = 0,
    seed: int = 0,
    **settings: Any,
) -> Iterator[dict[str, object]]:
    """One record for each input, in order: {"number", "input", "texts": [{"text", "energy", "terms"}, best first]}.

    Inputs run in groups of `at_once`, group g with `seed` + g, so an answer depends on `at_once` but neither on `done`
    nor on what comes after its group. An input that the task refuses gets {"number", "input", "error"}, and its group
    runs again without it. After Ctrl-C the group under way is answered with what there is, and the stream ends.

    Args:
        task: `paraphrase`, `keywords`, ... of this package, or any function like them.
        inputs: what the task takes a sequence of.
        at_once: inputs whose chains share a batch.
        done: inputs at the beginning that are answered already; what follows is as if they had run.
        seed: of the first group.
        settings: handed on to the task.

    Raises:
        ValueError: `at_once` or `done` cannot be meant.
        TypeError: `inputs` is one string.

    >>> from textsearch import generate
    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> moves = Replace(TableMaskedLM.random(letters("ab"), seed=0))
    >>> def more_a(texts, **settings):
    ...     few = FunctionObjective(lambda texts: [text.count("b") for text in texts], name="b")
    ...     return generate(few, MetropolisHastings(moves), texts, steps=40, **settings)
    >>> for record in stream(more_a, ["b", "bb", "bbb"], at_once=2):
    ...     print(record["number"], record["input"], record["texts"][0]["text"])
    0 b a
    1 bb aa
    2 bbb aaa
    """
    if isinstance(task, type) or not callable(task):
        raise TypeError(
            f"task={shown(task)} is {nature(task)}, not a task: pass the function, such as "
            "textsearch.tasks.paraphrase; the order is stream(task, inputs, ...)"
        )
    inputs = sequence("inputs", inputs, "inputs")
    at_once, done, seed = whole("at_once", at_once, 1), whole("done", done), seed_of(seed)
    _bind(task, inputs, {"seed": seed, **settings})
    if done > len(inputs):
        raise ValueError(f"done={done} must lie between 0 and the {len(inputs)} inputs")
    return _stream(task, inputs, at_once, done, seed, settings)


def _bind(task: Callable[..., Generations], inputs: Sequence[Any], settings: Mapping[str, Any]) -> None:
    """Refuse settings that the task does not take."""
    try:
        taken = inspect.signature(task)
    except (TypeError, ValueError):  # functions of other languages do not say
        return
    try:
        taken.bind(inputs, **settings)
    except TypeError as error:
        names = ", ".join(list(taken.parameters)[1:])
        raise TypeError(f"{shown(task)} takes no such settings ({error}): choose from {names}") from error


def _stream(
    task: Callable[..., Generations],
    inputs: Sequence[Any],
    at_once: int,
    done: int,
    seed: int,
    settings: dict[str, Any],
) -> Iterator[dict[str, object]]:
    for group in range(done // at_once, -(-len(inputs) // at_once)):
        first = group * at_once
        for number, record, interrupted in _answers(task, inputs[first : first + at_once], seed + group, settings):
            if first + number >= done:
                yield {"number": first + number, "input": inputs[first + number], **record}
            if interrupted and first + number == min(first + at_once, len(inputs)) - 1:
                return


def _answers(
    task: Callable[..., Generations], inputs: Sequence[Any], seed: int, settings: dict[str, Any]
) -> Iterator[tuple[int, dict[str, object], bool]]:
    """Number within the group, record, and whether Ctrl-C ended the run."""
    refused: dict[int, str] = {}
    try:
        result = task(inputs, seed=seed, **settings)
        taken = list(range(len(inputs)))
    except ValueError as error:
        if len(inputs) == 1:
            yield 0, {"error": str(error)}, False
            return
        refused = _refusals(task, inputs, seed, settings)
        taken = [number for number in range(len(inputs)) if number not in refused]
        if not refused:
            # together they are refused, alone they are not
            raise
        if not taken:
            for number, message in refused.items():
                yield number, {"error": message}, False
            return
        result = task([inputs[number] for number in taken], seed=seed, **settings)
    texts: list[list[dict[str, object]]] = [[] for _ in taken]
    for record in result.to_records():
        place = record.pop("input")
        assert isinstance(place, int)
        texts[place].append(record)
    for number in range(len(inputs)):
        if number in refused:
            yield number, {"error": refused[number]}, result.interrupted
        else:
            yield number, {"texts": texts[taken.index(number)]}, result.interrupted


def _refusals(
    task: Callable[..., Generations], inputs: Sequence[Any], seed: int, settings: dict[str, Any]
) -> dict[int, str]:
    """Number -> complaint of each input that the task refuses even alone, before its first step."""
    found = {}
    for number, one in enumerate(inputs):
        try:
            task([one], seed=seed, **settings | {"steps": 0})
        except ValueError as error:
            found[number] = str(error)
    return found
