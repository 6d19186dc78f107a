"""A command that asks a server, in place of loading models: the same answers, errors and exit codes.

Nothing heavy is imported: the first thing that a command waits for is the server.
"""

from __future__ import annotations

import http.client
import json
import queue
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final, final
from urllib.parse import urlsplit

import typer

from textsearch.cli.faults import Unable
from textsearch.cli.leaving import REFUSED, USAGE
from textsearch.cli.server.wire import ALIVE, RESTART, Address, Asked, announced, token_of
from textsearch.kinds import shown
from textsearch.steps_bar import Far, steps_bar
from textsearch.waiting import note, waiting

if TYPE_CHECKING:
    from textsearch.cli.signals import Stop

LOCAL: Final = "local"
"""In place of an address: the server that runs on this machine."""

_START = "start one with: textsearch serve; or leave --server out"
_SILENT = 12 * ALIVE
_POLL = 0.05  # seconds within which Ctrl-C is heeded


def address(given: str) -> str:
    """An address as it was typed, if it can be one.

    Raises:
        typer.BadParameter: it cannot.
    """
    if given == LOCAL:
        return given
    parts = urlsplit(given)
    try:
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/")
        fits = fits and (parts.port is None or parts.port > 0) and not parts.query
    except ValueError:  # the port is none
        fits = False
    if not fits:
        raise typer.BadParameter(f"{shown(given)} is no address of a server: write http://127.0.0.1:8760, or {LOCAL}")
    return given


def found(given: str) -> Address:
    """The server that is meant.

    Raises:
        Unable: none runs on this machine, as far as its user can tell.
    """
    if given != LOCAL:
        return Address(given.rstrip("/"), token_of(given))
    own = announced()
    if own is None:
        raise Unable(f"no server runs on this machine: {_START}")
    return own


@final
class Remote:
    """A run of a command on a server.

    Args:
        where: the server.
        stop: whether the command was asked to stop.
        quiet: show no progress.

    Attributes:
        end: what the server says of all runs together, once they are over.
    """

    def __init__(self, where: Address, stop: Stop, *, quiet: bool) -> None:
        self._where, self._stop, self._quiet = where, stop, quiet
        self._run: str | None = None
        self._told_to_stop = False
        self.end: Mapping[str, Any] = {}

    def answers(self, asked: Asked, before_group: Callable[[], None]) -> Generator[dict[str, Any]]:
        """A record for each input, as `textsearch.tasks.stream` gives them.

        Raises:
            Unable: the server cannot be reached, refuses what it is asked, ends before it is done, or finds what is
                wrong with the whole.
            KeyboardInterrupt: the run was stopped before it had anything.
        """
        connection, answer = self._ask(asked)
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(answer, events), daemon=True).start()
        try:
            with _Line(self._quiet) as line:
                while not self.end:
                    # the first Ctrl-C is handed on to the server, wherever it falls; the second one is ours
                    with nullcontext() if self._told_to_stop else self._stop.held():
                        event = self._next(events, line)
                    if "record" in event:
                        yield event["record"]
                    elif "group" in event:
                        before_group()
            if self.end["interrupted"]:
                raise KeyboardInterrupt
        finally:
            # a server whose reader is gone stops the run
            connection.close()

    def _next(self, events: queue.SimpleQueue[Any], line: _Line) -> dict[str, Any]:
        """The next event that is not for the line alone; an empty one once the server was told to stop."""
        while True:
            if self._stop.signal is not None and not self._told_to_stop:
                self._told_to_stop = True
                self._post_stop()
                return {}
            try:
                event = events.get(timeout=_POLL)
            except queue.Empty:
                continue
            if isinstance(event, TimeoutError):
                raise Unable(f"the server at {self._where.url} has said nothing for {_SILENT:g} s: {RESTART}", REFUSED)
            if isinstance(event, BaseException):
                raise Unable(f"the server at {self._where.url} ended before the command: {RESTART}", REFUSED)
            if "unable" in event:
                raise Unable(event["unable"]["message"], event["unable"]["code"])
            self._run = event.get("run", self._run)
            self.end = event.get("end", self.end)
            if event.keys() & {"record", "group", "end"}:
                line.clear()
                return dict(event)
            line.show(event)

    def _ask(self, asked: Asked) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send it; what is wrong with it is told at once."""
        connection = self._connection(timeout=_SILENT)
        try:
            connection.request("POST", "/v1/runs", body=asked.json(), headers=self._headers())
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unable(f"no server answers at {self._where.url} ({_reason(error)}): {_START}") from error
        if answer.status == 200:
            return connection, answer
        try:
            said = json.loads(answer.read())["error"]
        except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
            said = f"HTTP {answer.status}: it is no server of textsearch"
        connection.close()
        busy = answer.status == 503
        raise Unable(f"the server at {self._where.url} refuses: {said}", REFUSED if busy else USAGE)

    def _post_stop(self) -> None:
        if self._run is None:
            raise KeyboardInterrupt
        with suppress(OSError, http.client.HTTPException):
            connection = self._connection(timeout=ALIVE)
            connection.request("POST", f"/v1/runs/{self._run}/stop", body=b"{}", headers=self._headers())
            connection.getresponse().read()
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        parts = urlsplit(self._where.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)

    def _headers(self) -> dict[str, str]:
        token = {"Authorization": f"Bearer {self._where.token}"} if self._where.token else {}
        return {"Content-Type": "application/json", **token}


class _Line:
    """What is being waited for, on standard error, as a command shows it that loads the models itself."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._open = ExitStack()
        self._kind = ""
        self._say: Callable[[Any], None] = lambda _: None

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing is being waited for."""
        self._open.close()
        self._kind = ""

    def show(self, event: Mapping[str, Any]) -> None:
        """One event of the server."""
        if self._quiet:
            return
        if "steps" in event:
            self._begin("steps", steps_bar())
            self._say(Far(*event["steps"]))
        elif "note" in event:
            note(event["note"], True)
        elif "before" in event:
            self._waiting("waiting for the server", f"{event['before']} of others come first")
        elif "waiting" in event:
            head, _, far = str(event["waiting"]).partition(": ")
            if head:
                self._waiting(head, far)
            else:
                self.clear()

    def _waiting(self, head: str, far: str) -> None:
        self._begin(head, waiting(head, True))
        if far:
            self._say(far)

    def _begin(self, kind: str, line: Any) -> None:
        if self._kind != kind:
            self.clear()
            self._kind, self._say = kind, self._open.enter_context(line)


def _read(answer: http.client.HTTPResponse, events: queue.SimpleQueue[Any]) -> None:
    """The thread that reads: what interrupts the command interrupts no line."""
    try:
        for line in answer:
            events.put(json.loads(line))
        events.put(EOFError())
    except BaseException as error:
        events.put(error)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
