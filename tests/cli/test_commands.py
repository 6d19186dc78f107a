"""The command line, on tiny random models: what it prints is nonsense that keeps every promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from objectives.keywords import words
from tests.models.tiny import Tiny, roomy_causal, tiny
from textsearch.cli import app

__all__ = ["tiny"]


@pytest.fixture(scope="module")
def models(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name a masked model and a causal one with room for a prompt."""
    folder = roomy_causal(tmp_path_factory.mktemp("causal"))
    return ["--causal", str(folder), "--masked", str(tiny.masked_path), "--quiet"]


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def records(*arguments: str) -> list[dict[str, Any]]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    answer: list[dict[str, Any]] = json.loads(result.stdout)
    return answer


SHORT = ["--chains", "3", "--steps", "8", "--seed", "1"]


def test_help_teaches() -> None:
    assert "keywords" in call("--help").output
    assert '"dog frisbee park"' in call("keywords", "--help").output
    assert "[MASK]" in call("infill", "--help").output


def test_python_m_runs_it() -> None:
    run = subprocess.run([sys.executable, "-m", "textsearch", "--help"], capture_output=True, text=True, check=True)
    assert "keywords" in run.stdout


def test_the_version_is_told() -> None:
    assert call("--version").stdout.startswith("textsearch ")


def test_every_sentence_holds_its_keywords(models: list[str]) -> None:
    found = records("keywords", "dog mat", "cat, old house", *SHORT, *models)
    assert {record["source"] for record in found} == {"dog, mat", "cat, old house"}
    for record in found:
        held = words(record["text"])
        if record["input"] == 0:
            assert {"mat", "mats"} & set(held) and {"dog", "dogs"} & set(held)
        else:
            assert "cat" in held or "cats" in held
        assert record["text"][-1] in ".!?"
        assert record["energy"] == pytest.approx(sum(record["terms"].values()))
    energies = [record["energy"] for record in found if record["input"] == 0]
    assert energies == sorted(energies)


def test_exact_forms_in_order(models: list[str]) -> None:
    for record in records("keywords", "mat dog cat", "--exact-forms", "--in-order", *SHORT, *models):
        held = [word for word in words(record["text"]) if word in {"mat", "dog", "cat"}]
        assert held[:1] == ["mat"] and "dog" in held[held.index("mat") :] and held[-1] in {"cat", "dog", "mat"}


def test_the_same_seed_prints_the_same(models: list[str]) -> None:
    """Of `infill`, which draws: a search may well end in the same text from any seed."""
    arguments = ["infill", "The [MASK] [MASK] ran home.", *SHORT, *models]
    assert call(*arguments).stdout == call(*arguments).stdout
    other = [*arguments, "--seed", "2"]
    assert call(*arguments).stdout != call(*other).stdout


def test_sets_come_from_a_file_too(models: list[str], tmp_path: Path) -> None:
    file = tmp_path / "sets.txt"
    file.write_text("dog mat\n\ncat road\n", encoding="utf-8")
    result = call("keywords", "--file", str(file), "--top", "1", *SHORT, *models)
    assert result.exit_code == 0, result.output
    assert [line for line in result.stdout.splitlines() if line and line[0] != " "] == ["dog, mat", "cat, road"]


def test_infill_changes_the_gaps_alone(models: list[str]) -> None:
    for record in records("infill", "The [MASK] [MASK] ran home.", "A [MASK].", *SHORT, *models):
        text = record["text"]
        if record["input"] == 0:
            assert text.startswith("The ") and text.endswith(" ran home.")
        else:
            assert text.startswith("A ") and text.endswith(".")
        assert "[MASK]" not in text


@pytest.mark.parametrize(
    ("arguments", "complaint", "code"),
    [
        (["keywords"], "name the words", 2),
        (["keywords", "dog \N{SNOWMAN}"], "\N{SNOWMAN}", 1),
        (["keywords", "dog", "--masked", "no/such/model"], "no/such/model", 2),
        (["infill", "nothing to fill"], "write [MASK], [mask], <mask> or ___", 1),
    ],
)
def test_a_wrong_request_is_one_clear_line(arguments: list[str], complaint: str, code: int, models: list[str]) -> None:
    """No traceback; and no long work before it, since the models come after the check wherever they can."""
    own = [*models, *arguments[1:]] if "--masked" in arguments else [*arguments[1:], *models]
    result = call(arguments[0], *own)
    assert result.exit_code == code
    assert complaint in result.stderr and len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_report_says_what_was_tried_and_what_it_cost(models: list[str]) -> None:
    result = call("infill", "the [MASK] sat", *SHORT, *models, "--report")
    assert result.exit_code == 0, result.output
    assert {"replace", "fluency", "passes", "padding"} <= set(result.stderr.split())
    assert "passes" not in call("infill", "the [MASK] sat", *SHORT, *models).stderr
