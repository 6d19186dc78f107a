"""Many inputs through a task: a few at once, each answered as soon as it is done."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import count, islice
from operator import length_hint
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

from textsearch.checks import seed_of, whole
from textsearch.kinds import nature, shown
from textsearch.run.partial import said

if TYPE_CHECKING:
    from textsearch.result import Generations

Input = TypeVar("Input")


def stream(
    task: Callable[..., Generations],
    inputs: Iterable[Input],
    *,
    batch_inputs: int = 16,
    done: int = 0,
    seed: int = 0,
    numbers: Iterable[int] | None = None,
    workers: int | None = None,
    **settings: Any,
) -> Iterator[dict[str, object]]:
    """One record for each input, in order: {"number", "input", "texts": [{"text", "energy", "terms"}, best first]}.

    Inputs run in groups of `batch_inputs`, and no more than one group is read ahead: they may come without an end. An
    answer depends on the seed and on the number of its input, and not on the group. Whatever exception an input raises,
    its record is {"number", "input", "error"}, and the others of its group go on. After Ctrl-C the records of what was
    running have "interrupted": True besides, with the texts that there are, and the stream ends; a KeyboardInterrupt
    that comes out of the task is raised.

    With `workers` the groups run in other processes, on this machine or, within
    `joblib.parallel_config(backend="dask")` or `"ray"`, on a cluster. The answers are the same, byte for byte; a few
    groups for each worker are read ahead. An input that kills its worker three times is answered with that. After
    Ctrl-C the groups that were in flight have no texts. See docs/scale.md.

    Args:
        task: `paraphrase`, `keywords`, ... of this package, or any function like them. One that does not take `numbers`
            is asked for one input at a time, with a seed for each.
        inputs: what the task takes a sequence of; a list, or a generator, say.
        batch_inputs: inputs whose chains share a batch. With a rule `until` among the settings there is one at a time:
            each input ends when the rule says so of its chains alone.
        done: inputs at the beginning that are answered already: they are passed over.
        seed: the same seed gives the same answers.
        numbers: of the inputs among all that there are, on which their random numbers rest; by default 0, 1, 2, ... in
            the order of `inputs`. The "number" of a record is always the place in `inputs`.
        workers: processes that run groups at the same time; -1 for as many as the machine or the cluster has. Task,
            settings and inputs are sent to them: models as recipes, functions of `__main__` by value. None and 1 run
            all in this process.
        settings: handed on to the task. Of a `checkpoint` folder each group gets a folder of its own.

    Raises:
        ValueError: `batch_inputs`, `done` or `workers` cannot be meant, or there are fewer `numbers` than inputs.
        TypeError: `inputs` is one string, or nothing that gives inputs one by one.

    >>> from textsearch import generate
    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> moves = Replace(TableMaskedLM.random(letters("ab"), seed=0))
    >>> def more_a(texts, **settings):
    ...     few = FunctionObjective(lambda texts: [text.count("b") for text in texts], name="b")
    ...     return generate(few, MetropolisHastings(moves), texts, steps=40, **settings)
    >>> for record in stream(more_a, ["b", "bb", "c", "bbb"], batch_inputs=2):
    ...     found = record["texts"][0]["text"] if "texts" in record else record["error"]
    ...     print(record["number"], record["input"], "->", found)
    0 b -> a
    1 bb -> aa
    2 c -> 'c' holds ['c'], not among the letters 'ab'
    3 bbb -> aaa
    """
    if isinstance(task, type) or not callable(task):
        raise TypeError(
            f"task={shown(task)} is {nature(task)}, not a task: pass the function, such as "
            "textsearch.tasks.paraphrase; the order is stream(task, inputs, ...)"
        )
    if isinstance(inputs, str | bytes):
        raise TypeError(f"inputs={shown(inputs)} is one string; pass a list of inputs, [{shown(inputs)}]")
    # an array of no dimensions has the methods of a list, and the size of none
    size = length_hint(inputs, -1) if isinstance(inputs, Sized) else None
    if isinstance(inputs, Mapping) or not isinstance(inputs, Iterable) or size == -1:
        raise TypeError(f"inputs={shown(inputs)} gives no inputs one by one; pass a list of them, [{shown(inputs)}]")
    batch_inputs, done, seed = whole("batch_inputs", batch_inputs, 1), whole("done", done), seed_of(seed)
    workers = 1 if workers is None else workers if workers == -1 else whole("workers", workers, 1)
    grouped = _takes_numbers(task)
    _bind(task, [], {"seed": seed, **({"numbers": []} if grouped else {}), **settings})
    if size is not None:
        if done > size:
            raise ValueError(f"done={done} must lie between 0 and the {size} inputs")
        if isinstance(numbers, Sized) and len(numbers) != size:
            raise ValueError(f"{len(numbers)} numbers for {size} inputs: pass one for each input")
    # a rule for stopping sees all that runs together, and would make an answer depend on its group
    alone = not grouped or settings.get("until") is not None
    ask = _Asked(task, seed, settings, grouped)
    groups = _groups(islice(_items(inputs, numbers), done, None), 1 if alone else batch_inputs)
    return _records(_here(ask, groups) if workers == 1 else _spread(ask, groups, workers))


@final
@dataclass(frozen=True)
class _Item:
    """An input, its place in the stream, and its number among all inputs that there are."""

    place: int
    value: Any
    number: int


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


@final
@dataclass(frozen=True)
class _Asked:
    """A task with what it is told."""

    task: Callable[..., Generations]
    seed: int
    settings: Mapping[str, Any]
    grouped: bool

    def __call__(self, group: Sequence[_Item]) -> list[_Answer]:
        """What comes of each, in order; after Ctrl-C of no more than ran together.

        A group in which something is wrong is halved until whoever it is stands alone; all others are answered as they
        would have been, since an answer does not depend on its group.
        """
        try:
            result = self._run(group)
        except Exception as error:
            if len(group) == 1:
                return [_Answer(group[0], {"error": said(error)})]
            middle = len(group) // 2
            first = self(group[:middle])
            return first if first[-1].interrupted else [*first, *self(group[middle:])]
        texts: list[list[dict[str, object]]] = [[] for _ in group]
        for record in result.to_records():
            place = record.pop("input")
            assert isinstance(place, int)
            texts[place].append(record)
        return [_Answer(item, {"texts": own}, result.interrupted) for item, own in zip(group, texts, strict=True)]

    def _run(self, group: Sequence[_Item]) -> Generations:
        values, settings = [item.value for item in group], dict(self.settings)
        if settings.get("checkpoint") is not None:
            # what ran together is one run
            settings["checkpoint"] = Path(settings["checkpoint"], f"inputs-{group[0].place}-{group[-1].place}")
        if self.grouped:
            return self.task(values, seed=self.seed, numbers=[item.number for item in group], **settings)
        return self.task(values, seed=_own_seed(self.seed, group[0].number), **settings)


@final
@dataclass(frozen=True)
class _Answer:
    """What came of an input: {"texts"} or {"error"}, and whether Ctrl-C ended the run."""

    item: _Item
    found: Mapping[str, object]
    interrupted: bool = False

    def record(self) -> dict[str, object]:
        """As it is given to the caller."""
        also: dict[str, object] = {"interrupted": True} if self.interrupted else {}
        return {"number": self.item.place, "input": self.item.value, **self.found, **also}


def _takes_numbers(task: Callable[..., Generations]) -> bool:
    try:
        parameters = inspect.signature(task).parameters.values()
    except (TypeError, ValueError):  # functions of other languages do not say
        return True
    return any(each.name == "numbers" or each.kind is each.VAR_KEYWORD for each in parameters)


def _own_seed(seed: int, number: int) -> int:
    from textsearch.rng import Rng

    return Rng.start(seed, 0, purpose="seeds of inputs").fold(number).key


def _items(inputs: Iterable[Any], numbers: Iterable[int] | None) -> Iterator[_Item]:
    others = count() if numbers is None else iter(numbers)
    for place, value in enumerate(inputs):
        number = next(others, None)
        if number is None:
            raise ValueError(f"numbers ended before input {place}: pass one for each input")
        yield _Item(place, value, number)


def _groups(items: Iterator[_Item], size: int) -> Iterator[list[_Item]]:
    """Inputs as they run together; what was read before an error comes before it."""
    while True:
        group: list[_Item] = []
        failure: Exception | None = None
        try:
            group.extend(islice(items, size))
        except Exception as error:
            failure = error
        if group:
            yield group
        if failure is not None:
            # what gives the inputs has broken down: those before are answered
            raise failure
        if len(group) < size:
            return


def _here(ask: _Asked, groups: Iterable[list[_Item]]) -> Iterator[list[_Answer]]:
    """The answers of each group, up to one that Ctrl-C ended."""
    for group in groups:
        answers = ask(group)
        yield answers
        if any(answer.interrupted for answer in answers):
            return


def _spread(ask: _Asked, groups: Iterable[list[_Item]], workers: int) -> Iterator[list[_Answer]]:
    """The same by workers, who show no progress."""
    from textsearch.run.workers import Answered, Failed, spread

    quiet = {name: False if name == "progress" else value for name, value in ask.settings.items()}
    for group, outcome in spread(replace(ask, settings=quiet), groups, workers=workers):
        if isinstance(outcome, Answered):
            yield outcome.value
        elif isinstance(outcome, Failed):
            yield [_Answer(item, {"error": outcome.error}) for item in group]
        else:
            yield [_Answer(item, {"texts": []}, interrupted=True) for item in group]


def _records(answers: Iterable[list[_Answer]]) -> Iterator[dict[str, object]]:
    return (answer.record() for group in answers for answer in group)
