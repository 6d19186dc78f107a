"""What comes in: from arguments, files and standard input, each input with its own number and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli import stub
from tests.cli.stub import call
from textsearch.checks import MAX_INPUT
from textsearch.cli.inputs import Input, inputs_of

pytestmark = pytest.mark.usefixtures("stubbed")


def test_arguments_then_the_file(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes(b"b\n\n  \r\nc\r\n")
    assert inputs_of(["a"], file) == [Input("a", "a"), Input("b", "b", 1), Input("c", "c", 4)]
    assert inputs_of(None, None) == []


@pytest.mark.parametrize("standard", [False, True])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"fine\ncaf\xe9\n", "line 2 of NAME is not UTF-8: byte 0xe9 (byte 4 of the line)"),
        (b"a\nb\nthe \xe2\x98", "line 3 of NAME is not UTF-8: byte 0xe2 (byte 5 of the line)"),
        (b"a\nb\0c\n", "line 2 of NAME holds a NUL byte (byte 2 of the line)"),
        ("text".encode("utf-16"), "NAME is in UTF-16"),
        (b"", "NAME is empty"),
        (b"\n \r\n", "NAME is empty"),
    ],
)
def test_what_is_no_text_is_named(data: bytes, said: str, standard: bool, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes(data)
    result = call("correct", "--file", "-" if standard else str(file), given=data)
    name = "standard input" if standard else str(file)
    assert result.exit_code == 2 and said.replace("NAME", name) in result.stderr
    assert len(result.stderr.splitlines()) == 1 and not stub.calls


@pytest.mark.parametrize("standard", [False, True])
def test_a_byte_order_mark_is_no_text(standard: bool, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\x85\xe2\x80\xa8".replace(b"\x85", "\x85".encode()))
    result = call("correct", "--file", "-" if standard else str(file), "--jsonl", given=file.read_bytes())
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["input"] for line in result.stdout.splitlines()] == ["one", "two\x85\u2028"]


def test_arguments_that_are_no_text() -> None:
    result = call("correct", "fine", "caf\udce9")
    assert result.exit_code == 2 and "argument 2 is no text in UTF-8: byte 0xe9 at character 4" in result.stderr
    result = call("correct", "a\0b")
    assert result.exit_code == 2 and "argument 1 holds a NUL byte" in result.stderr


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    result = call("correct", "--file", str(tmp_path))
    assert result.exit_code == 2 and "is a folder" in result.stderr
    result = call("correct", "--file", str(tmp_path / "missing"))
    assert result.exit_code == 2 and "No such file" in result.stderr


def test_one_refusal_costs_no_other_input_its_answer(tmp_path: Path) -> None:
    """Whatever is wrong with it, and whatever way the answers are shown."""
    bad = ['{"words":[12,6]}', '{"prefix":5}', '{"regex":"("}', '["a"]', "[1]", "no json", '{"words": [1, NaN]}']
    bad += ['{"prefix": "\\ud800"}', "[" * 5000, '{"no such": 1}', '{"words": [1, ' + "9" * 5000 + "]}"]
    file = tmp_path / "requests.jsonl"
    file.write_text("\n\n".join(['{"prefix": "A"}', *bad, '{"prefix": "The"}']), encoding="utf-8")
    last = len(bad) + 1

    result = call("write", "--file", str(file), "--jsonl", "--batch-inputs", "4", "--quiet")
    assert result.exit_code == 0
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["number"] for record in records] == list(range(last + 1))
    assert [record["line"] for record in records] == [1 + 2 * number for number in range(last + 1)]
    assert [number for number, record in enumerate(records) if "texts" in record] == [0, last]
    assert all(record.get("error", "x") for record in records)
    # those that are answered keep the numbers of their places
    numbers = [number for _, settings in stub.calls for number in settings.get("numbers", [])]
    assert set(numbers) <= {0, last}

    lines = result.stderr.splitlines()
    assert len(lines) == len(bad) and max(map(len, lines)) < 600
    assert lines[0].startswith(f"input 1 (line 3 of {file}) is refused: ")

    listed = json.loads(call("write", "--file", str(file), "--json").stdout)
    assert {record["input"] for record in listed} == {0, last}
    assert {record["source"] for record in listed} == {"prefix A", "prefix The"}
    shown = call("write", "--file", str(file))
    assert shown.exit_code == 0 and "prefix A" in shown.stdout and "prefix The" in shown.stdout


@pytest.mark.parametrize("request_", ['["a"]', "[1]", "{", '{"words":[12,6]}', "null", '"a"', "1" * 5000])
def test_a_request_that_is_none(request_: str) -> None:
    for way in ([], ["--json"], ["--jsonl"]):
        result = call("write", request_, *way, "--quiet")
        assert result.exit_code == 1, result.output
        assert result.stderr.startswith("input 0 is refused: ") and len(result.stderr.splitlines()) == 1
    assert json.loads(call("write", request_, "--json").stdout) == []
    assert not stub.calls


def test_options_are_part_of_each_request() -> None:
    result = call("write", '{"prefix": "A"}', '{"forbidden": ["dog"]}', "--required", "cat, big dog", "--jsonl")
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["input"] == {"required": ["cat", "big dog"], "prefix": "A"} and "texts" in first
    assert "forbidden" in second["error"]
    assert call("write", '["a"]', "--prefix", "A").exit_code == 1


def test_long_lines_are_refused_at_once_and_shortened(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("x" * 10_000_000 + "\nfine\n", encoding="utf-8")
    for command in stub.COMMANDS:
        more = ["--choices", "a"] if command == "sample" else []
        result = call(command, "--file", str(file), "--jsonl", "--quiet", *more)
        first = json.loads(result.stdout.splitlines()[0])
        assert "10,000,000 characters" in first["error"] and len(result.stdout) < 2000 and len(result.stderr) < 1000
    assert call("correct", "x" * MAX_INPUT).exit_code == 0
    assert call("correct", "x" * (MAX_INPUT + 1)).exit_code == 1


def test_an_empty_argument_is_not_lost() -> None:
    result = call("correct", "one", "", "two", "--jsonl")
    assert result.exit_code == 0 and "input 1 is refused: '' is an empty text" in result.stderr
    assert [json.loads(line)["number"] for line in result.stdout.splitlines()] == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("1-99999999999", "400 is the most"),
        ("1-200000000", "400 is the most"),
        ("200000000", "400 is the most"),
        ("12-6", "write 6-12"),
        ("-5", "is no range"),
        ("a-b", "is no range"),
        ("6-12-20", "is no range"),
        ("9" * 10_000, "400 is the most"),
        ("\N{FULLWIDTH DIGIT ONE}", "is no range"),
    ],
)
def test_ranges(words: str, said: str) -> None:
    for option in ("--words", "--characters"):
        result = call("write", "--prefix", "A", f"{option}={words}")
        said = said.replace("400", "4,000" if option == "--characters" else "400")
        assert result.exit_code == 2 and said in result.stderr and len(result.stderr) < 300
