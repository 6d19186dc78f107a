"""The shape of the project: imports point down only, files stay short, importing stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("textsearch", "samplers", "objectives", "demos", "benchmarks", "training", "tests")

LAYERS: list[set[str]] = [
    {
        "textsearch.addresses",
        "textsearch.batch",
        "textsearch.beginnings",
        "textsearch.cache",
        "textsearch.calls",
        "textsearch.checks",
        "textsearch.files",
        "textsearch.kinds",
        "textsearch.marks",
        "textsearch.per_input",
        "textsearch.outline",
        "textsearch.rng",
        "textsearch.spelling",
        "textsearch.steps_bar",
        "textsearch.tree",
        "textsearch.waiting",
        "textsearch.watching",
        "textsearch.wrong_terms",
    },
    {"textsearch.language"},
    {"textsearch.objective", "textsearch.proposal", "textsearch.schedule", "textsearch.models"},
    {"textsearch.living", "textsearch.neighbours", "textsearch.sampler"},
    {"textsearch.in_time"},
    {"textsearch.run", "textsearch.result", "textsearch.testing"},
    {"textsearch"},
    {"samplers", "objectives"},
    # tasks and the command line are applications of the library that happen to be installed with it
    {"textsearch.tasks"},
    # runs that are queued and watched: what the page and the server share
    {"textsearch.service"},
    {"textsearch.cli", "textsearch.studio", "textsearch.__main__", "demos", "benchmarks", "training", "tests"},
]
"""From the bottom up. A name stands for a module and all that lies in it, unless that has an entry of its own."""

SIBLINGS = ({"samplers", "objectives"}, {"demos", "benchmarks", "training", "tests"})
"""Packages that do not import each other."""

LEAVES = {"demos", "benchmarks", "training", "tests"}
"""Packages that nothing else imports."""

FRONT = "textsearch"
"""The one module that names what lies above it: for users, by names that are looked up when somebody asks for them. A
type checker is told of them; what it alone reads is no import."""


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(root: Path) -> dict[str, Path]:
    """Module name -> file, of all packages of the project."""
    files = (path for package in PACKAGES for path in sorted((root / package).rglob("*.py")))
    return {module_name(path, root): path for path in files}


def imports(path: Path, name: str, modules: set[str]) -> Iterator[str]:
    """The project's modules that a file imports, wherever in the file it does so."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if name == FRONT:
        tree.body = [node for node in tree.body if not for_types_only(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found = [f"{base}.{alias.name}" for alias in node.names]
            found = [one if one in modules else base for one in found]
        else:
            continue
        yield from (one for one in found if one.partition(".")[0] in PACKAGES)


def for_types_only(node: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING:` and nothing more."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse


def layer(module: str) -> int | None:
    """The layer of the longest entry that covers `module`; a module of the engine needs an entry of its own."""
    entry = module
    while entry:
        for number, names in enumerate(LAYERS):
            if entry in names and not (entry == "textsearch" != module):
                return number
        entry = entry.rpartition(".")[0]
    return None


def complaints(root: Path) -> list[str]:
    """Every import that breaks the rules, in words."""
    modules = sources(root)
    found = [f"{name} has no layer: give it one in LAYERS" for name in modules if layer(name) is None]
    graph = {name: sorted(set(imports(path, name, set(modules))) - {name}) for name, path in modules.items()}
    for name, targets in graph.items():
        package = name.partition(".")[0]
        for target in targets:
            other = target.partition(".")[0]
            mine, theirs = layer(name), layer(target)
            if mine is not None and theirs is not None and theirs > mine:
                found.append(f"{name} imports {target}, which lies above it")
            if package != other and any({package, other} <= group for group in SIBLINGS):
                found.append(f"{name} imports its sibling {target}")
            if package != other and other in LEAVES:
                found.append(f"{name} imports {target}, which nothing should import")
    found += [f"{' -> '.join(cycle)} is a cycle" for cycle in cycles(graph)]
    return found


def cycles(graph: dict[str, list[str]]) -> Iterator[list[str]]:
    """The ways round that a depth-first search meets."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> Iterator[list[str]]:
        if name in path:
            yield [*path[path.index(name) :], name]
        elif name not in done:
            for target in graph.get(name, []):
                yield from visit(target, [*path, name])
            done.add(name)

    for name in graph:
        yield from visit(name, [])


def test_imports_point_down_only() -> None:
    assert complaints(ROOT) == []


def test_every_package_is_walked() -> None:
    modules = sources(ROOT)
    assert {"textsearch.run.loop", "samplers.proposals.spans", "objectives", "tests.test_architecture"} <= set(modules)
    assert "textsearch.batch" in set(imports(modules["samplers.proposals.spans"], "samplers.proposals.spans", set()))


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("textsearch/batch.py", "import textsearch.rng, textsearch.run.loop", "textsearch.run.loop, which lies above"),
        ("textsearch/objective.py", "from .run.loop import run", "imports textsearch.run.loop, which lies above"),
        ("textsearch/run/loop.py", "from samplers import MetropolisHastings", "imports samplers, which lies above"),
        ("textsearch/run/loop.py", "from textsearch import generate", "imports textsearch, which lies above"),
        ("textsearch/models/a.py", "from ..sampler import Info", "imports textsearch.sampler, which lies above"),
        ("samplers/gibbs.py", "def f():\n    import objectives.keywords", "sibling objectives.keywords"),
        ("objectives/keywords.py", "import samplers", "imports its sibling samplers"),
        ("samplers/gibbs.py", "from tests.reference import State", "which nothing should import"),
        ("demos/a.py", "import benchmarks.speed", "which nothing should import"),
        ("textsearch/rng.py", "from textsearch.batch import Batch", "is a cycle"),
        ("textsearch/news.py", "", "textsearch.news has no layer"),
        # what types alone need counts too, but in the front module; and there nothing else may
        ("textsearch/run/loop.py", "if TYPE_CHECKING:\n    import samplers", "imports samplers, which lies above"),
        ("textsearch/__init__.py", "import objectives", "textsearch imports objectives, which lies above"),
        ("textsearch/__init__.py", "def f():\n    import samplers", "textsearch imports samplers, which lies above"),
        (
            "textsearch/__init__.py",
            "if TYPE_CHECKING:\n    import samplers\nelse:\n    import samplers",
            "textsearch imports samplers, which lies above",
        ),
    ],
)
def test_a_wrong_import_is_found(file: str, line: str, complaint: str, tmp_path: Path) -> None:
    """The control: a small project that obeys the rules but for one line."""
    project = {
        "textsearch/__init__.py": (
            "from textsearch.run.generation import generate\nif TYPE_CHECKING:\n    from objectives import Fluency"
        ),
        "textsearch/batch.py": "from textsearch.rng import Rng",
        "textsearch/rng.py": "import torch",
        "textsearch/objective.py": "from . import batch",
        "textsearch/run/__init__.py": "",
        "textsearch/run/generation.py": "from textsearch.run import loop",
        "textsearch/run/loop.py": "from textsearch.objective import Objective",
        "samplers/__init__.py": "",
        "objectives/__init__.py": "from textsearch import Objective",
        "demos/one.py": "import samplers, objectives, textsearch",
    }
    for name, text in project.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert complaints(tmp_path) == []
    target = tmp_path / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(line)
    assert any(complaint in found for found in complaints(tmp_path)), complaints(tmp_path)


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources(ROOT).values()}
    assert {name: length for name, length in lengths.items() if length >= 500} == {}


def long_guides(docs: Path) -> set[str]:
    """Guides of more lines than somebody reads who wants to get one thing done."""
    pages = [page for page in docs.glob("*.md") if page.name != "index.md"]
    return {page.name for page in pages if len(page.read_text("utf-8").splitlines()) > 80}


def test_guides_are_short(tmp_path: Path) -> None:
    """What is cut goes to docstrings, which make the reference, or to the results."""
    assert long_guides(ROOT / "docs") == set()
    (tmp_path / "long.md").write_text("a line\n" * 81)
    (tmp_path / "short.md").write_text("a line\n" * 80)
    assert long_guides(tmp_path) == {"long.md"}


def test_every_file_says_what_it_is() -> None:
    silent = [
        name
        for name, path in sources(ROOT).items()
        if not name.startswith("tests") and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize("statement", ["import textsearch", "from textsearch import generate"])
def test_importing_is_light(statement: str) -> None:
    """No torch, no transformers: an error in the arguments is told at once. And nothing that lies above the engine."""
    heavy = (
        "{'torch', 'transformers', 'numpy', 'scipy', 'pandas', 'rich', 'samplers', 'objectives', 'textsearch.tasks'}"
    )
    script = f"{statement}\nimport sys\nprint(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_arguments_are_checked_before_anything_heavy_is_loaded() -> None:
    script = """
import sys
from textsearch import generate
try:
    generate(None, None, ["a"], steps=-1, seed=0)
except ValueError as error:
    print("torch" in sys.modules, error)
"""
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("False steps=-1")


def test_public_names_can_all_be_loaded() -> None:
    import textsearch

    for name in textsearch.__all__:
        assert getattr(textsearch, name).__name__ == name
    assert dir(textsearch) == textsearch.__all__ == sorted(textsearch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Missing'"):
        _ = textsearch.Missing


def test_what_type_checkers_read_is_what_is_loaded() -> None:
    """Each name of the front module is told to type checkers from the very module that it is loaded from."""
    import textsearch

    tree = ast.parse((ROOT / "textsearch" / "__init__.py").read_text())
    told = {
        alias.name: node.module
        for part in tree.body
        if for_types_only(part)
        for node in ast.walk(part)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == textsearch._HOME_OF
    assert sorted([*told, "generate", "generate_each", "partial_result", "resume"]) == textsearch.__all__
