"""What stands beside a file of answers: how they were made, so that others are not mixed with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

from textsearch.cli.console import json_text
from textsearch.cli.inputs import Input
from textsearch.cli.models import UNKNOWN
from textsearch.files import replace_file
from textsearch.kinds import shown

FORMAT = "textsearch answers 1"
_PACKAGES = ("textsearch-sampling", "torch", "transformers")


@final
@dataclass(frozen=True)
class Made:
    """How answers are made.

    Attributes:
        command: of the command line.
        settings: all that its answers depend on.
        models: kind -> its mark; see `textsearch.cli.models.fingerprint`.
        inputs: all of them.
    """

    command: str
    settings: Mapping[str, Any]
    models: Mapping[str, str]
    inputs: Sequence[Input]

    @property
    def known(self) -> bool:
        """Whether all models could be told apart."""
        return not any(mark.endswith(UNKNOWN) for mark in self.models.values())

    @cached_property
    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "format": FORMAT,
            "command": self.command,
            "settings": {name: _plain(value) for name, value in self.settings.items()},
            "models": dict(self.models),
            "versions": versions(),
            "inputs": {"count": len(self.inputs), "sha256": digest(self.inputs)},
        }

    def differences(self, before: Mapping[str, Any], name: str) -> list[str]:
        """What is not as it was: `seed: 1 in answers.jsonl.settings.json, 2 now`. More inputs at the end may come."""
        now, found = self.record, []
        if before["command"] != now["command"]:
            found.append(f"command: {before['command']} in {name}, {now['command']} now")
        for part in ("settings", "models", "versions"):
            for key in sorted({*before[part], *now[part]}):
                old, new = (side[part].get(key) for side in (before, now))
                if old != new and not str(new).endswith(UNKNOWN):
                    found.append(f"{key}: {shown(old, 100)} in {name}, {shown(new, 100)} now")
        count = before["inputs"]["count"]
        if count > len(self.inputs):
            found.append(f"inputs: {count} in {name}, {len(self.inputs)} now")
        elif before["inputs"]["sha256"] != digest(self.inputs[:count]):
            found.append(f"inputs: not those of {name}")
        return found


def beside(answers: Path) -> Path:
    """Where the settings of a file of answers stand."""
    return answers.with_name(answers.name + ".settings.json")


def read(path: Path) -> dict[str, Any] | None:
    """What stands there; None if there is nothing.

    Raises:
        ValueError: something else stands there.
    """
    try:
        found = json.loads(path.read_bytes())
        parts = {"command": str, "settings": dict, "models": dict, "versions": dict, "inputs": dict}
        fits = found["format"] == FORMAT and all(isinstance(found[name], kind) for name, kind in parts.items())
        answers = found.setdefault("answers", {"count": 0, "sha256": ""})
        fits = fits and isinstance(answers["count"], int) and isinstance(answers["sha256"], str)
        fits = fits and isinstance(found["inputs"]["count"], int) and isinstance(found["inputs"]["sha256"], str)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise ValueError(f"{path} does not say how answers were made (damaged, or another program's)")
    assert isinstance(found, dict)
    return found


def write(path: Path, record: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    """Write a record as a file that is there as a whole or not at all.

    Args:
        path: its name.
        record: of `Made`.
        answers: what tells whether the answers were changed since.
    """
    replace_file(path, (json_text({**record, "answers": answers}, indent=2) + "\n").encode())


def digest(inputs: Sequence[Input]) -> str:
    """A hash of inputs and of the lines that they stand on."""
    whole = hashlib.sha256()
    for one in inputs:
        whole.update(json.dumps([one.line, one.value], sort_keys=True).encode() + b"\n")
    return whole.hexdigest()[:32]


def versions() -> dict[str, str]:
    """Those of the packages that answers depend on."""
    return {name: _version(name) for name in _PACKAGES}


def _plain(value: Any) -> Any:
    """A setting as JSON gives it back."""
    return json.loads(json.dumps(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
