"""Folders that are made once and kept in the user's cache, complete and unchanged or not at all.

A folder carries the SHA-256 of each of its files in `SHA256SUMS` (`sha256sum -c SHA256SUMS` checks them by hand). It is
made in a temporary place and moved in whole; one process makes it while the others wait. Files are read and compared
with their hashes once; a note in the folder says of which sizes and times that was, and as long as these stay the
same they are not read again: that took most of a second of every start.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SUMS = "SHA256SUMS"


def cache_folder() -> Path:
    """Where fetched models are kept: `TEXTSEARCH_CACHE` if set, else the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("TEXTSEARCH_CACHE")
    return Path(chosen) if chosen else user_cache_path("textsearch")


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, made by `make(empty folder)` if it is not there or no longer what was made.

    A damaged model would only show in bad texts, so every file is checked by its hash, again whenever its size or a
    time of it has changed.

    Raises:
        RuntimeError: the folder is damaged and cannot be made again; the message says what is wrong and what to delete.
    """
    target = cache_folder() / name
    if target.exists() and (compared_before(target) or damage(target) is None):
        return target
    from filelock import FileLock, Timeout

    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.parent / f".{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"textsearch: another process is making {target}; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        # whoever held the lock may have made it
        wrong = damage(target) if target.exists() else "not there"
        if wrong is not None:
            _make(target, make, wrong if target.exists() else None)
    finally:
        lock.release()
    return target


def damage(folder: Path) -> str | None:
    """What is wrong with a cached folder; None if it is as it was made. Reads all files, and keeps a note of that."""
    # taken before the files are read: what changes meanwhile is read again
    seen = _times(folder)
    wrong = _compared(folder)
    if wrong is None and seen is not None:
        write_whole(_note(folder), json.dumps(seen).encode())
    return wrong


def incomplete(folder: Path) -> bool:
    """Whether the list of hashes, or a file on it, is not there: what can be told at a glance."""
    return _times(folder) is None


def compared_before(folder: Path) -> bool:
    """Whether all files still have the sizes and times that they had when they were compared with their hashes."""
    try:
        before = json.loads(_note(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return before is not None and before == _times(folder)


def _times(folder: Path) -> dict[str, list[int]] | None:
    """Of the list of hashes and each file on it: size, and when it was written and last changed in any way, in ns."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        names = [SUMS, *(line.partition("  ")[2] for line in lines)]
        found = {name: (folder / name).stat() for name in names}
    except (OSError, ValueError):
        return None
    return {name: _of_file(stat) for name, stat in found.items()}


def _of_file(stat: os.stat_result) -> list[int]:
    # the time of a change cannot be set back, as that of writing can
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _note(folder: Path) -> Path:
    """Where it is kept of which sizes and times the files were compared with their hashes."""
    return folder / ".checked"


def write_whole(path: Path, data: bytes) -> None:
    """A file, whole or not at all; a cache that cannot be written to goes without."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)


def _compared(folder: Path) -> str | None:
    """What is wrong with the files, by their hashes."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    if not lines:
        return f"its list of hashes, {SUMS}, is missing or unreadable"
    for line in lines:
        expected, _, name = line.partition("  ")
        try:
            found = _sha256(folder / name)
        except OSError as error:
            return f"{name or line!r} cannot be read ({error.strerror})"
        if found != expected:
            return f"{name} is not what was written there (another SHA-256)"
    return None


def _make(target: Path, make: Callable[[Path], None], wrong: str | None) -> None:
    """Make the folder in a temporary place and move it in whole; the lock is held."""
    if wrong is not None:
        print(f"textsearch: {target} is damaged, and made again: {wrong}", file=sys.stderr)
    # what killed processes left: nobody else makes this folder now
    for left in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        folder = Path(temporary) / target.name
        folder.mkdir()
        try:
            make(folder)
        except Exception as error:
            if wrong is None:
                raise
            raise RuntimeError(
                f"{target} is damaged ({wrong}) and cannot be made again: {error}. Delete that folder when it can be"
            ) from error
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        sums = "".join(f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
        (folder / SUMS).write_text(sums, encoding="utf-8")
        if wrong is not None:
            target.rename(Path(temporary) / "damaged")
        folder.rename(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
