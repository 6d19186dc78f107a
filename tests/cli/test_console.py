"""What goes out: user text as it is, whatever it holds and wherever it goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli import stub
from tests.cli.stub import call


def in_shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line of shell in which `textsearch` is the command line with a task without models."""
    line = line.replace("textsearch", f"{sys.executable} -m tests.cli.light")
    return subprocess.run(["bash", "-c", "set -o pipefail; " + line], capture_output=True, env=os.environ | environment)


@pytest.mark.usefixtures("stubbed")
@pytest.mark.parametrize(
    "text",
    [
        ":heart: :smile:",
        r"C:\temp\ ",
        "[b] [bold]x[/] \\\\[/] [/nothing]",
        "a\ttab",
        "[link=http://x]y[/link] https://x.y 12345 'quoted' None True",
        "word " * 60,
        "e\u0301 \N{WATERMELON} \u4e2d\u6587 \u200d",
    ],
)
def test_text_is_printed_literally(text: str) -> None:
    result = call("correct", text)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == text
    assert lines[1].endswith(text)


@pytest.mark.usefixtures("stubbed")
def test_a_text_cannot_drive_the_terminal() -> None:
    text = "a\x1b[31mred\x07\x9b2J\rb\x00\u202ec"
    result = call("correct", text.replace("\0", ""), "--jsonl")
    assert json.loads(result.stdout)["input"] == text.replace("\0", "")
    for way in ([], ["--json"], ["--jsonl"]):
        result = call("correct", text.replace("\0", ""), *way)
        assert result.exit_code == 0
        assert not set("\x1b\x07\x9b\r\u202e") & set(result.output)
    refused = call("correct", "!\x1b[31m\nline", "--quiet")
    assert refused.exit_code == 1 and "\x1b" not in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_head_ends_quietly() -> None:
    many = " ".join(f"text{number}" for number in range(40))
    for way in ("", "--jsonl"):
        # more than a pipe holds, so that the writer notices
        run = in_shell(
            f"textsearch correct {many} {'x' * 60000} {'y' * 60000} {way} --quiet --batch-inputs 1 | head -n 1"
        )
        assert run.stdout.count(b"\n") == 1
        said = [line for line in run.stderr.splitlines() if b"chains" not in line]
        assert said == [], run.stderr
        assert run.returncode == 141
    run = in_shell("textsearch --help | true")
    assert run.returncode in (0, 141) and run.stderr == b""


def test_a_terminal_of_few_characters() -> None:
    """Gets escapes; and JSON stays JSON."""
    for environment in ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}):
        run = in_shell("textsearch correct 'caf\u00e9 \u4e2d'", **environment)
        assert run.returncode == 0, run.stderr
        assert rb"caf\xe9 \u4e2d" in run.stdout
        run = in_shell("textsearch correct --file - --jsonl <<< 'caf\u00e9 \U0001f600'", **environment)
        assert run.returncode == 0 and json.loads(run.stdout)["input"] == "caf\u00e9 \U0001f600"
        run = in_shell("textsearch correct '\u00e9!'", **environment)
        assert run.returncode == 1 and rb"\xe9! holds a !" in run.stderr.replace(b"'", b"")


def test_outputs_that_are_closed_or_full() -> None:
    run = in_shell("textsearch correct text >&-")
    assert b"Traceback" not in run.stderr and run.returncode in (0, 1)
    run = in_shell("textsearch correct text 2>&-")
    assert run.returncode == 0 and b"text" in run.stdout
    if Path("/dev/full").exists():
        run = in_shell("textsearch correct text > /dev/full")
        assert run.returncode == 1 and b"No space left" in run.stderr and b"Traceback" not in run.stderr


@pytest.mark.usefixtures("stubbed")
def test_what_there_is_after_control_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(inputs: Any, **settings: Any) -> Any:
        from dataclasses import replace

        return replace(stub.task(inputs, **settings), interrupted="b" in inputs)

    stub.put_in_place(monkeypatch, interrupted)
    given = ["correct", "a", "b", "c", "--batch-inputs", "1"]
    result = call(*given)
    assert result.exit_code == 130
    assert [line for line in result.stdout.splitlines() if line[0] != " "] == ["a", "b (interrupted)"]
    assert result.stderr.splitlines()[-1] == "interrupted: 2 of 3 inputs were answered"
    result = call(*given, "--jsonl")
    assert result.exit_code == 130
    assert [json.loads(line).get("interrupted") for line in result.stdout.splitlines()] == [None, True]
    result = call(*given, "--json")
    assert result.exit_code == 130
    assert {(record["input"], record.get("interrupted")) for record in json.loads(result.stdout)} == {
        (0, None),
        (1, True),
    }


@pytest.mark.usefixtures("stubbed")
def test_how_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line a group for who watches, one now and then for a log, none where nobody wants any."""
    from textsearch.cli import pace

    given = ["correct", *"abcdef", "--batch-inputs", "2", "--jsonl"]
    assert call(*given).stderr == ""
    monkeypatch.setattr(pace, "is_terminal", lambda stream: True)
    lines = call(*given).stderr.splitlines()
    assert [line.split(",")[0] for line in lines] == ["2 of 6 inputs", "4 of 6 inputs"]
    assert all("a second" in line and line.endswith(" s left") for line in lines)
    assert call(*given, "--quiet").stderr == ""
    monkeypatch.setattr(pace, "is_terminal", lambda stream: False)
    monkeypatch.setattr(pace, "SELDOM", 0.0)
    assert len(call(*given).stderr.splitlines()) == 2
