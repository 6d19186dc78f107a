"""Threads take turns at a model: a pass hooks modules and switches attention, and fills a memory, so it must be alone.

There is one lock for each model, however many adapters it has. It belongs to no adapter: copies and pickles of an
adapter carry none, and a copied model has a lock of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, wraps
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from textsearch.models.reading.threads import sharing

if TYPE_CHECKING:
    from threading import _RLock

P = ParamSpec("P")
Found = TypeVar("Found")

_GUARD = Lock()
_LOCKS: WeakKeyDictionary[Any, _RLock] = WeakKeyDictionary()
# a thread that held a lock when its process was copied is not in the copy, and would never give it back
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LOCKS.clear)


class Adapter(Protocol):
    """Whatever runs a model."""

    @property
    def model(self) -> Any:
        """A transformers model."""


Self = TypeVar("Self", bound=Adapter)


def lock_of(model: Any) -> _RLock:
    """The lock of a model or a tokenizer; a thread that holds it may take it again.

    Models that share their embeddings, such as a masked model and its bare encoder, are one: they share what a pass
    changes.

    >>> from torch.nn import Linear
    >>> one, other = Linear(1, 1), Linear(1, 1)
    >>> lock_of(one) is lock_of(one), lock_of(one) is lock_of(other)
    (True, False)
    """
    embeddings = getattr(model, "get_input_embeddings", None)
    key = model if embeddings is None else embeddings()
    lock = _LOCKS.get(key)
    if lock is None:
        with _GUARD:
            lock = _LOCKS.setdefault(key, cast("_RLock", RLock()))
    return lock


@contextmanager
def alone(*models: Any) -> Iterator[None]:
    """While no other thread is at some models; all who take several take them in one order."""
    locks = {id(lock): lock for lock in map(lock_of, models)}
    with ExitStack() as stack:
        for key in sorted(locks):
            stack.enter_context(locks[key])
        with sharing():
            yield


def in_turn(method: Callable[Concatenate[Self, P], Found]) -> Callable[Concatenate[Self, P], Found]:
    """A method of an adapter that runs while no other thread is at the same model."""

    @wraps(method)
    def when_alone(self: Self, *arguments: P.args, **settings: P.kwargs) -> Found:
        with alone(self.model):
            return method(self, *arguments, **settings)

    return cast(Callable[Concatenate[Self, P], Found], when_alone)


def remembered(most: int) -> Callable[[Callable[P, Found]], Callable[P, Found]]:
    """As `functools.lru_cache`; threads that ask for the same at once wait for one answer.

    >>> @remembered(most=2)
    ... def load(name: str) -> object:
    ...     return object()
    >>> load("a") is load("a"), load("a") is load("b")
    (True, False)
    """

    def decorate(function: Callable[P, Found]) -> Callable[P, Found]:
        cached, lock = lru_cache(maxsize=most)(function), RLock()

        @wraps(function)
        def call(*arguments: P.args, **settings: P.kwargs) -> Found:
            with lock:
                return cached(*arguments, **settings)  # type: ignore[arg-type]

        return call

    return decorate
