"""`textsearch.pipeline("keywords")(["dog", "park"])`: a task as a call, as those who know transformers expect it."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from importlib import import_module
from typing import Any, final

from textsearch.calls import nearest
from textsearch.checks import whole
from textsearch.kinds import nature, shown
from textsearch.language.keyword_lists import keywords_of
from textsearch.result.columns import column_of, flat, form_of, table_of
from textsearch.tasks.streaming import stream

TASKS = ("ask", "correct", "infill", "keywords", "paraphrase", "sample", "write")
"""Names of tasks that a pipeline can be made of."""

_LOADERS = {"causal": "causal", "masked": "masked", "encoder": "encoder", "classifier": "classifier"}
_RUN = ("numbers", "checkpoint", "every")  # of one run, which a pipeline makes many of

Texts = list[dict[str, Any]]
"""The texts of one input, the best first: {"text", "energy", "terms": {name: nats}}."""


def pipeline(task: str, **settings: Any) -> Pipeline:
    """A task with its models, to be called with inputs: one, or a list of them.

    Args:
        task: "ask", "correct", "infill", "keywords", "paraphrase", "sample" or "write".
        settings: of the task, such as `chains=8, steps=100, seed=0`; models as `causal=`, `masked=`, `encoder=`,
            `classifier=`, loaded or by name. Besides, `top`, how many texts each input is given back (by default all),
            and `batch_inputs`, how many inputs run together.

    Raises:
        ValueError: no such task.
        TypeError: a setting that the task does not have.

    >>> pipe = pipeline("keywords", chains=4, steps=0, top=1)
    >>> pipe
    pipeline('keywords', chains=4, steps=0, top=1)
    >>> pipeline("keyword")
    Traceback (most recent call last):
    ...
    ValueError: task='keyword' is no task: did you mean 'keywords'?
    """
    if task not in TASKS:
        near = difflib.get_close_matches(str(task), TASKS, 1)
        meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(TASKS)}"
        raise ValueError(f"task={shown(task)} is no task: {meant}")
    return Pipeline(task, settings)


@final
class Pipeline:
    """A task with its settings and its models, which are loaded once; see `pipeline`.

    Args:
        task: its name.
        settings: of the task, with `top` and `batch_inputs` besides.
    """

    def __init__(self, task: str, settings: Mapping[str, Any]) -> None:
        self.task = task
        self._told = dict(settings)
        self._function = _function(task)
        _check(task, self._function, settings)
        # what is named is loaded here, and held; a default model is loaded when a call needs it, once a process
        self._settings = {name: _loaded(name, value) for name, value in settings.items()}

    def __repr__(self) -> str:
        return f"pipeline({', '.join([repr(self.task), *(f'{k}={shown(v)}' for k, v in self._told.items())])})"

    def __call__(self, inputs: Any, *, column: Hashable | None = None, **settings: Any) -> Any:
        """The texts of one input, or of each of several.

        Args:
            inputs: one input of the task, a list or any other iterable of them, or a DataFrame of pandas or a Dataset
                of datasets. One input is a string; of `keywords` a string, such as "dog park" or "hot dog, park", or a
                list of words and phrases; of `write` a dictionary.
            column: of a table, which column holds the inputs.
            settings: in place of those that the pipeline was made with.

        Returns:
            Of one input its texts, the best first, each {"text", "energy", "terms"}; of several a list of such lists;
            of a table a table of the same package, one row a text: "input" (the number of its row), the column (as
            "source" if it is called like one of the others), "text", "energy", and each term of the energy as
            "... (term)".

        Raises:
            ValueError: an input that the task refuses: the message says which and why. `textsearch.stream` goes on with
                the others.
            KeyboardInterrupt: Ctrl-C.
        """
        _check(self.task, self._function, settings)
        told = self._settings | {name: _loaded(name, value) for name, value in settings.items()}
        top = told.pop("top", None)
        top = None if top is None else whole("top", top, 1)
        if (form := form_of(inputs)) is not None or column is not None:
            values = column_of(inputs, column)
            found = self._answers(values, told, top)
            assert form is not None and column is not None
            rows = [{"input": number, **text} for number, own in enumerate(found) for text in own]
            columns = {"input": [], "text": [], "energy": [], **flat(rows)}
            # what a user's table holds is not written over
            name = "source" if column in columns else column
            sources = [values[number] for number in columns["input"]]
            return table_of({"input": columns.pop("input"), name: sources, **columns}, form, "a pipeline on a table")
        if _is_one(self.task, inputs):
            return self._answers([inputs], told, top, alone=True)[0]
        if not isinstance(inputs, Iterable):
            raise TypeError(f"{shown(inputs)} is {nature(inputs)}: no input of {self.task}, and no list of them")
        return self._answers(inputs, told, top)

    def _answers(
        self, inputs: Iterable[Any], settings: Mapping[str, Any], top: int | None, alone: bool = False
    ) -> list[Texts]:
        lang = settings.get("lang", "en")
        values = (_read(self.task, value, lang) for value in inputs)
        found: list[Texts] = []
        for record in stream(self._function, values, **settings):
            if "error" in record:
                which = "" if alone else f"input {record['number']}, {shown(record['input'])}, is refused: "
                raise ValueError(f"{which}{record['error']}")
            if record.get("interrupted"):
                raise KeyboardInterrupt
            texts = record["texts"]
            assert isinstance(texts, list)
            found.append(texts[:top])
        return found


def _function(task: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module("textsearch.tasks"), task)
    return function


def _check(task: str, function: Callable[..., Any], settings: Mapping[str, Any]) -> None:
    """Refuse a setting that the task does not have."""
    known = [name for name in list(inspect.signature(function).parameters)[1:] if name not in _RUN]
    known += ["top", "batch_inputs", "workers"]
    for name, value in settings.items():
        if name not in known:
            near = nearest(name, known)
            meant = f"did you mean {near}?" if near else f"it has {', '.join(known)}"
            raise TypeError(f"{name}={shown(value)} is no setting of {task}: {meant}")


def _loaded(name: str, value: Any) -> Any:
    """A model that is named as a model that is loaded; all else as it is."""
    if name not in _LOADERS or not isinstance(value, str | os.PathLike):
        return value
    from textsearch.tasks import resolve

    return getattr(resolve, _LOADERS[name])(value)


def _is_one(task: str, given: Any) -> bool:
    """Whether it is one input of the task, and no list of them."""
    if isinstance(given, str):
        return True
    if task == "keywords":
        return isinstance(given, list | tuple) and len(given) > 0 and all(isinstance(word, str) for word in given)
    if isinstance(given, Mapping):
        return task in ("ask", "write")
    # a request that was read has no items to go through
    return task == "write" and hasattr(given, "asked")


def _read(task: str, value: Any, lang: str) -> Any:
    """An input as the task takes it: a string of keywords is a set of them."""
    if task == "keywords" and isinstance(value, str):
        return keywords_of(value, lang)
    return value
