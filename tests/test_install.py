"""The distribution installs in each of the three ways, and brings its data files along."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROBE = """
import importlib.metadata, textsearch, samplers.proposals, objectives, textsearch.language.surface
from textsearch.models.checkpoints.default import MASKED_LM
assert textsearch.language.surface.proper_names()["london"] == "London"
assert (MASKED_LM / "model.safetensors").exists()
assert importlib.metadata.version("textsearch-sampling")
print(textsearch.__file__)
"""


def run(*command: str | Path) -> str:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd="/", check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree as it is."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT)
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize("way", ["regular", "editable", "wheel"])
def test_it_installs_and_runs(way: str, wheel: Path, tmp_path: Path) -> None:
    """Each in an environment of its own, on top of the libraries that are here."""
    venv.create(tmp_path / "env", system_site_packages=False, with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    (site / "libraries.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    targets: dict[str, list[str | Path]] = {"regular": [ROOT], "editable": ["--editable", ROOT], "wheel": [wheel]}
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--force-reinstall"]
    run(python, "-m", "pip", "install", *options, *targets[way])
    found = Path(run(python, "-c", PROBE).strip())
    assert found.is_relative_to(ROOT if way == "editable" else site)
    script = tmp_path / "env" / "bin" / "textsearch"
    assert "keywords" in run(script, "--help")
