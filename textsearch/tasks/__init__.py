"""Ready-made tasks: an objective of composable terms, starts, moves and a sampler, in one function each.

A task is a value too: `build` in its module makes a `Problem` of inputs, settings and models, and `solve` runs it.

>>> from textsearch.tasks import Infilling, stream
>>> stream.__name__, Infilling(steps=20).chains
('stream', 8)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from textsearch.tasks.settings import (
    Asking,
    Correction,
    Infilling,
    KeywordSentences,
    Paraphrasing,
    Sampling,
    Settings,
    Weights,
    Writing,
)
from textsearch.tasks.streaming import stream

if TYPE_CHECKING:
    from textsearch.tasks.asking import ask
    from textsearch.tasks.correction import correct
    from textsearch.tasks.forcing import force_words
    from textsearch.tasks.infilling import infill
    from textsearch.tasks.keyword_sentences import keywords
    from textsearch.tasks.mining import mine
    from textsearch.tasks.paraphrasing import paraphrase
    from textsearch.tasks.problem import Models, Problem, Stage, solve
    from textsearch.tasks.sampling import sample
    from textsearch.tasks.writing import write

__all__ = [
    "Asking",
    "Correction",
    "Infilling",
    "KeywordSentences",
    "Models",
    "Paraphrasing",
    "Problem",
    "Sampling",
    "Settings",
    "Stage",
    "Weights",
    "Writing",
    "ask",
    "correct",
    "force_words",
    "infill",
    "keywords",
    "mine",
    "paraphrase",
    "sample",
    "solve",
    "stream",
    "write",
]

# a module of its function's name would take the function's place once it is imported
_HOMES = {
    "Models": "problem",
    "Problem": "problem",
    "Stage": "problem",
    "ask": "asking",
    "correct": "correction",
    "force_words": "forcing",
    "infill": "infilling",
    "keywords": "keyword_sentences",
    "mine": "mining",
    "paraphrase": "paraphrasing",
    "sample": "sampling",
    "solve": "problem",
    "write": "writing",
}


def __getattr__(name: str) -> object:
    """Load a task when it is first used: torch and transformers take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'textsearch.tasks' has no attribute {name!r}")
    return getattr(import_module(f"textsearch.tasks.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
