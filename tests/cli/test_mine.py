"""`textsearch mine`: terms of a file, those known left out, and calls that cannot be meant."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.tasks.test_mining import corpus
from textsearch.cli import app


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["mine", *arguments], env={"COLUMNS": "200"})


def test_terms_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt.gz"
    path.write_bytes(gzip.compress("\n".join(corpus("en", 1000)).encode()))
    result = call(str(path))
    assert result.exit_code == 0, result.output
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert sorted(line[0] for line in lines) == ["hong kong", "new york"]
    assert all(len(line) == 4 and int(line[1]) > 300 for line in lines)
    known = tmp_path / "known.txt"
    known.write_text("hong-kong 3\nHong\n")
    found = [json.loads(line) for line in call(str(path), "--known", str(known), "--json").stdout.splitlines()]
    assert sorted(one["term"] for one in found) == ["hong kong", "new york"]
    assert len(call(str(path), "--most", "1").stdout.splitlines()) == 1


def test_words_of_a_dictionary_are_left_out(tmp_path: Path) -> None:
    path, known = tmp_path / "corpus.txt", tmp_path / "known.txt"
    path.write_text("\n".join(corpus("zh", 1000)), encoding="utf-8")
    known.write_text("葡萄 120 n\n蝴蝶 3 n\n", encoding="utf-8")
    result = call(str(path), "--lang", "zh", "--longest", "3", "--known", str(known))
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["拖拉机"]


def test_wrong_calls_are_told_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("a b c\n")
    for arguments, message in (
        ((str(tmp_path / "none"),), "there is no file"),
        ((str(path), "--lang", "fr"), "lang='fr' is not known: choose from en, zh"),
        ((str(path), "--lang", "zh"), "the corpus holds nothing of lang='zh'"),
    ):
        result = call(*arguments)
        assert result.exit_code == 2 and message in " ".join(result.output.split())
