"""A saved result comes back as it was, and a damaged one never does."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch

from samplers import MetropolisHastings
from samplers.proposals import Replace
from tests.run.kept import apart
from tests.run.test_damage import flipped, most
from tests.run.toys import INPUTS, SAMPLERS, TOTAL, WALK, whole
from textsearch import FunctionObjective, Generations, generate, load
from textsearch.files import DamagedError, sealed, unsealed
from textsearch.result import saving
from textsearch.testing import TableMaskedLM, letters

mpl.use("Agg")

FORBIDS = FunctionObjective(lambda texts: [float("inf") if "aa" in text else 0.0 for text in texts], name="no.aa [x]")
ODD = MetropolisHastings(Replace(TableMaskedLM.random(letters("aé\ud800\n"), seed=0)))
COUNT = FunctionObjective(lambda texts: [float(text.count("a")) for text in texts], name="terms.count")

RESULTS: dict[str, Callable[[], Generations]] = {
    "samples": lambda: whole(WALK, steps=40, warm_up=5, thin=2, chains=4),
    "no samples": lambda: whole(WALK, thin=None),
    "no steps": lambda: whole(WALK, steps=0),
    "one input": lambda: whole(WALK, ["abc"]),
    "one term": lambda: whole(WALK, objective=TOTAL.parts[1][1]),
    "forbidden": lambda: whole(WALK, ["abc", "c"], objective=TOTAL + FORBIDS, steps=30),
    "interrupted": lambda: whole(WALK, callbacks=[lambda progress: progress.step == 4]),
    "numbered": lambda: whole(WALK, ["abc", "c"], numbers=[7, 2]),
    "odd letters": lambda: generate(COUNT + FORBIDS, ODD, ["aé\n", "\ud800a"], steps=20, seed=1, chains=4, thin=1),
} | {name: lambda sampler=sampler: whole(sampler) for name, sampler in SAMPLERS.items()}


@cache
def made(name: str) -> Generations:
    """One of them."""
    return RESULTS[name]()


def exactly(one: Generations, other: Generations) -> bool:
    """All fields, what it cost too; arrays have their types, tables their order."""
    return apart(one, other) == [] and one.usage == other.usage and one.seconds == other.seconds


@pytest.mark.parametrize("name", RESULTS)
def test_every_field_comes_back(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, vocabulary = made(name), made(name).batch.vocabulary
    result.save(tmp_path / "run")
    assert exactly(result, load(tmp_path / "run", vocabulary=vocabulary))
    # from what is mapped into memory, over itself
    monkeypatch.setattr(saving, "_SMALL", 0)
    again = load(tmp_path / "run", vocabulary=vocabulary)
    again.save(tmp_path / "run")
    assert exactly(result, again) and exactly(result, load(tmp_path / "run", vocabulary=vocabulary))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def statistics(run: Generations) -> Iterator[Any]:
    """All that a result can be asked, as plain values; what it refuses, too."""
    calls: list[Callable[[], Any]] = [
        lambda: run.summary().to_dict(),
        lambda: run.summary(0, {"letters": len}).to_dict(),
        lambda: [(name, group.to_dict()) for name, group in groups(run.to_arviz())],
        lambda: drawn(run.plot()),
        lambda: run.diversity().to_dict(),
        lambda: (str(run), str(run.accounting()), str(run.moves()), run._repr_html_()),
        lambda: run.to_records(),
        lambda: run.to_pandas().to_dict(),
        lambda: list(run.ranked()),
    ]
    for number, call in enumerate(calls):
        try:
            yield number, repr(call())
        except ValueError as error:
            yield number, str(error)


def groups(data: Any) -> list[tuple[str, Any]]:
    """Of an `InferenceData` or of a `DataTree`, but for when it was made."""
    names = data.groups() if callable(data.groups) else data.groups
    sets = [(name, data[name]) for name in names]
    found = [(name, each.to_dataset() if hasattr(each, "to_dataset") else each) for name, each in sets]
    return [(name, each.assign_attrs(created_at=None)) for name, each in found]


def drawn(figure: Any) -> Any:
    """The points of all lines and the heights of all bars of a figure."""
    axes = figure.get_axes()
    lines = [line.get_xydata().tolist() for ax in axes for line in ax.get_lines()]
    return lines, [bar.get_extents().bounds for ax in axes for bar in ax.patches]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["samples", "no steps", "forbidden", "tempering", "importance", "populations", "walk"])
def test_a_loaded_result_says_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_SMALL", 0)
    result = made(name)
    result.save(tmp_path / "run")
    told = list(statistics(result))
    assert told == list(statistics(load(tmp_path / "run")))
    if name == "samples":
        assert all("0" in said for _, said in told) and len(told) == 9
        # the control
        assert told != list(statistics(replace(load(tmp_path / "run"), warm_up=6)))


@pytest.mark.parametrize("lost", ["a dtype", "the best batch", "the order of the terms", "a sample", "a nan", "a cost"])
def test_a_result_that_lost_something_is_caught(lost: str, tmp_path: Path) -> None:
    """The control."""
    result = made("samples")
    result.save(tmp_path / "run")
    again = load(tmp_path / "run", vocabulary=WALK.vocabulary)
    energies = again.energies.copy()
    energies[0] = np.nan
    changes: dict[str, dict[str, Any]] = {
        "a dtype": {"length_trace": again.length_trace.astype(np.int32)},
        "the best batch": {"best_batch": again.batch},
        "the order of the terms": {"terms": dict(reversed(list(again.terms.items())))},
        "a sample": {"samples": again.samples[:-1]},
        "a nan": {"energies": energies},
        "a cost": {"usage": {}},
    }
    assert not exactly(result, replace(again, **changes[lost]))


def test_large_arrays_are_mapped_and_small_ones_are_not(tmp_path: Path) -> None:
    result = made("one input")
    long = replace(result, trace=np.random.default_rng(0).normal(size=(100_000, 2)))
    long.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert isinstance(again.trace.base, np.memmap) and not isinstance(again.length_trace.base, np.memmap)
    assert (again.trace == long.trace).all()
    with pytest.raises(ValueError, match="read-only"):
        again.trace[0] = 0
    again.length_trace[0] = 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a result with all kinds of files."""
    made("samples").save(tmp_path / "run")
    return tmp_path / "run"


def test_every_damaged_file_is_named(folder: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert {"result.json", "samples.jsonl", "sample-ends.bin", "array-0.bin"} < set(names)
    rng = random.Random(0)
    for name in names:
        data = (folder / name).read_bytes()
        told = rf"{name} is damaged: it is not what was written there"
        for place in {0, len(data) - 2, *(rng.randrange(len(data) - 1) for _ in range(4))}:
            flipped(folder / name, place)
            with pytest.raises(DamagedError, match=told):
                load(folder)
            (folder / name).write_bytes(data)
        for size in (0, len(data) // 2, len(data) - 2):
            os.truncate(folder / name, size)
            with pytest.raises(DamagedError, match=rf"{name} is damaged"):
                load(folder)
            (folder / name).write_bytes(data)
        (folder / name).unlink()
        with pytest.raises(DamagedError, match=rf"{name} is not there"):
            load(folder)
        (folder / name).write_bytes(data)
    assert load(folder).texts == made("samples").texts


def test_files_of_another_result_are_found_out(folder: Path, tmp_path: Path) -> None:
    whole(WALK, steps=40, warm_up=5, thin=2, chains=4, seed=4).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "array-3.bin", folder)
    with pytest.raises(DamagedError, match=r"array-3.bin is damaged"):
        load(folder)


def test_another_format(folder: Path) -> None:
    told = unsealed(folder / "result.json")
    (folder / "result.json").write_bytes(sealed(told | {"format": 2}))
    with pytest.raises(DamagedError, match="is of format 2; this version of textsearch reads 1"):
        load(folder)


def test_no_result(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match=r"result.json is not there"):
        load(tmp_path / "none")
    (tmp_path / "file").write_text("dear")
    with pytest.raises(DamagedError, match=r"result.json is not there"):
        load(tmp_path / "file")
    whole(WALK, checkpoint=tmp_path / "kept")
    with pytest.raises(ValueError, match=r"holds the checkpoints of a run, and no result: textsearch.resume"):
        load(tmp_path / "kept")


def test_saving_over_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    result = made("no samples")
    before = load(folder)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    with pytest.raises(
        ValueError, match=r"letters holds 'dear.txt', which is no part of a result: name a folder of its own"
    ):
        result.save(tmp_path / "letters")
    with pytest.raises(ValueError, match=r"dear.txt is a file: name a folder"):
        result.save(tmp_path / "letters" / "dear.txt")
    assert (tmp_path / "letters" / "dear.txt").read_text() == "dear"
    whole(WALK, checkpoint=tmp_path / "kept")
    with pytest.raises(ValueError, match=r"kept holds '.*', which is no part of a result"):
        result.save(tmp_path / "kept")
    # a file of this name is not yet a result
    shutil.copy(folder / "result.json", tmp_path / "letters")
    with pytest.raises(ValueError, match=r"letters holds 'dear.txt'"):
        result.save(tmp_path / "letters")
    (tmp_path / "empty").mkdir()
    result.save(tmp_path / "empty")
    assert load(tmp_path / "empty").texts == result.texts
    # over a result, whose other files go
    result.save(folder)
    assert exactly(result, load(folder, vocabulary=WALK.vocabulary)) and not exactly(before, load(folder))
    assert not (folder / "samples.jsonl").exists()


@pytest.mark.parametrize("bytes_a_file", [0, 100, 3000])
def test_a_full_disk_leaves_the_old_result(bytes_a_file: int, folder: Path, tmp_path: Path) -> None:
    before = load(folder, vocabulary=WALK.vocabulary)
    with most(bytes_a_file), pytest.raises(OSError, match=r"the result cannot be written to .*: make room there"):
        whole(WALK, steps=60).save(folder)
    assert exactly(before, load(folder, vocabulary=WALK.vocabulary))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_rename_that_fails_leaves_the_old_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = made("samples"), Path.rename

    def fails(path: Path, target: Path) -> Path:
        if target == folder and path.parent.name.startswith(".run-") and path.name == "run":
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fails)
        with pytest.raises(PermissionError, match=r"the result cannot be written to"):
            made("no samples").save(folder)
    assert apart(before, load(folder, vocabulary=WALK.vocabulary)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_going_on_from_a_loaded_result(folder: Path) -> None:
    result = made("samples")
    with pytest.raises(ValueError, match=r"textsearch.load\(folder, vocabulary=sampler.vocabulary\)"):
        load(folder).batch.texts()
    with pytest.raises(ValueError, match=r"cannot be saved without it: textsearch.load\(folder, vocabulary="):
        load(folder).save(folder)
    with pytest.raises(ValueError, match=r"is of another vocabulary: vocabulary\."):
        load(folder, vocabulary=letters("xyz"))
    again = load(folder, vocabulary=WALK.vocabulary)
    assert again.batch.texts() == result.texts and again.best_batch.texts() == result.best_texts
    assert apart(*(generate(TOTAL, WALK, run.batch, steps=9, seed=8) for run in (result, again))) == []
    assert apart(*(generate(TOTAL, WALK, run.best_batch, steps=9, seed=8) for run in (result, again))) == []


def test_frozen_tokens_stay_frozen(tmp_path: Path) -> None:
    batch = WALK.vocabulary.encode(["abcab", "ccc"])
    batch = batch.frozen(torch.tensor([[True, False, False, False, True], [False, True, False, False, False]]))
    result = whole(WALK, batch)
    result.save(tmp_path / "run")
    again = load(tmp_path / "run", vocabulary=WALK.vocabulary)
    assert exactly(result, again) and not bool(again.batch.editable.all())
    assert apart(*(generate(TOTAL, WALK, run.batch, steps=9, seed=8) for run in (result, again))) == []


def test_a_kept_run_can_be_saved_elsewhere(tmp_path: Path) -> None:
    """Its arrays are mapped from the folder that it was kept in, which may go then."""
    result = whole(WALK, INPUTS, checkpoint=tmp_path / "kept")
    result.save(tmp_path / "run")
    shutil.rmtree(tmp_path / "kept")
    again = load(tmp_path / "run", vocabulary=WALK.vocabulary)
    assert apart(whole(WALK, INPUTS), again) == []
    assert json.loads((tmp_path / "run" / "result.json").read_text())["format"] == 1
