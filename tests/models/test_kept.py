"""Folders that are kept: whole or not there, as they were made, and made by one at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from textsearch import cache as checks
from textsearch.cache import SUMS, cache_folder, compared_before, damage, incomplete, kept


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("TEXTSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Makes a small model and counts."""

    def __init__(self, error: Exception | None = None, seconds: float = 0) -> None:
        self.made, self.error, self.seconds = 0, error, seconds

    def __call__(self, folder: Path) -> None:
        assert folder.is_dir() and not any(folder.iterdir())
        (folder / "weights").write_bytes(b"\0\1\2")
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        (folder / "inner").mkdir()
        (folder / "inner" / "config.json").write_text("{}")
        self.made += 1


def seen(folder: Path) -> list[str]:
    """What is in the cache, locks aside."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEXTSEARCH_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("TEXTSEARCH_CACHE")
    assert cache_folder().name == "textsearch"
    monkeypatch.setenv("TEXTSEARCH_CACHE", "")
    assert cache_folder().name == "textsearch"


def test_a_folder_is_made_once_with_the_hashes_of_its_files(cache: Path) -> None:
    make = Maker()
    folder = kept("model", make)
    assert folder == cache / "model" and damage(folder) is None
    # the format of sha256sum; the hash of "{}"
    assert (folder / SUMS).read_text().splitlines()[0] == (
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a  inner/config.json"
    )
    # what somebody adds is theirs
    (folder / "notes.txt").write_text("mine")
    assert kept("model", make) == folder and make.made == 1 and seen(cache) == ["model"]


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (lambda folder: (folder / "weights").write_bytes(b"\0\1\3"), "weights is not what was written there"),
    "cut": (lambda folder: (folder / "weights").write_bytes(b"\0"), "weights is not what was written there"),
    "a file is gone": (
        lambda folder: (folder / "inner" / "config.json").unlink(),
        "'inner/config.json' cannot be read",
    ),
    "no hashes": (lambda folder: (folder / SUMS).unlink(), "its list of hashes, SHA256SUMS, is missing"),
    "empty hashes": (lambda folder: (folder / SUMS).write_text(""), "its list of hashes, SHA256SUMS, is missing"),
    "garbled hashes": (lambda folder: (folder / SUMS).write_bytes(b"\xff\xfe"), "its list of hashes, SHA256SUMS, is"),
    "other text": (lambda folder: (folder / SUMS).write_text("hello\n"), "'hello' cannot be read"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_folder_is_made_again(kind: str, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spoil, message = DAMAGES[kind]
    make = Maker()
    spoil(kept("model", make))
    capfd.readouterr()
    folder = kept("model", make)
    assert make.made == 2 and damage(folder) is None and seen(cache) == ["model"]
    assert f"textsearch: {folder} is damaged, and made again: {message}" in capfd.readouterr().err
    assert kept("model", make) == folder and make.made == 2


def test_a_damaged_folder_that_cannot_be_made_again_says_what_to_delete(cache: Path) -> None:
    spoil, message = DAMAGES["cut"]
    folder = kept("model", Maker())
    spoil(folder)
    with pytest.raises(RuntimeError, match=rf"model is damaged \({message}.*\) and .* no network. Delete that folder"):
        kept("model", Maker(OSError("no network")))
    # nothing was taken away, and nothing left behind
    assert (folder / "weights").exists() and seen(cache) == ["model"]


def test_a_failure_leaves_nothing(cache: Path) -> None:
    with pytest.raises(OSError, match="no network"):
        kept("model", Maker(OSError("no network")))
    assert seen(cache) == []


def test_whoever_comes_second_waits(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make = Maker(seconds=0.3)
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: kept("model", make), range(4)))
    assert set(folders) == {cache / "model"} and make.made == 1
    assert capfd.readouterr().err.count(f"another process is making {cache / 'model'}; waiting for it") == 3


def test_what_a_killed_process_leaves_is_cleaned_at_the_next_call(cache: Path) -> None:
    program = (
        "import time; from textsearch.cache import kept\n"
        "def make(folder):\n"
        "    (folder / 'weights').write_bytes(bytes(9)); print('half', flush=True); time.sleep(60)\n"
        "kept('model', make)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None and process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [name.startswith(".model-") for name in seen(cache)] == [True]
    (cache / ".models-of-another").mkdir()
    make = Maker()
    kept("model", make)
    assert make.made == 1 and seen(cache) == [".models-of-another", "model"]


def test_what_was_compared_once_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    folder = kept("model", make)
    kept("model", make)
    read: list[Path] = []
    before = checks._sha256

    def counted(path: Path) -> str:
        read.append(path)
        return before(path)

    monkeypatch.setattr(checks, "_sha256", counted)
    assert kept("model", make) == folder and compared_before(folder) and read == []
    # somebody touches a file: it is read again, once
    os.utime(folder / "weights", ns=(0, 0))
    kept("model", make)
    assert len(read) == 2
    kept("model", make)
    assert len(read) == 2 and make.made == 1
    # asked for, all is read
    assert damage(folder) is None and len(read) == 4


def test_damage_that_puts_size_and_time_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kept("model", Maker())
    kept("model", Maker())
    weights = folder / "weights"
    times = weights.stat()

    def spoil() -> None:
        time.sleep(0.02)  # of the clock that files have
        weights.write_bytes(b"\0\1\3")
        os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))

    spoil()
    assert not compared_before(folder) and not incomplete(folder)
    assert damage(folder) == "weights is not what was written there (another SHA-256)"
    # the broken twin looks at sizes and times of writing alone
    folder = kept("other", Maker())
    weights = folder / "weights"
    with monkeypatch.context() as broken:
        broken.setattr(checks, "_of_file", lambda stat: [stat.st_size, stat.st_mtime_ns])
        kept("other", Maker())
        times = weights.stat()
        spoil()
        assert compared_before(folder) and damage(folder) is not None
    weights.unlink()
    assert incomplete(folder)


def test_a_cache_that_cannot_be_written_to_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    folder = kept("model", make)

    def refuse(*_: object, **__: object) -> object:
        raise PermissionError("read-only")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert (
        kept("model", make) == folder
        and make.made == 1
        and sorted(p.name for p in folder.iterdir()) == sorted([SUMS, "inner", "weights"])
    )
