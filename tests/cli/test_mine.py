"""`textsearch mine`: terms of a file, those known left out, and calls that cannot be meant."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
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


def test_a_mark_at_the_beginning_of_a_dictionary_is_none_of_its_first_word(tmp_path: Path) -> None:
    path, known = tmp_path / "corpus.txt", tmp_path / "known.txt"
    path.write_text("\n".join(corpus("zh", 1000)), encoding="utf-8")
    known.write_bytes("\ufeff葡萄\n蝴蝶\n".encode())
    result = call(str(path), "--lang", "zh", "--longest", "3", "--known", str(known))
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["拖拉机"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of Unix")
def test_a_pipe_is_a_file_too(tmp_path: Path) -> None:
    """As a shell makes one of <(zcat corpus.gz)."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = "\n".join(corpus("en", 1000)).encode()
    writer = threading.Thread(target=lambda: pipe.write_bytes(data))
    writer.start()
    result = call(str(pipe))
    writer.join()
    assert sorted(line.split("\t")[0] for line in result.stdout.splitlines()) == ["hong kong", "new york"]


def test_wrong_calls_are_told_what_to_do(tmp_path: Path) -> None:
    def written(data: bytes, ending: str = "") -> str:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}{ending}"
        file.write_bytes(data)
        return str(file)

    path = tmp_path / "corpus.txt"
    path.write_text("a b c\n")
    for arguments, message in (
        ((str(tmp_path / "none"),), "there is no file"),
        ((str(path), "--lang", "fr"), "lang='fr' is not known: choose from en, zh"),
        ((str(path), "--lang", "zh"), "the corpus holds nothing of lang='zh'"),
        ((), "name a file of texts, for example: textsearch mine corpus.txt"),
        (("",), "the name is empty"),
        ((str(tmp_path),), "is a folder: name a file"),
        ((str(path), "--known", str(tmp_path / "none")), "there is no file"),
        ((written(b"\n\n"),), "the corpus holds no texts"),
        ((written(b"fine\ncaf\xe9\n"),), "is not UTF-8: convert the file"),
        ((written(b"fine\n" * 9000 + b"caf\xe9\n"),), "line 9001 of"),
        ((str(path), "--known", written(b"caf\xe9\n")), "line 1 of"),
        ((written(b"fine\nb\0c\n"),), "holds a NUL byte: it is no text"),
        ((written(b"fine", ".gz"),), "is not what its name says, compressed by gzip"),
    ):
        result = call(*arguments)
        assert result.exit_code == 2 and message in " ".join(result.output.split())
