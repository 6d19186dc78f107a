"""Ready-made tasks: an objective of composable terms, starts, moves and a sampler, in one function each.

>>> from textsearch.tasks import stream
>>> stream.__name__
'stream'
"""

from importlib import import_module
from typing import TYPE_CHECKING

from textsearch.tasks.streaming import stream

if TYPE_CHECKING:
    from textsearch.tasks.correction import correct
    from textsearch.tasks.infilling import infill
    from textsearch.tasks.keyword_sentences import keywords
    from textsearch.tasks.paraphrasing import paraphrase
    from textsearch.tasks.writing import write

__all__ = ["correct", "infill", "keywords", "paraphrase", "stream", "write"]

# a module of its function's name would take the function's place once it is imported
_HOMES = {
    "correct": "correction",
    "infill": "infilling",
    "keywords": "keyword_sentences",
    "paraphrase": "paraphrasing",
    "write": "writing",
}


def __getattr__(name: str) -> object:
    """Load a task when it is first used: torch and transformers take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'textsearch.tasks' has no attribute {name!r}")
    return getattr(import_module(f"textsearch.tasks.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
