"""Files that are whole or not there, and that tell when they are no longer what was written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from textsearch.kinds import shown


class DamagedError(ValueError):
    """A file is not there, or not what was written."""


def replace_file(path: Path, data: bytes) -> None:
    """Write a file anew: whoever looks finds the old one or the new one, whole, whatever stops the machine.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; the old file is as it was.
    """
    # one process writes: what a killed one left is written over
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def writing(folder: Path, what: str) -> Iterator[None]:
    """Say of an error on the disk what was to be written where, and what to do.

    Raises:
        OSError: the error, of its own kind.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise OSError(
            error.errno, f"{what} cannot be written to {folder} ({why}): make room there, or choose another folder"
        ) from error


def check_folder(folder: Path) -> None:
    """Refuse a folder that can neither be written to nor made; nothing is touched.

    Raises:
        ValueError: the message says what stands in the way.
    """
    try:
        there = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
        if not there.is_dir():
            raise ValueError(f"{shown(str(there), 200)} is a file: name a folder")
    except OSError as error:
        raise ValueError(f"{shown(str(folder), 200)} is no name of a folder: {error.strerror}") from error
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"the folder {shown(str(there), 200)} cannot be written to: name another")


def sync_folder(folder: Path) -> None:
    """Let the names in a folder reach the disk; what is in its files is another matter."""
    if os.name == "nt":  # which has no such call, and needs none
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sealed(told: Mapping[str, Any]) -> bytes:
    """What is told as JSON, with a checksum.

    >>> unsealed_bytes(sealed({"steps": 3}), Path("run.json"))
    {'steps': 3}
    """
    return (json.dumps({**told, "checksum": _checksum(told)}, indent=1) + "\n").encode()


def unsealed(path: Path) -> dict[str, Any]:
    """What a sealed file tells.

    Raises:
        DamagedError: it is not there, or not what was written.
        OSError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DamagedError(f"{path} is not there") from error
    return unsealed_bytes(data, path)


def unsealed_bytes(data: bytes, path: Path) -> dict[str, Any]:
    """The same of what is in it; `path` is what it is called in messages."""
    try:
        told = json.loads(data)
        checksum = told.pop("checksum")
        if checksum == _checksum(told):
            return dict(told)
    except (ValueError, KeyError, AttributeError, TypeError):
        pass
    raise DamagedError(f"{path} is damaged: it is not what was written there")


def _checksum(told: Mapping[str, Any]) -> str:
    """Of what is told, however it is laid out."""
    # written and read once: JSON makes lists of tuples, and text of numbers that are keys
    plain = json.loads(json.dumps(told))
    return blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=16).hexdigest()
