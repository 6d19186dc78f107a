"""Samplers that take turns (Tierney, "Markov chains for exploring posterior distributions", 1994)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from torch import Tensor

from samplers.composites.wrapped import Turns, kind_numbers, shared
from textsearch.checks import keep
from textsearch.models.usage import charged_to
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Info, Sampler


@final
@dataclass(frozen=True)
class Cycle(Turns):
    """One sampler after another, step by step, then the first again.

    Exact if all samplers are: their turns leave invariant what each of them does. Whose turn it is depends on the step
    alone, never on the text. A step costs what a step of that sampler costs. For turns drawn at random see
    `samplers.Mixture`.

    Each sampler counts its own steps, so a schedule or a cycle within it goes on as it would alone; a schedule over the
    run goes over the sampler's own turns. What the samplers record is left out, because it differs from turn to turn.
    Kinds of move with the same name are counted together.

    All samplers move on one space. A text that one of them cannot write, because it is too long or its proposal does
    not draw it, stays as it is at that sampler's turn; the others can move it.

    Attributes:
        samplers: kernels whose state is texts and energies only, such as `MetropolisHastings`.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import InsertDelete, Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> model = TableMaskedLM.random(letters("ab"), seed=0)
    >>> turns = Cycle([MetropolisHastings(Replace(model)), MetropolisHastings(InsertDelete(model))])
    >>> turns.kinds
    ('replace', 'insert', 'delete')
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, turns, ["aaa"], steps=20, seed=0).acceptance["replace"].proposed
    10
    """

    samplers: tuple[Sampler[ChainState], ...]

    def __init__(self, samplers: Iterable[Sampler[ChainState]]) -> None:
        keep(self, samplers=shared(samplers, "a cycle"))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One step of the sampler whose turn it is."""
        turn, number = divmod(rng.step, len(self.samplers))
        sampler = self.samplers[number]
        # samplers at the same step of their own must not draw the same numbers
        own = rng.fold(number).at(turn, total=_turns(rng.total, number, len(self.samplers)))
        with charged_to("/".join(dict.fromkeys(sampler.kinds))):
            state, info = sampler.step(objective, state, own, temperature)
        return state, Info(info.accepted, kind_numbers(sampler, self.kinds, info.kind), info.log_ratio)


def _turns(steps: int | None, number: int, count: int) -> int | None:
    """How many of the steps of a run are those of one of `count` samplers; None where the run's are not known."""
    return None if steps is None else len(range(number, steps, count))
