"""Partial results: an error that ends a run carries what the run had so far, and is otherwise unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textsearch.result import Generations

_HOME = "_textsearch_partial_result"
_CTRL_C = 3  # as often as this, and somebody means it


def partial_result(error: BaseException) -> Generations | None:
    """The result of the whole steps before `error` ended a run; None if it did not end one.

    An exception of the energy, a callback, or a rule for stopping comes out of `generate` and of every task as it was
    raised, to be caught by its own type.

    Args:
        error: the exception that came out of a run.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> def save(progress):
    ...     if progress.step == 30:
    ...         raise OSError("no space left")
    >>> try:
    ...     generate(few_a, sampler, ["aaa"], steps=50, seed=0, callbacks=[save])
    ... except OSError as error:
    ...     result = partial_result(error)
    >>> result.steps, result.interrupted, result.best_texts
    (30, True, ['bbb'])
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if (found := link.__dict__.get(_HOME)) is not None:
            result: Generations = found
            return result
        link = link.__cause__
    return None


def carry(error: BaseException, result: Generations) -> None:
    """Attach a result to the error."""
    if _HOME not in error.__dict__:
        error.add_note(f"{result.steps} steps had been taken: textsearch.partial_result(error) is what they gave")
    setattr(error, _HOME, result)


def viewed(run: Callable[[], Generations], view: Callable[[Generations], Generations]) -> Generations:
    """The result of `run` after `view`; applied to the partial result of an error as well."""
    try:
        result = run()
    except BaseException as error:
        if (found := partial_result(error)) is not None:
            carry(error, view(found))
        raise
    return gathered(lambda interrupted: view(replace(result, interrupted=result.interrupted or interrupted)), False)


def gathered(make: Callable[[bool], Generations], interrupted: bool) -> Generations:
    """`make(interrupted)`, called again if Ctrl-C comes while it runs, so that the result is not lost."""
    for _ in range(_CTRL_C - 1):
        try:
            return make(interrupted)
        except KeyboardInterrupt:
            interrupted = True
    return make(interrupted)


def said(error: Exception) -> str:
    """An error in one line: its message, and its type unless it refuses an argument.

    >>> said(ValueError("'x' holds an x")), said(KeyError("steps")), said(TimeoutError())
    ("'x' holds an x", "KeyError: 'steps'", 'TimeoutError')
    """
    text = str(error)
    if isinstance(error, ValueError | TypeError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
