"""`stream` as its contract has it, written down in the shortest way: for tests of what stands on top of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textsearch.result import Generations


def stream(
    task: Callable[..., Generations],
    inputs: Iterable[Any],
    *,
    at_once: int = 16,
    done: int = 0,
    seed: int = 0,
    numbers: Sequence[int] | None = None,
    **settings: Any,
) -> Iterator[dict[str, Any]]:
    given = list(inputs)
    own = list(range(len(given))) if numbers is None else list(numbers)
    keyed = "numbers" in inspect.signature(task).parameters

    def run(places: Sequence[int]) -> Generations:
        more = {"numbers": [own[place] for place in places]} if keyed else {}
        return task([given[place] for place in places], seed=seed, **more, **settings)

    for first in range(done - done % at_once, len(given), at_once):
        places = list(range(first, min(first + at_once, len(given))))
        answers: dict[int, dict[str, Any]] = {}
        try:
            runs = [(places, run(places))]
        except Exception:
            runs = []
            for place in places:
                try:
                    runs.append(([place], run([place])))
                except Exception as error:
                    answers[place] = {"error": str(error)}
        interrupted = any(result.interrupted for _, result in runs)
        for ran, result in runs:
            for place in ran:
                answers[place] = {"texts": []} | ({"interrupted": True} if result.interrupted else {})
            for record in result.to_records():
                number = record.pop("input")
                assert isinstance(number, int)
                answers[ran[number]]["texts"].append(record)
        yield from ({"number": place, "input": given[place]} | answers[place] for place in places if place >= done)
        if interrupted:
            return
