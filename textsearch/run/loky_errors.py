"""What loky says when it is ended with blocks waiting: its thread may look for one that it has just cancelled.

It then dies of a KeyError (joblib 1.6), as it was about to, and prints a traceback among the messages of the program.
"""

from __future__ import annotations

import threading
from functools import cache

_THREAD = "_ExecutorManagerThread"


@cache
def hush_ended() -> None:
    """From now on say nothing of it; all other errors of threads are told as before."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not (issubclass(args.exc_type, KeyError) and type(args.thread).__name__ == _THREAD):
            before(args)

    threading.excepthook = hook
