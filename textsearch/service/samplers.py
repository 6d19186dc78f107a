"""The samplers that a submission can name: each made of the moves of a problem, and the Python that makes it.

Names are for people who cannot pass a Python object, over a page or a wire; in Python pass the sampler itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from textsearch.proposal import Proposal
    from textsearch.sampler import Sampler

OWN = "own"
"""The sampler that a task has of its own; of an energy it is Metropolis-Hastings."""


@final
@dataclass(frozen=True)
class NamedSampler:
    """A sampler of moves.

    Attributes:
        says: what it is, in one line: English, Chinese.
        code: the expression that makes it of `moves`.
        names: what the expression takes from `samplers` and `textsearch`.
        make: the same as a function.
    """

    says: tuple[str, str]
    code: str
    names: tuple[str, ...]
    make: Callable[[Proposal], Sampler[Any]]


def _metropolis(moves: Proposal) -> Sampler[Any]:
    from samplers import MetropolisHastings

    return MetropolisHastings(moves)


def _multiple_try(moves: Proposal) -> Sampler[Any]:
    from samplers import MultipleTry

    return MultipleTry(moves, 4)


def _annealing(moves: Proposal) -> Sampler[Any]:
    from samplers import MetropolisHastings, SimulatedAnnealing
    from textsearch import geometric

    return SimulatedAnnealing(MetropolisHastings(moves), geometric(1.0, 0.1))


def _tempering(moves: Proposal) -> Sampler[Any]:
    from samplers import MetropolisHastings, ParallelTempering

    return ParallelTempering(MetropolisHastings(moves), (1.0, 1.5, 2.25))


def _restarts(moves: Proposal) -> Sampler[Any]:
    from samplers import MetropolisHastings, RestartsWhenStuck

    return RestartsWhenStuck(MetropolisHastings(moves), 50)


SAMPLERS: Mapping[str, NamedSampler] = MappingProxyType(
    {
        "metropolis-hastings": NamedSampler(
            ("Metropolis-Hastings: exact draws", "Metropolis-Hastings：精确抽样"),
            "MetropolisHastings(moves)",
            ("MetropolisHastings",),
            _metropolis,
        ),
        "multiple-try": NamedSampler(
            ("Multiple-try Metropolis: exact, 4 proposals a step", "多重尝试 Metropolis：精确，每步 4 个提议"),
            "MultipleTry(moves, 4)",
            ("MultipleTry",),
            _multiple_try,
        ),
        "parallel-tempering": NamedSampler(
            ("Parallel tempering: exact, 3 temperatures", "并行回火：精确，3 个温度"),
            "ParallelTempering(MetropolisHastings(moves), (1.0, 1.5, 2.25))",
            ("MetropolisHastings", "ParallelTempering"),
            _tempering,
        ),
        "simulated-annealing": NamedSampler(
            ("Simulated annealing: a search, T from 1 to 0.1", "模拟退火：搜索，T 从 1 到 0.1"),
            "SimulatedAnnealing(MetropolisHastings(moves), geometric(1.0, 0.1))",
            ("MetropolisHastings", "SimulatedAnnealing", "geometric"),
            _annealing,
        ),
        "restarts": NamedSampler(
            (
                "Restarts: a search, from the best after 50 steps without a better text",
                "重启：搜索，50 步无改进则回到最优",
            ),
            "RestartsWhenStuck(MetropolisHastings(moves), 50)",
            ("MetropolisHastings", "RestartsWhenStuck"),
            _restarts,
        ),
    }
)
