"""Mixtures of samplers (Tierney, "Markov chains for exploring posterior distributions", 1994).

With K_i the samplers and w_i their probabilities, a step is one of K = sum over i of w_i K_i. What each K_i leaves
invariant, K leaves invariant, as long as the choice does not look at the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from samplers.composites.wrapped import Turns, kind_numbers, shared
from samplers.proposals.mixture import shares
from textsearch.batch import concatenate
from textsearch.checks import keep, mapping
from textsearch.models.usage import charged_to
from textsearch.objective import Evaluation, Objective
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Info, Sampler


@final
@dataclass(frozen=True, eq=False)
class Mixture(Turns):
    """At each step, each row draws which of the samplers makes its step, with fixed probabilities.

    Exact if all samplers are. A row's step costs what a step of its sampler costs; the rows of one sampler are stepped
    together. For turns in a fixed order see `Cycle`. To mix the moves of one Metropolis-Hastings, use
    `samplers.proposals.Mixture`, which needs one batch of energies a step.

    All samplers move on one space. A text that one of them cannot write, because it is too long or its proposal does
    not draw it, stays as it is when that sampler is chosen; the others can move it.

    Schedules and systematic scans within the samplers count the steps of the run. What the samplers record is left out:
    at each step only some of the rows have it. Kinds of move with the same name are counted together.

    Attributes:
        samplers: kernels whose state is texts and energies only, such as `MetropolisHastings`.
        weights: the probability of each sampler.

    >>> from samplers import Gibbs, MetropolisHastings
    >>> from samplers.proposals import InsertDelete
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> model = TableMaskedLM.random(letters("ab"), seed=0)
    >>> mixture = Mixture({Gibbs(model, candidates=2): 3.0, MetropolisHastings(InsertDelete(model)): 1.0})
    >>> mixture.kinds, mixture.weights
    (('gibbs', 'insert', 'delete'), (0.75, 0.25))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, mixture, ["aaa"], steps=40, seed=0).best_energies.tolist()
    [0.0]
    """

    samplers: tuple[Sampler[ChainState], ...]
    weights: tuple[float, ...]

    def __init__(self, samplers: Mapping[Sampler[ChainState], float]) -> None:
        mapping("samplers", samplers, "samplers and weights", "{MetropolisHastings(...): 0.7, Gibbs(...): 0.3}")
        keep(self, samplers=shared(list(samplers), "a mixture"), weights=shares(samplers))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One step a row, each of the sampler that the row's own stream chose."""
        batch = state.batch
        log_weights = torch.tensor(self.weights, dtype=torch.float64, device=batch.device).log()
        choice = categorical(log_weights.expand(len(batch), -1), rng.uniform(0))
        own = isinstance(temperature, Tensor) and temperature.ndim == 1
        states, infos, indices = [], [], []
        for number, sampler in enumerate(self.samplers):
            index = (choice == number).nonzero().squeeze(-1)
            if len(index) == 0:
                continue
            heat = temperature[index] if own and isinstance(temperature, Tensor) else temperature
            with charged_to("/".join(dict.fromkeys(sampler.kinds))):
                after, info = sampler.step(objective, state.rows(index), rng.rows(index).fold(number + 1), heat)
            states.append(after)
            infos.append(Info(info.accepted, kind_numbers(sampler, self.kinds, info.kind), info.log_ratio))
            indices.append(index)
        back = torch.cat(indices).argsort()
        return ChainState(
            concatenate([each.batch for each in states]).rows(back),
            Evaluation(
                torch.cat([each.evaluation.energy for each in states])[back],
                torch.cat([each.evaluation.terms for each in states])[back],
            ),
        ), Info(
            torch.cat([info.accepted for info in infos])[back],
            torch.cat([info.kind for info in infos])[back],
            torch.cat([info.log_ratio for info in infos])[back],
        )
