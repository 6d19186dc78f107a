"""textsearch: sample and search text under an energy, built on pretrained language models.

>>> import textsearch
>>> textsearch.generate.__name__
'generate'
"""

from importlib import import_module
from typing import TYPE_CHECKING

from textsearch.run.generation import generate, generate_each, resume
from textsearch.run.partial import partial_result

if TYPE_CHECKING:
    from textsearch.batch import Batch
    from textsearch.objective import Cost, FunctionObjective, Objective
    from textsearch.proposal import Move, Proposal
    from textsearch.result import Generations
    from textsearch.result.loading import load
    from textsearch.rng import Rng
    from textsearch.run.admission import Answer
    from textsearch.run.loop import Progress
    from textsearch.sampler import Guarantee, Info, Sampler

__all__ = [
    "Answer",
    "Batch",
    "Cost",
    "FunctionObjective",
    "Generations",
    "Guarantee",
    "Info",
    "Move",
    "Objective",
    "Progress",
    "Proposal",
    "Rng",
    "Sampler",
    "generate",
    "generate_each",
    "load",
    "partial_result",
    "resume",
]

_HOMES = {
    "Answer": "run.admission",
    "Batch": "batch",
    "Cost": "objective",
    "FunctionObjective": "objective",
    "Generations": "result",
    "Guarantee": "sampler",
    "Info": "sampler",
    "Move": "proposal",
    "Objective": "objective",
    "Progress": "run.loop",
    "Proposal": "proposal",
    "Rng": "rng",
    "Sampler": "sampler",
    "load": "result.loading",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: `import textsearch` stays far below the seconds that torch takes."""
    if name not in _HOMES:
        raise AttributeError(f"module 'textsearch' has no attribute {name!r}")
    return getattr(import_module(f"textsearch.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
