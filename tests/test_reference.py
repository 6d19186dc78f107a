"""Every public name is in the reference, with where it comes from and what it takes."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
PACKAGES = (
    "textsearch",
    "textsearch.models",
    "textsearch.result",
    "textsearch.tasks",
    "textsearch.testing",
    "objectives",
    "samplers",
    "samplers.proposals",
)
DIRECTIVE = re.compile(r"^\.\. auto(?P<kind>\w+):: (?P<name>\S+)$", re.MULTILINE)
YEAR = re.compile(r"\b(1[789]|20)\d\d\b")

OWN = {"AllSites", "Clusters", "Edits", "FromLeft", "FromRight", "Uniform", "template", "PIECES"}
"""Proposals that rest on no paper."""


def public() -> Iterator[tuple[str, Any]]:
    """Qualified name and object, of all packages."""
    for package in PACKAGES:
        module = import_module(package)
        yield from ((f"{package}.{name}", getattr(module, name)) for name in module.__all__)


def shown(pages: str) -> set[int]:
    """Identities of the objects that the directives of these pages document."""
    found: set[int] = set()
    for directive in DIRECTIVE.finditer(pages):
        if directive["kind"] == "module":
            module = import_module(directive["name"])
            own = [name for name, each in vars(module).items() if getattr(each, "__module__", "") == module.__name__]
            found |= {id(getattr(module, name)) for name in getattr(module, "__all__", own)}
        else:
            home, _, name = directive["name"].rpartition(".")
            found.add(id(getattr(import_module(home), name)))
    return found


def missing(pages: str) -> list[str]:
    """Public names that the pages leave out."""
    there = shown(pages)
    return [name for name, each in public() if id(each) not in there]


def test_every_public_name_is_in_the_reference() -> None:
    pages = "\n".join(page.read_text("utf-8") for page in REFERENCE.glob("*.md"))
    assert missing(pages) == []
    # a page that is lost is noticed
    assert "samplers.Gibbs" in missing(pages.replace(".. automodule:: samplers\n", ""))


def test_samplers_and_proposals_name_their_sources() -> None:
    without = []
    for name, each in public():
        if name.startswith("samplers") and inspect.isclass(each):
            module = sys.modules[each.__module__].__doc__ or ""
            if name.rpartition(".")[2] not in OWN and not YEAR.search(f"{module}\n{each.__doc__}"):
                without.append(name)
    assert without == []


def undocumented(each: Any) -> list[str]:
    """Parameters of a function, or fields of a dataclass, of which its docstring says nothing."""
    # settings of a task derive from those of every task
    bases = inspect.getmro(each) if inspect.isclass(each) else (each,)
    said = "\n".join(base.__doc__ or "" for base in bases if base is not object)
    taken = [name for name in inspect.signature(each).parameters if not name.startswith("_") and name != "self"]
    return [name for name in taken if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)]


def test_docstrings_say_what_every_argument_is() -> None:
    lacking = {}
    for name, each in public():
        plain = inspect.isfunction(each) or hasattr(each, "__dataclass_fields__")
        if plain and not inspect.isabstract(each) and (found := undocumented(each)):
            lacking[name] = found
    assert lacking == {}

    def broken(text: str, count: int) -> None:
        """Says what `text` is."""

    assert undocumented(broken) == ["count"]


def functions() -> Iterator[tuple[str, Any]]:
    """Public functions, and methods of public classes."""
    for name, each in public():
        if inspect.isfunction(each):
            yield name, each
        for own, method in vars(each).items() if inspect.isclass(each) else ():
            plain = getattr(method, "__func__", getattr(method, "fget", method))
            if inspect.isfunction(plain) and not own.startswith("_"):
                yield f"{name}.{own}", plain


def refuses_in_silence(function: Any) -> bool:
    """Whether a function raises a `ValueError` of which its docstring says nothing."""
    # a wrapper of another function is not what is read
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    return "ValueError" in raised and "ValueError" not in (function.__doc__ or "")


def test_docstrings_say_what_is_refused() -> None:
    assert sorted({name for name, each in functions() if refuses_in_silence(each)}) == []

    def broken(count: int) -> None:
        """Takes a `count`."""
        if count < 0:
            raise ValueError(f"count={count} is below 0")

    assert refuses_in_silence(broken)


def configuration() -> Any:
    """What `make docs` is configured with."""
    place = spec_from_file_location("conf", REFERENCE.parent / "conf.py")
    assert place is not None and place.loader is not None
    conf = module_from_spec(place)
    place.loader.exec_module(conf)
    return conf


def test_names_of_other_modules_are_links() -> None:
    allowed, generate = "textsearch.objective.Objective.allowed", "textsearch.run.generation.generate"
    known = ["samplers.Gibbs", "a.Edits", "b.Edits", allowed, generate]
    home = configuration().home
    assert home("Gibbs", known) == "samplers.Gibbs" and home("Objective.allowed", known) == allowed
    assert home("textsearch.generate", known) == generate
    # two of that name, an argument, code
    assert home("Edits", known) is home("generate", known) is home("Gibbs()", known) is None


def test_signatures_are_shown_as_they_would_be_written() -> None:
    """What Python shows of a default that is no expression breaks a signature of the reference into one long line."""
    conf = configuration()
    assert conf.readable("(a: X = <factory>, _b: dict[int, list[int]] = <f>, c=<function f at 0x1>)") == (
        "(a: X = factory, c=f)"
    )
    assert (
        conf.readable("(a: Tensor = tensor([], size=(0, 0), dtype=torch.int64), b=(1, 2))")
        == "(a: Tensor = empty, b=(1, 2))"
    )
    for _, each in public():
        if inspect.isfunction(each) or hasattr(each, "__dataclass_fields__"):
            shown = str(inspect.signature(each).replace(return_annotation=inspect.Signature.empty))
            taken = ast.parse(f"def f{conf.readable(shown)}: ...").body[0].args  # type: ignore[attr-defined]
            names = [one.arg for one in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
            assert not any(name.startswith("_") for name in names)
