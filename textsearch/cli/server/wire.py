"""What a command and a server say to one another: JSON over HTTP, and where a server on this machine is found.

    GET  /v1/status         {"versions", "models", "limits", "runs"}
    POST /v1/runs           an `Asked`; the answer is a line of JSON an event, until the connection is closed:
                            {"run": id}, {"group": true}, {"before": runs that come first}, {"waiting": message},
                            {"note": message}, {"steps": [...]}, {"record": {...}}, {"alive": true}, and at the end
                            {"end": {...}} or {"unable": {"message", "code"}}
    POST /v1/runs/ID/stop   as Ctrl-C: the run gives what it has, and ends

Light to import.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, final

from textsearch.cli.sidecar import versions
from textsearch.kinds import shown

PORT = 8760
"""The port of a server, if none is named."""

RESTART = "start it again with: textsearch serve; then run the command again, or leave --server out"
"""What to do about a server that is no more."""

ALIVE = 5.0
"""Seconds between two signs of life of a server that has nothing to say."""

TOKEN = "TEXTSEARCH_SERVER_TOKEN"
"""The environment variable that holds the token of a server."""

LARGEST = 64 * 2**20
"""Bytes of a request."""


@final
@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a command asks of a server.

    Attributes:
        command: its name.
        inputs: that its task is asked, in order.
        numbers: of the inputs among all that there are, on which random numbers rest; None for 0, 1, 2, ...
        done: inputs at the beginning that are answered already.
        batch_inputs: inputs that run together.
        settings: of the task, its seed among them.
        models: kind -> name, None for the default.
        marks: kind -> what tells a named model from another that goes by the same name.
        progress: whether anybody watches.
        report: whether to say what each kind of move did.
        versions: of the packages that answers depend on, as the command has them.
    """

    command: str
    inputs: Sequence[Any]
    numbers: Sequence[int] | None = None
    done: int = 0
    batch_inputs: int = 16
    settings: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, str | None] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    progress: bool = False
    report: bool = False
    versions: Mapping[str, str] = field(default_factory=versions)

    @staticmethod
    def of(data: bytes) -> Asked:
        """From JSON.

        Raises:
            ValueError: it is no such thing; the message says why.
        """
        try:
            given = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the request is no JSON ({error})") from error
        if not isinstance(given, dict):
            raise ValueError(f"{shown(given)} is no request: send an object with command and inputs")
        kinds = {
            "command": str,
            "inputs": list,
            "numbers": list | None,
            "done": int,
            "batch_inputs": int,
            "settings": dict,
            "models": dict,
            "marks": dict,
            "progress": bool,
            "report": bool,
            "versions": dict,
        }
        for name, value in given.items():
            if name not in kinds:
                raise ValueError(f"a request has no {shown(name)}: choose from {', '.join(kinds)}")
            if not isinstance(value, kinds[name]) or (kinds[name] is int and isinstance(value, bool)):
                raise ValueError(f"{name}={shown(value)} is no {kinds[name]}")
        for name in ("command", "inputs"):
            if name not in given:
                raise ValueError(f"the request has no {name}")
        return Asked(**given)

    def json(self) -> bytes:
        """As JSON; a surrogate, which no encoding has, as an escape."""
        return json.dumps({one.name: getattr(self, one.name) for one in fields(self)}).encode()


@final
@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        url: such as http://127.0.0.1:8760.
        token: that it wants; None for none.
    """

    url: str
    token: str | None = field(default=None, repr=False)


def note_of() -> Path:
    """The file that says where the server on this machine is; for its owner's eyes alone, as it holds the token."""
    from textsearch.cache import cache_folder

    return cache_folder() / f"server-{socket.gethostname()}.json"


def announce(address: Address) -> None:
    """Let commands of this user find the server."""
    path = note_of()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(address) | {"pid": os.getpid()}, file)
    new.replace(path)


def withdraw() -> None:
    """Take the note away, if it is this process's own."""
    found = _noted()
    if found is not None and found["pid"] == os.getpid():
        with suppress(OSError):
            note_of().unlink()


def announced() -> Address | None:
    """Where the server on this machine said that it is; it may have been killed since."""
    found = _noted()
    return None if found is None else Address(found["url"], found["token"])


def _noted() -> dict[str, Any] | None:
    try:
        found = json.loads(note_of().read_bytes())
        fits = isinstance(found["url"], str) and isinstance(found["pid"], int)
        return found if fits and isinstance(found["token"], str | None) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def token_of(url: str) -> str | None:
    """The token for an address: of the environment, or of the note if that is the server's."""
    if given := os.environ.get(TOKEN):
        return given
    own = announced()
    return own.token if own is not None and own.url.rstrip("/") == url.rstrip("/") else None
