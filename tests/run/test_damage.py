"""Folders of runs that are damaged, full, not to be written to, or in use: never a wrong result, and nothing lost."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import struct
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.run.kept import ADAPTIVE, apart, files, killed
from tests.run.test_resuming import stops_at
from textsearch import Generations, partial_result, resume
from textsearch.files import DamagedError

WHOLE = ADAPTIVE.run()
NEWEST, OLDER = "state-1.safetensors", "state-0.safetensors"


def go_on(folder: Path) -> Generations:
    return resume(folder, ADAPTIVE.objective, ADAPTIVE.sampler)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of 9 steps, whose states are those after 8 and after 9."""
    place = tmp_path / "run"
    ADAPTIVE.run(checkpoint=place, every=0, callbacks=[stops_at(9)])
    return place


def flipped(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << place % 8
    path.write_bytes(bytes(data))


def places(path: Path, seed: int) -> list[int]:
    """A byte of each class of a safetensors file: its length, its header, its padding, what is told, and tensors."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, rng = data[8 : 8 + length], random.Random(seed)
    told = [header.index(word) + 8 + len(word) for word in (b"__metadata__", b'"told":"{', b"checksum", b'steps\\": ')]
    named = [header.index(b"data_offsets") + 8 + 16, header.index(b"dtype") + 8 + 9, header.index(b"shape") + 8 + 8]
    tensors = [8 + length, len(data) - 1, *(rng.randrange(8 + length, len(data)) for _ in range(6))]
    return [0, 3, 7, 8, 7 + length, *told, *named, *(rng.randrange(8, 8 + length) for _ in range(12)), *tensors]


def test_a_damaged_state_falls_back_to_the_other(folder: Path, tmp_path: Path) -> None:
    states = {NEWEST: "1 steps at most are lost, and taken again", OLDER: "no step is lost"}
    for name, told in states.items():
        for number, place in enumerate(places(folder / name, seed=number_of(name))):
            copy = tmp_path / f"{name} {number}"
            shutil.copytree(folder, copy)
            flipped(copy / name, place)
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                result = go_on(copy)
            assert apart(WHOLE, result) == [], place
            # a blank of the header may become another one, which says the same
            assert not said or (f"{name} is damaged" in str(said[0].message) and told in str(said[0].message)), said
            assert said or place == 7 + len(json_header(folder / name)), place


def number_of(name: str) -> int:
    return int(name[6])


def json_header(path: Path) -> bytes:
    data = path.read_bytes()
    return data[8 : 8 + struct.unpack("<Q", data[:8])[0]]


@pytest.mark.parametrize("size", [0, 5, 8, 300, -1])
def test_a_state_cut_short(size: int, folder: Path) -> None:
    os.truncate(folder / NEWEST, size if size >= 0 else (folder / NEWEST).stat().st_size - 1)
    with pytest.warns(RuntimeWarning, match=r"state-1\S+ is damaged.* step 8 of state-0\S+: 1 steps at most are lost"):
        assert apart(WHOLE, go_on(folder)) == []


def test_a_state_from_another_run(folder: Path, tmp_path: Path) -> None:
    ADAPTIVE.run(checkpoint=tmp_path / "other", steps=11, temperature=2.0)
    shutil.copy(tmp_path / "other" / NEWEST, folder / NEWEST)
    with pytest.warns(RuntimeWarning, match=r"record-0.bin is damaged"):
        assert apart(WHOLE, go_on(folder)) == []


def test_both_states_damaged(folder: Path) -> None:
    for name in (OLDER, NEWEST):
        flipped(folder / name, 2000)
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    with pytest.raises(DamagedError, match=r"no state in .* can be gone on from: .*state-0.*state-1.* from a copy"):
        go_on(folder)
    assert before == {name: (folder / name).read_bytes() for name in files(folder)}


def test_no_state_left(folder: Path) -> None:
    """As it is when a process was killed before its first step: the run begins."""
    for name in (OLDER, NEWEST):
        (folder / name).unlink()
    assert apart(WHOLE, go_on(folder)) == []


COLUMNS = ["record-0.bin", "record-1.bin", "record-2.bin", "record-3.bin", "record-4.bin"]
SAMPLES = ["samples.jsonl", "sample-ends.bin", "sample-steps.bin"]


@pytest.mark.parametrize("name", COLUMNS + SAMPLES)
def test_a_damaged_segment(name: str, folder: Path, tmp_path: Path) -> None:
    size = (folder / name).stat().st_size
    for place in (0, size // 3):
        copy = tmp_path / f"copy {place}"
        shutil.copytree(folder, copy)
        flipped(copy / name, place)
        with pytest.raises(DamagedError, match=rf"{name} is damaged: it is not what was written"):
            go_on(copy)
    os.truncate(folder / name, size // 2)
    with pytest.raises(DamagedError, match=rf"{name} is damaged: it ends [\d,]+ bytes too soon"):
        go_on(folder)
    (folder / name).unlink()
    with pytest.raises(DamagedError, match=rf"{name} is not there"):
        go_on(folder)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_last_segment_that_is_damaged_falls_back(name: str, folder: Path) -> None:
    flipped(folder / name, (folder / name).stat().st_size - 1)
    with pytest.warns(RuntimeWarning, match=rf"{name} is damaged.* step 8 of state-0\S+: 1 steps at most are lost"):
        assert apart(WHOLE, go_on(folder)) == []


def test_what_was_never_committed_is_written_over(folder: Path) -> None:
    for name in COLUMNS + SAMPLES:
        with (folder / name).open("ab") as file:
            file.write(b"left by a process that was killed" * 40)
    (folder / ".state-0.safetensors.new").write_bytes(b"half")
    assert apart(WHOLE, go_on(folder)) == []
    assert ".state-0.safetensors.new" not in files(folder)


@pytest.mark.parametrize("name", ["run.json", "start.safetensors"])
def test_a_damaged_beginning(name: str, folder: Path) -> None:
    data = (folder / name).read_bytes()
    rng = random.Random(0)
    for place in {0, len(data) // 2, *(rng.randrange(len(data) - 2) for _ in range(10))}:
        flipped(folder / name, place)
        for begin in (go_on, lambda at: ADAPTIVE.run(checkpoint=at)):
            with pytest.raises(DamagedError, match=rf"{name} is damaged"):
                begin(folder)
        (folder / name).write_bytes(data)
    (folder / name).unlink()
    with pytest.raises(DamagedError, match=rf"{name} is not there"):
        go_on(folder)
    (folder / name).write_bytes(data)
    assert apart(WHOLE, go_on(folder)) == []


def test_another_format_and_another_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textsearch.files import sealed

    told = json.loads((folder / "run.json").read_text())
    del told["checksum"]
    monkeypatch.setattr("textsearch.run.keeper._version", lambda: "9.9")
    with pytest.warns(RuntimeWarning, match=r"was begun by textsearch \S+, and goes on with 9.9"):
        assert apart(WHOLE, go_on(folder)) == []
    (folder / "run.json").write_bytes(sealed(told | {"format": 2}))
    with pytest.raises(DamagedError, match="is of format 2, and this version of textsearch reads format 1"):
        go_on(folder)


@contextmanager
def most(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: as good as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [100, 1500, 3000, 10_000])
def test_a_full_disk_loses_nothing(size: int, tmp_path: Path) -> None:
    with most(size), pytest.raises(OSError, match=r"cannot be written to .* \(.*\): make room there") as caught:
        ADAPTIVE.run(checkpoint=tmp_path, every=0)
    partial = partial_result(caught.value)
    steps = 0 if partial is None else partial.steps
    if partial is not None:
        assert partial.interrupted and apart(ADAPTIVE.run(steps=steps), partial) == ["interrupted"]
    assert not any(name.endswith(".new") for name in files(tmp_path))
    assert apart(WHOLE, ADAPTIVE.run(checkpoint=tmp_path)) == []


@pytest.mark.parametrize("call", [*range(1, 30, 4)])
def test_a_disk_that_fails_at_some_moment(call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, calls = os.fsync, 0

    def fails(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match=r"cannot be written to .*No space left on device") as caught:
            ADAPTIVE.run(checkpoint=tmp_path, every=0)
    assert caught.value.errno == errno.ENOSPC
    if (partial := partial_result(caught.value)) is not None:
        assert apart(ADAPTIVE.run(steps=partial.steps), partial) == ["interrupted"]
    assert apart(WHOLE, ADAPTIVE.run(checkpoint=tmp_path)) == []


def test_the_run_s_own_error_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(progress: Any) -> None:
        if progress.step == 4:
            monkeypatch.setattr(os, "fsync", full)
            raise ValueError("bad")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ValueError, match="bad") as caught:
        ADAPTIVE.run(checkpoint=tmp_path, callbacks=[bad])
    assert "the last checkpoint could not be written: OSError" in caught.value.__notes__[0]
    partial = partial_result(caught.value)
    assert partial is not None and partial.steps == 4


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"a checkpoint cannot be written to .*file/run \(Not a directory\)"):
        ADAPTIVE.run(checkpoint=tmp_path / "file" / "run")
    with pytest.raises(OSError, match=r"a checkpoint cannot be written to .*file \(File exists\)"):
        ADAPTIVE.run(checkpoint=tmp_path / "file")
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(PermissionError, match=r"a checkpoint cannot be written to .*closed \(Permission denied\)"):
            ADAPTIVE.run(checkpoint=tmp_path / "closed")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    def second(progress: Any) -> None:
        if progress.step == 3:
            with pytest.raises(BlockingIOError, match=r"another process runs in .* at this moment: wait for it"):
                ADAPTIVE.run(checkpoint=tmp_path)
            with pytest.raises(BlockingIOError, match="another process"):
                go_on(tmp_path)
            assert killed(lambda: ADAPTIVE.run(checkpoint=tmp_path), 20) == 1

    assert apart(WHOLE, ADAPTIVE.run(checkpoint=tmp_path, callbacks=[second])) == []


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    def endless() -> None:
        ADAPTIVE.run(checkpoint=tmp_path, steps=3, callbacks=[lambda _: time.sleep(60)])

    assert killed(endless, 0.3) == -9
    assert apart(WHOLE, ADAPTIVE.run(checkpoint=tmp_path)) == []
