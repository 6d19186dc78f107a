"""The HTTP of a server: who may ask, how much, and the events of a run as lines of JSON.

The standard library's server is enough. It reads a request of some kilobytes, and then writes lines for seconds or
minutes; how many it can answer is a matter of the model, which reads for one at a time, and not of HTTP. A thread for
each waiting command is what the queue needs in any case. So every installation can keep its models warm, and there is
one dependency less to keep safe. Where others than its owner come, a proxy that speaks TLS stands before it.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, final
from urllib.parse import urlsplit

from textsearch.addresses import is_loopback
from textsearch.cli.server.answering import Answering, Held, checked
from textsearch.cli.server.wire import ALIVE, LARGEST, Asked
from textsearch.cli.sidecar import versions
from textsearch.service.limits import Limits
from textsearch.service.queueing import Places


@final
class Server(ThreadingHTTPServer):
    """Answers commands with models that it holds.

    Args:
        host: to listen at.
        port: the same; 0 for any that is free.
        token: that a request must bear; None for none, which is for loopback alone.
        held: the models.
        limits: of what may be asked.

    Raises:
        OSError: it cannot listen there.
        ValueError: another address than one of loopback without a token.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, host: str, port: int, *, token: str | None = None, held: Held | None = None, limits: Limits | None = None
    ) -> None:
        if token is None and not is_loopback(host):
            raise ValueError(f"host={host!r} can be reached by others: use 127.0.0.1, or start it with --token")
        self.token, self.held, self.limits = token, held or Held(), limits or Limits()
        self.turn = Places(1)
        self.runs: dict[str, Answering] = {}
        self.guard = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Handler)

    @property
    def url(self) -> str:
        """Its address."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}"

    def begin(self, run: Answering) -> str:
        """Take a run in; its name.

        Raises:
            Busy: there are as many as there may be.
        """
        with self.guard:
            if len(self.runs) >= self.limits.runs:
                raise Busy(f"{len(self.runs)} commands wait for answers, the limit of this server: try again later")
            name = secrets.token_urlsafe(9)
            self.runs[name] = run
            return name

    def end(self, name: str) -> None:
        """A run is over."""
        with self.guard:
            self.runs.pop(name, None)

    def end_all(self, timeout: float = 3.0) -> int:
        """End all runs after their steps under way, since the server ends; how many there were."""
        with self.guard:
            runs = list(self.runs.values())
        for run in runs:
            run.ended.set()
            run.stop()
        end = time.monotonic() + timeout
        while self.runs and time.monotonic() < end:
            time.sleep(0.02)
        return len(runs)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is nothing to tell; a fault of ours is."""
        import sys
        import traceback

        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class Busy(Exception):  # noqa: N818
    """More than a server takes."""


@final
class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version = "textsearch"
    timeout = 60.0  # seconds for one read or write

    def do_GET(self) -> None:
        """How the server stands."""
        if not self._may():
            return
        if self.path != "/v1/status":
            self._refuse(404, f"there is nothing at {self.path}: /v1/status is")
            return
        held = {kind: list(own) for kind, own in self.server.held.named.items()}
        limits = vars(self.server.limits)
        self._say(200, {"versions": versions(), "models": held, "limits": limits, "runs": len(self.server.runs)})

    def do_POST(self) -> None:
        """A run, or its stop."""
        if not self._may():
            return
        # a page of another site can send no such type without being asked first
        if self.headers.get_content_type() != "application/json":
            self._refuse(415, "send Content-Type: application/json")
            return
        try:
            size = int(self.headers["Content-Length"])
        except (TypeError, ValueError):
            self._refuse(411, "send Content-Length")
            return
        if not 0 <= size <= LARGEST:
            self._refuse(413, f"{size:,} bytes are above the limit of {LARGEST:,}: ask for fewer inputs at a time")
            return
        data = self.rfile.read(size)
        parts = self.path.split("/")
        if parts[1:] == ["v1", "runs"]:
            self._run(data)
        elif len(parts) == 5 and parts[1:3] == ["v1", "runs"] and parts[4] == "stop":
            run = self.server.runs.get(parts[3])
            if run is not None:
                run.stop()
            self._say(200, {"stopped": run is not None})
        else:
            self._refuse(404, f"there is nothing at {self.path}: /v1/runs is")

    def _run(self, data: bytes) -> None:
        try:
            asked = Asked.of(data)
            run = Answering(asked, checked(asked, self.server.held, self.server.limits), self.server.turn)
            name = self.server.begin(run)
        except (ValueError, TypeError) as error:
            self._refuse(422, str(error))
            return
        except Busy as error:
            self._refuse(503, str(error))
            return
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.end_headers()
            lines = _Lines(self, run)
            lines.write({"run": name})
            with lines.alive():
                run.run(lines.write)
        finally:
            self.server.end(name)

    def _may(self) -> bool:
        """Whether who asks may; if not, it is told."""
        if self.server.token is not None:
            given = self.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode()):
                self._refuse(401, "it wants its token: set TEXTSEARCH_SERVER_TOKEN to what textsearch serve printed")
                return False
        # a page of another site that had its own name point here would send that name
        elif not is_loopback(host := urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""):
            self._refuse(
                403, f"the host {host!r} is not this machine: use 127.0.0.1, or start textsearch serve --token"
            )
            return False
        return True

    def _refuse(self, status: int, message: str) -> None:
        self._say(status, {"error": message})

    def _say(self, status: int, value: Mapping[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing: a request may hold what nobody else is to read."""


@final
class _Lines:
    """The events of a run on their way; when nobody reads them any more, the run is stopped."""

    def __init__(self, handler: Handler, run: Answering) -> None:
        self._handler, self._run = handler, run
        self._turn = threading.Lock()
        self._over = threading.Event()

    def write(self, event: Mapping[str, Any]) -> None:
        """One event."""
        line = json.dumps(event).encode() + b"\n"
        try:
            with self._turn:
                self._handler.wfile.write(line)
                self._handler.wfile.flush()
        except OSError:
            self._run.stop()

    def alive(self) -> _Lines:
        """While the block runs, a sign of life now and then, and how many come first."""
        return self

    def __enter__(self) -> None:
        threading.Thread(target=self._beat, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _beat(self) -> None:
        told = 0.0
        while not self._over.wait(1.0):
            told += 1.0
            before = self._run.before
            if before:
                self.write({"before": before})
            elif told >= ALIVE:
                told = 0.0
                self.write({"alive": True})
