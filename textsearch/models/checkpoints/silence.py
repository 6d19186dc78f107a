"""Keep a library's progress bars and notices off the user's terminal while a model loads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

# these settings are the whole process's: two threads that load at once would each put back what the other had set
_LOCK = RLock()


@contextmanager
def silenced() -> Iterator[None]:
    """No progress bars, no log lines below errors, no warnings from transformers inside the block; one at a time."""
    with _LOCK:
        yield from _silenced()


def _silenced() -> Iterator[None]:
    from transformers.utils import logging

    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
