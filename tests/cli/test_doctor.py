"""What the doctor finds: sound models and damaged ones, packages that are missing, and what to do about each."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from textsearch.cache import kept
from textsearch.cli import app, findings


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a causal model, if a small one; no network; and memory enough, whatever else runs here."""
    from huggingface_hub import constants

    monkeypatch.setenv("TEXTSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(findings, "free_memory", lambda: 9 * findings.GIGABYTE)

    def make(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"abc")

    return kept("smollm2-135m-instruct", make)


def told(*arguments: str) -> tuple[int, dict[tuple[str, str], dict[str, str]]]:
    """The exit code, and the findings by part and name."""
    result = CliRunner().invoke(app, ["doctor", "--json", "--quiet", *arguments])
    said = json.loads(result.stdout)
    assert said["ok"] == (result.exit_code == 0)
    return result.exit_code, {(one["part"], one["name"]): one for one in said["findings"]}


def test_all_is_well(here: Path) -> None:
    code, found = told()
    assert code == 0
    assert {part for part, _ in found} == set(findings.SECTIONS)
    assert all(one["state"] == "ok" or one["remedy"] for one in found.values())
    # its files were never compared with their hashes
    assert found["models", "causal"]["state"] == "note" and "--check" in found["models", "causal"]["remedy"]
    assert found["models", "encoder"]["state"] == "note" and "84 MB" in found["models", "encoder"]["said"]
    _, found = told("--check")
    assert found["models", "causal"]["state"] == "ok" and "every file has its hash" in found["models", "causal"]["said"]
    _, found = told()
    assert found["models", "causal"]["state"] == "ok" and "unchanged since" in found["models", "causal"]["said"]


def test_a_damaged_model_is_a_problem(here: Path) -> None:
    (here / "model.safetensors").write_bytes(b"abd")
    code, found = told()
    assert code == 0 and found["models", "causal"]["state"] == "note"
    code, found = told("--check")
    assert code == 1 and "another SHA-256" in found["models", "causal"]["said"]
    (here / "model.safetensors").unlink()
    code, found = told()
    assert code == 1 and found["models", "causal"]["remedy"] == "delete the folder: it is made again"
    result = CliRunner().invoke(app, ["doctor", "--quiet"])
    assert result.exit_code == 1 and "  !!  causal: " in result.stdout and "      -> delete the folder" in result.stdout


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["pip>=1", 'no-such-package>=2; extra == "tasks"', 'pip<1; extra == "ray"', 'pip; extra == "chinese"']
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    found = {one.name: one for one in findings.packages()}
    assert found["what it needs"].state == "ok"
    assert found["[tasks]"].state == "problem" and "no-such-package is not installed" in found["[tasks]"].said
    assert found["[tasks]"].remedy == "pip install 'textsearch-sampling[tasks]'"
    assert found["[chinese]"].state == "ok"
    assert "[ray]" not in found or (found["[ray]"].state == "note" and ", not <1" in found["[ray]"].said)


def test_little_memory_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "free_memory", lambda: findings.GIGABYTE)
    code, found = told()
    assert code == 1 and found["machine", "memory"]["said"] == "1.0 GB free"


@pytest.mark.parametrize(
    ("intel", "told_to_mkl", "state"),
    [(True, "", "note"), (True, "AVX2", "note"), (True, "AVX2,STRICT", "ok"), (False, "", None)],
)
def test_sums_that_depend_on_what_is_read_together(
    intel: bool, told_to_mkl: str, state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "is_intel", lambda: intel)
    monkeypatch.setattr("torch.backends.mkl.is_available", lambda: True)
    monkeypatch.setenv("MKL_CBWR", told_to_mkl)
    found = {one.name: one for one in findings.machine()}.get("sums")
    assert (found.state if found else None) == state
    assert not found or ("MKL_CBWR=AVX2,STRICT" in found.said + found.remedy)


def test_the_memory_of_this_machine_is_known() -> None:
    free = findings.free_memory()
    assert free is None or 0 < free < 2**50
