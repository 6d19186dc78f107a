"""How the command line ends: which exit code, and what line, for all that can come out of it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from textsearch.cli.signals import heeded

REFUSED = 1
"""Exit code where no input was answered, or an answer could not be written."""

USAGE = 2
"""Exit code of a call that cannot be meant."""


def leave(run: Callable[[], None]) -> None:
    """Run, and exit: no traceback for anything but a fault of the program itself."""
    sys.exit(_code(run))


def _code(run: Callable[[], None]) -> int:
    with heeded() as stop:
        try:
            from textsearch.cli.console import forgive_encodings, mute_output, say

            forgive_encodings()
            try:
                run()
                if sys.stdout is not None:
                    sys.stdout.flush()
            except BrokenPipeError:
                return _unread()
            except SystemExit as error:
                # rich, which shows the help, makes one of a closed pipe
                if isinstance(error.__context__, BrokenPipeError):
                    return _unread()
                raise
            except OSError as error:
                mute_output()
                say(error, error=True)
                return REFUSED
            except Exception as error:
                code = getattr(error, "exit_code", None)
                if code is None:
                    # a signal may come out of an import as an error of the import
                    if stop.signal is not None:
                        raise KeyboardInterrupt from error
                    raise
                if hasattr(error, "format_message"):
                    say(error.format_message(), error=True)
                return int(code)
        except KeyboardInterrupt:
            from textsearch.cli.console import say

            say("interrupted")
            return stop.exit_code
        return 0


def _unread() -> int:
    """The exit code after a write to a closed pipe: that of the signal, which ends other programs then."""
    from textsearch.cli.console import mute_output

    mute_output()
    return 128 + getattr(signal, "SIGPIPE", 13)
