"""Pages: those that are one program print what they say; code, links and stored notebooks of all are sound."""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
# a block of code, and the block of output that may follow at once
BLOCK = re.compile(r"```python\n(?P<code>.*?)```(?:\n\n```\n(?P<output>.*?)```)?", re.DOTALL)


PROGRAMS = {
    "baselines.md": 0,
    "diagnostics.md": 0,
    "own_model.md": 0,
    "own_objective.md": 0,
    "own_sampler.md": 0,
    "runs.md": 0,
    "tasks.md": 1,
}
"""Page -> its blocks that are no part of the program."""


@pytest.mark.parametrize(("name", "plain"), PROGRAMS.items())
def test_the_page_says_what_its_code_does(name: str, plain: int) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(page))
    assert blocks
    assert page.count("```") == 2 * (plain + sum(1 + (block["output"] is not None) for block in blocks))
    # dataclasses look up the module that they are written in
    names: dict[str, Any] = {"__name__": __name__}
    for block in blocks:
        line = page[: block.start()].count("\n") + 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + block["code"], str(DOCS / name), "exec", dont_inherit=True), names)
        assert printed.getvalue() == (block["output"] or ""), f"{name}, line {line}"


LINK = re.compile(r"\]\((?!https?:|#)(?P<path>[^)#\s]+)(?:#[^)]*)?\)")


def broken(page: Path) -> list[str]:
    """Links of a page to files that are not there."""
    return [
        link["path"] for link in LINK.finditer(page.read_text("utf-8")) if not (page.parent / link["path"]).exists()
    ]


def test_links_lead_somewhere(tmp_path: Path) -> None:
    root = DOCS.parent
    pages = [*root.glob("*.md"), *DOCS.rglob("*.md")]
    assert {str(page.relative_to(root)): broken(page) for page in pages if broken(page)} == {}
    (tmp_path / "control.md").write_text("[a](nowhere.md) [b](control.md#part) [c](https://example.org)")
    assert broken(tmp_path / "control.md") == ["nowhere.md"]


OURS = ("textsearch", "samplers", "objectives")


def code(page: Path) -> Iterator[str]:
    """The blocks of Python of a page or a notebook."""
    text = page.read_text("utf-8")
    if page.suffix == ".ipynb":
        yield from ("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    else:
        yield from (block["code"] for block in BLOCK.finditer(text))


def unknown(blocks: Iterator[str]) -> list[str]:
    """Names that blocks of code import from our packages, and that are not there."""
    lost = []
    for node in (node for block in blocks for node in ast.walk(ast.parse(block))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            module = import_module(node.module or "")
            lost += [f"{node.module}.{each.name}" for each in node.names if not hasattr(module, each.name)]
    return lost


def test_code_imports_what_there_is() -> None:
    pages = [DOCS.parent / "README.md", *DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]
    assert {page.name: lost for page in pages if (lost := unknown(code(page)))} == {}
    assert unknown(iter(["from samplers import Gibs"])) == ["samplers.Gibs"]


def unmade(blocks: Iterator[str]) -> list[str]:
    """Names that blocks of code use and that nothing on their page makes."""
    nodes = [node for block in blocks for node in ast.walk(ast.parse(block))]
    made = set(dir(builtins)) | {node.arg for node in nodes if isinstance(node, ast.arg)}
    made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    made |= {(each.asname or each.name).split(".")[0] for node in imports for each in node.names}
    made |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    made |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return sorted({node.id for node in names} - made)


def test_code_uses_no_name_that_its_page_does_not_make() -> None:
    pages = [DOCS.parent / "README.md", *DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]
    assert {page.name: lost for page in pages if (lost := unmade(code(page)))} == {}
    assert unmade(iter(["for s in sources:\n    print(s)"])) == ["sources"]


@pytest.mark.parametrize("page", sorted(DOCS.glob("tutorial/*.ipynb")), ids=lambda page: page.stem)
def test_notebooks_are_stored_as_they_ran(page: Path) -> None:
    """From top to bottom, once, without an error, with a picture; `make notebooks` runs them."""
    assert page.stat().st_size < 300_000
    cells = [cell for cell in json.loads(page.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert any("image/png" in output.get("data", ()) for output in outputs)
    assert not any(path in json.dumps(output) for output in outputs for path in ("/tmp/", "name_or_path"))


TREE = re.compile(r"```\{toctree\}\n(?P<lines>.*?)```", re.DOTALL)


def astray(docs: Path) -> list[str]:
    """Pages that no table of contents leads to."""
    found = {"index"}
    pages = {
        str(page.relative_to(docs).with_suffix("")) for page in docs.rglob("*") if page.suffix in (".md", ".ipynb")
    }
    for page in docs.rglob("*.md"):
        folder = str(page.parent.relative_to(docs))
        for tree in TREE.finditer(page.read_text("utf-8")):
            wanted = [line for line in tree["lines"].splitlines() if line and not line.startswith(":")]
            places = [line if folder == "." else f"{folder}/{line}" for line in wanted]
            found |= {page for page in pages for place in places if fnmatch(page, place)}
    return sorted(pages - found)


def test_every_page_is_in_a_table_of_contents(tmp_path: Path) -> None:
    assert astray(DOCS) == [], "add it to docs/index.md, or to the index.md of its folder"
    (tmp_path / "index.md").write_text("```{toctree}\n:glob:\n\nher*\n```")
    (tmp_path / "here.md").write_text("")
    (tmp_path / "nowhere.md").write_text("")
    assert astray(tmp_path) == ["nowhere"]
