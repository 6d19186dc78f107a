"""The pages of the server and of other packages, the demo of Optuna, the template of plug-ins, the citation file."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import typer.main
import yaml

import textsearch
from tests.cli import stub
from tests.cli.test_server import serving
from tests.models.test_completions import Served
from tests.models.test_completions import serving as completing
from tests.models.test_unit_vectors import Foreign
from tests.models.tiny import Tiny, roomy_causal
from tests.models.tiny import tiny as tiny
from textsearch.cli import app
from textsearch.models import causal_lm
from textsearch.tasks import resolve

ROOT = Path(__file__).parents[1]
tune_weights = SimpleNamespace(**runpy.run_path(str(ROOT / "demos" / "tune_weights.py")))
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
SHELL = re.compile(r"```bash\n(.*?)```", re.DOTALL)


def run(page: str, **put: str) -> dict[str, Any]:
    """The blocks of a page as one program, something in the place of what it names."""
    code = "".join(CODE.findall((ROOT / "docs" / page).read_text(encoding="utf-8")))
    for name, value in put.items():
        place = {"url": "http://127.0.0.1:8000/v1", "model": "Qwen/Qwen3-0.6B", "server": "http://127.0.0.1:8760"}[name]
        assert place in code
        code = code.replace(place, value)
    code = code.replace("chains=4, steps=10, seed=0", "chains=2, steps=2, drafts=2, seed=0")
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(code, page, "exec", dont_inherit=True), names)
    return names


def test_the_page_on_other_packages(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lm, masked = causal_lm(roomy_causal(tmp_path / "roomy"), device="cpu"), tiny.masked()
    monkeypatch.setattr(resolve, "_causal", lambda *given: lm)
    monkeypatch.setattr(resolve, "_masked", lambda *given: masked)
    fake: Any = ModuleType("sentence_transformers")
    fake.SentenceTransformer = lambda name: Foreign()
    monkeypatch.setitem(sys.modules, "sentence_transformers", fake)
    with completing(Served(tiny.causal().model)) as url:
        names = run("ecosystem.md", url=url, model=str(tiny.causal_path))
        energies = names["objective"].energy(masked.vocabulary.encode(["The dog sat.", "cats"]))
    assert energies.isfinite().all() and energies[0] != energies[1]
    assert [len(own) > 0 for own in names["both"]] == [True, True]
    assert list(names["found"]["words"]) == ["dog park", "hot dog, cat"]
    assert capsys.readouterr().out.splitlines()[-1] == "(4, 10, 1)"


@pytest.mark.usefixtures("stubbed")
def test_the_page_on_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEXTSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions.txt").write_text("a\nb\n")
    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    lines = [shlex.split(line.removesuffix("&")) for block in SHELL.findall(page) for line in block.splitlines()]
    with serving() as server:
        for _, command, *rest in lines:
            if command == "serve":
                group: Any = typer.main.get_command(app)
                group.commands["serve"].make_context("serve", rest)
            else:
                assert stub.call(command, *rest).exit_code == 0
        run("serve.md", server=server.url)
    assert len(lines) == 5 and "How can I improve my English?" in capsys.readouterr().out
    assert (tmp_path / "answers.jsonl").read_text().count("\n") == 2


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    stub.put_in_place(monkeypatch)


def test_weights_are_worth_tuning() -> None:
    tuned = {"length": 1.0, "e": 1.0}
    assert tune_weights.loss(["abcde" * 2] * 3) > tune_weights.loss(["abca"] * 9 + ["abee"])
    one, again = (tune_weights.drawn(**tuned, steps=20) for _ in range(2))
    assert one == again and len(one) == 16 * 2


def test_optuna_tunes_them() -> None:
    pytest.importorskip("optuna")
    best = tune_weights.tune(trials=3)
    assert tune_weights.loss(tune_weights.drawn(**best)) <= tune_weights.loss(tune_weights.drawn(1.0, 1.0))


def test_the_template_of_plug_ins_obeys_its_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "plugin_template")
    spec = importlib.util.spec_from_file_location("laws_of_the_template", ROOT / "plugin_template/tests/test_laws.py")
    assert spec is not None and spec.loader is not None
    laws = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, laws)
    spec.loader.exec_module(laws)
    tests = [value for name, value in vars(laws).items() if name.startswith("test_")]
    assert len(tests) == 5
    for test in tests:
        test()


def test_the_citation_is_of_this_version() -> None:
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = SimpleNamespace(**tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])
    assert (told["version"], told["license"]) == (project.version, project.license)
    assert told["cff-version"] == "1.2.0" and told["authors"] and textsearch.__doc__
