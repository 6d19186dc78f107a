"""Samplers that take turns (Tierney, "Markov chains for exploring posterior distributions", 1994)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler


@final
@dataclass(frozen=True)
class Cycle:
    """One sampler after another, step by step, then the first again.

    Exact if all are: what each leaves invariant, their turns leave invariant. Whose turn it is depends on the step
    alone and never on the text; for turns drawn by chance within one sampler see `samplers.proposals.Mixture`.

    Each sampler counts its own steps, so that a schedule or a cycle within goes on as it would alone. Kinds of move
    that have one name are counted together.

    Attributes:
        samplers: kernels whose state is texts and energies and nothing else, such as `MetropolisHastings`.

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
        object.__setattr__(self, "samplers", tuple(samplers))
        if not self.samplers:
            raise ValueError("samplers is empty: a cycle needs at least one")
        for number, sampler in enumerate(self.samplers):
            if sampler.vocabulary is not self.vocabulary:
                raise ValueError(
                    f"samplers[{number}] has another vocabulary than samplers[0]: the samplers of a cycle must share "
                    "one, that is, one tokenizer object"
                )

    @property
    def vocabulary(self) -> Vocabulary:
        """The one that all samplers share."""
        return self.samplers[0].vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """Those of all samplers, in order, each name once."""
        return tuple(dict.fromkeys(kind for sampler in self.samplers for kind in sampler.kinds))

    @property
    def guarantee(self) -> Guarantee:
        """The weakest of the samplers'."""
        order = list(Guarantee)  # from the strongest to the weakest
        return max((sampler.guarantee for sampler in self.samplers), key=order.index)

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The batch with its energies; refused if any of the samplers refuses it."""
        states = [sampler.init(objective, batch) for sampler in self.samplers]
        for sampler, state in zip(self.samplers, states, strict=True):
            if type(state) is not ChainState:
                raise TypeError(
                    f"the state of {type(sampler).__name__} is a {type(state).__name__}: samplers in a Cycle hand on "
                    "texts and energies, so they must keep nothing else, such as MetropolisHastings"
                )
        return states[0]

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One step of the sampler whose turn it is."""
        turn, number = divmod(rng.step, len(self.samplers))
        sampler = self.samplers[number]
        # samplers at the same step of their own must not draw the same numbers
        state, info = sampler.step(objective, state, rng.fold(number).at(turn), temperature)
        index = torch.tensor([self.kinds.index(kind) for kind in sampler.kinds], device=info.kind.device)
        return state, replace(info, kind=index[info.kind])
