"""The site: `make docs` builds it. Pages are Markdown, tutorials notebooks, the reference comes from docstrings."""

import inspect
import re
import sys
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

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
PRIVATE = re.compile(r",? _\w+: [^,()]*(\([^()]*\)|\[[^\[\]]*(\[[^\[\]]*\])*[^\[\]]*\])?[^,()]*= [^,()]*(\([^()]*\))?")


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


def drop_private(
    app: object, kind: str, name: str, thing: object, options: object, signature: str, returns: str
) -> object:
    """A field that a dataclass keeps for itself is no argument."""
    return PRIVATE.sub("", signature or "") or None, returns


def setup(app: "Sphinx") -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", add_source)
    app.connect("autodoc-process-signature", drop_private)
