"""Ctrl-C and SIGTERM: both stop the run under way, and neither stops a write half-way."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN = 0.02  # seconds


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or another signal that ends a run.

    Not KeyboardInterrupt itself: where that leaves code that is run from a string, as libraries do when they are
    imported, Python ends the process by the signal later on, whoever caught it in between.
    """


@final
class Stop:
    """Whether the process was asked to stop, and by which signal.

    Attributes:
        signal: the first one that came; None as long as none has.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._held = 0
        self._hook = sys.unraisablehook

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The handler: a run in progress knows Ctrl-C, so that SIGTERM comes as the same exception."""
        if self.signal is None:
            self.signal = number
        if not self._held:
            raise Interrupted

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block end first: a signal that comes meanwhile is remembered and raises nothing."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def lost(self, said: UnraisableHookArgs) -> None:
        """Hook of what no code can catch: a stop that fell into a finaliser comes again, once that is over.

        Python says on standard error that it ignores what a finaliser raises, and goes on.
        """
        if isinstance(said.exc_value, Interrupted):
            again = threading.Timer(_AGAIN, self._again)
            again.daemon = True
            again.start()
        else:
            self._hook(said)

    def _again(self) -> None:
        if _active is self and self.signal is not None:
            signal.pthread_kill(threading.main_thread().ident or 0, self.signal)

    @property
    def exit_code(self) -> int:
        """128 + the signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)


_active: Stop | None = None


@contextmanager
def heeded() -> Iterator[Stop]:
    """Handle both signals while the block runs; within another such block, its own `Stop` goes on."""
    global _active
    if _active is not None:
        yield _active
        return
    stop, before = Stop(), {}
    _active, hook = stop, sys.unraisablehook
    sys.unraisablehook = stop.lost
    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # what the parent told us to ignore, as shells do with jobs in the background, stays ignored
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    before[number] = signal.signal(number, stop)
        yield stop
    finally:
        _active, sys.unraisablehook = None, hook
        for number, handler in before.items():
            signal.signal(number, handler)
