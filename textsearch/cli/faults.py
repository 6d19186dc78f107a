"""What goes wrong with a whole command, and not with one input of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textsearch.cli.leaving import USAGE

if TYPE_CHECKING:
    from textsearch.result import Generations

_KEEPING = ("textsearch.files", "textsearch.run.checkpoint", "textsearch.run.keeper", "textsearch.run.segments")
"""Modules whose own errors are those of the folder of a checkpoint."""


class Unable(BaseException):
    """What goes wrong whatever the input is: a model that cannot be loaded, a missing package, a full disk.

    No `Exception`, for a stream takes those for the fault of an input, and would meet this one again with each.

    Attributes:
        code: to exit with.
    """

    def __init__(self, message: object, code: int = USAGE) -> None:
        super().__init__(str(message))
        self.code = code


def able(task: Callable[..., Generations]) -> Callable[..., Generations]:
    """The task, here or in a worker; an error that is none of an input is one of the whole there too."""

    @functools.wraps(task)
    def guarded(*arguments: Any, **settings: Any) -> Generations:
        try:
            return task(*arguments, **settings)
        except Exception as error:
            if _of_the_whole(error):
                raise Unable(error) from error
            raise

    return guarded


def _of_the_whole(error: Exception) -> bool:
    """Whether an error is the fault of no input: a package is missing, a model cannot be loaded, or a run not kept."""
    if isinstance(error, ImportError):
        return True
    trace, module = error.__traceback__, None
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__")
        if module == "textsearch.tasks.resolve":
            return True
        trace = trace.tb_next
    return module in _KEEPING
