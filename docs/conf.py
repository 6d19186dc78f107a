"""The site: `make docs` builds it. Pages are Markdown, tutorials notebooks, the reference comes from docstrings."""

import inspect
import re
import sys
from collections.abc import Iterable
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "textsearch"
author = "the authors of textsearch"
release = version_of("textsearch-sampling")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
html_theme = "furo"
html_title = "textsearch"
html_show_copyright = False
# a block that names no language is what a command prints
highlight_language = "text"
exclude_patterns = ["README.md"]

# notebooks are stored as `make notebooks` ran them
nb_execution_mode = "off"
myst_enable_extensions = ["substitution"]
# links to a heading of a page are checked as those to a page are
myst_heading_anchors = 3
# a prompt is not copied with its command
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# `name` in a docstring is a link where it names something of the reference, and code elsewhere
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
add_module_names = False
# the attributes of a frozen dataclass are the parameters that make it
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_preprocess_types = False
# a second pass, which would read "Draws: those of a chain" as a type
napoleon_numpy_docstring = False


def names_of_textsearch() -> str:
    """A table of what is imported from `textsearch`, each name a link to where it lives."""
    import textsearch

    homes = {"textsearch.run.generation": "generate generate_each resume", "textsearch.run.partial": "partial_result"}
    rows = (
        f"| `{home}` | " + ", ".join(f"{{py:obj}}`{name} <{home}.{name}>`" for name in names.split()) + " |"
        for home, names in (homes | textsearch._HOMES).items()
    )
    return "\n".join(["| lives in | names |", "|---|---|", *rows])


myst_substitutions = {"names": names_of_textsearch()}

YEAR = re.compile(r"\b(1[789]|20)\d\d\b")
SHOWN: set[str] = set()
"""Modules whose docstring stands on a page."""
EMPTY = re.compile(r"tensor\(\[\][^()]*(?:\([^()]*\)[^()]*)*\)")
NO_CODE = re.compile(r"<(?:built-in )?function (\w+)(?: at \w+)?>|<(\w+)>")
"""A default as Python shows it where it is no expression: <factory>, <function barker>."""


def add_source(app: object, kind: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Paper and year stand once, in the docstring of a module: names that are shown without it get them from there."""
    if kind == "module":
        SHOWN.add(name)
    home = sys.modules.get(getattr(thing, "__module__", ""))
    if kind not in ("class", "function") or home is None or home.__name__ in SHOWN or YEAR.search("\n".join(lines)):
        return
    said = inspect.cleandoc(home.__doc__ or "").split("\n\n")
    cited = [paragraph for paragraph in said if YEAR.search(paragraph) and not paragraph.startswith(" ")]
    if cited:
        lines += ["", ".. rubric:: Source", "", *"\n\n".join(cited).splitlines(), ""]


def readable(signature: str) -> str:
    """A signature as somebody would write it, without the fields that a dataclass keeps for itself.

    A default that is a tensor without elements is shown as `empty`.

    >>> readable("(lm: LM, scan: Scan = <function sweep>, _known: dict[tuple[int, list[int]], float] = <factory>)")
    '(lm: LM, scan: Scan = sweep)'
    """
    found, depth = [""], 0
    for one in NO_CODE.sub(r"\1\2", EMPTY.sub("empty", signature))[1:-1]:
        depth += (one in "([{") - (one in ")]}")
        if one == "," and not depth:
            found.append("")
        else:
            found[-1] += one
    return f"({','.join(part for part in found if not part.strip().startswith('_'))})"


def plain_signature(
    app: object, kind: str, name: str, thing: object, options: object, signature: str | None, returns: str
) -> object:
    """Called with each signature; a protocol takes no arguments, whatever Python says of it."""
    if signature is None or getattr(thing, "_is_protocol", False):
        return None if signature is None else "", returns
    return readable(signature), returns


def keep_colons(app: object, kind: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Napoleon takes what stands before a colon for the type of an attribute; here that type is empty."""
    if kind in ("attribute", "property", "data") and lines and ": " in lines[0]:
        lines[0] = f": {lines[0]}"


def skip_fields(app: object, kind: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    """Fields are said where the class is: those of a named tuple, and those whose default is a function."""
    of_tuple = (getattr(thing, "__doc__", None) or "").startswith("Alias for field number")
    default = inspect.isfunction(thing) and thing.__name__ != name and kind == "class"
    return True if of_tuple or default else None


def home(name: str, known: Iterable[str]) -> str | None:
    """The one object that `name` means on whatever page it stands; None for a plain word, or where there are several.

    Words such as `steps` are arguments. Only what begins with a capital, or with the package, names an object.

    >>> known = ["samplers.gibbs.Gibbs", "textsearch.objective.Objective.allowed", "textsearch.run.generation.generate"]
    >>> home("Gibbs", known), home("Objective.allowed", known), home("allowed", known)
    ('samplers.gibbs.Gibbs', 'textsearch.objective.Objective.allowed', None)
    >>> home("textsearch.generate", known)
    'textsearch.run.generation.generate'
    """
    last = name.removeprefix("textsearch.")
    if not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)?", last) or (last == name and not name[0].isupper()):
        return None
    found = [one for one in known if one.endswith(f".{last}")]
    return found[0] if len(found) == 1 else None


def link_elsewhere(app: object, env: "BuildEnvironment", node: "Element", shown: "Element") -> object:
    """Sphinx looks a name up in the module that says it; names of the reference are links in every other one too."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    full = home(node["reftarget"], [name for name, one in domain.objects.items() if not one.aliased])
    if full is None:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, shown)  # type: ignore[attr-defined]


def setup(app: "Sphinx") -> None:
    """Called by Sphinx."""
    app.connect("missing-reference", link_elsewhere)
    app.connect("autodoc-process-docstring", add_source)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)
    app.connect("autodoc-process-signature", plain_signature)
    app.connect("autodoc-skip-member", skip_fields)
