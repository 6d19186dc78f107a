"""Rules for stopping early: `generate(..., until=...)` asks one of all inputs together, `generate_each` of each input.

A rule that looks at the draws makes the time of stopping depend on them, so the figures at that moment are a little too
optimistic (Glynn and Whitt, 1992): ask for more effective draws than you need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from textsearch.checks import keep, positive, real, whole
from textsearch.result.diagnostics import FEWEST_DRAWS, statistics
from textsearch.run.loop import Progress


@final
@dataclass(frozen=True)
class Converged:
    """Stop once the chains of every input agree on the energy and hold enough effective draws of it.

    Attributes:
        r_hat: the largest rank-normalised R-hat allowed (Vehtari et al., 2021, advise 1.01).
        ess: the fewest effective draws wanted of each input, bulk and tail.
        every: steps from one look to the next.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    >>> rule = Converged(r_hat=1.05, ess=100)
    >>> generate(few_a, sampler, ["aaa"], steps=5000, seed=0, chains=8, until=rule).steps < 1000
    True
    """

    r_hat: float = 1.01
    ess: float = 400.0
    every: int = 50

    def __post_init__(self) -> None:
        above = "be a number above 1, its value for chains that agree; 1.01 is usual"
        keep(
            self,
            r_hat=real("r_hat", self.r_hat, above, lambda x: x > 1),
            ess=positive("ess", self.ess, "number of effective draws"),
            every=whole("every", self.every, 1, unit="step"),
        )

    def __call__(self, progress: Progress) -> bool:
        """Whether to stop."""
        draws = progress.step - progress.warm_up
        if draws < FEWEST_DRAWS or draws % self.every:
            return False
        energies = torch.stack(list(progress.trace[progress.warm_up :]), 1)
        return all(
            self._good(energies[progress.batch.inputs == number]) for number in torch.unique(progress.batch.inputs)
        )

    def _good(self, draws: torch.Tensor) -> bool:
        found = statistics(draws.cpu().numpy())
        # nan, where the energy never changed, is no agreement
        return found.r_hat <= self.r_hat and min(found.ess_bulk, found.ess_tail) >= self.ess


@final
@dataclass(frozen=True)
class Budget:
    """Stop once models have read this much; the step that exceeds the budget is the last.

    Attributes:
        rows: texts read by models, all terms and moves together.
        passes: calls of models.
        tokens: tokens read by models, padding included.
        seconds: wall-clock time of the steps.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> free = FunctionObjective(lambda texts: [0.0] * len(texts), name="free")
    >>> generate(free, sampler, ["aaa"], steps=5000, seed=0, chains=8, until=Budget(rows=100)).steps
    13
    """

    rows: float = math.inf
    passes: float = math.inf
    tokens: float = math.inf
    seconds: float = math.inf

    def __post_init__(self) -> None:
        given = {"rows": self.rows, "passes": self.passes, "tokens": self.tokens, "seconds": self.seconds}
        limits = {name: real(name, value, "be a number above 0", lambda x: x > 0) for name, value in given.items()}
        keep(self, **limits)
        if min(limits.values()) == math.inf:
            raise ValueError("the budget has no limit: name one, such as Budget(rows=10_000)")

    def __call__(self, progress: Progress) -> bool:
        """Whether to stop."""
        spent = progress.usage.values()
        return (
            sum(usage.rows for usage in spent) >= self.rows
            or sum(usage.passes for usage in spent) >= self.passes
            or sum(usage.tokens for usage in spent) >= self.tokens
            or progress.seconds >= self.seconds
        )


@final
@dataclass(frozen=True)
class Settled:
    """Stop once the lowest energy of every input has not changed for `patience` steps.

    Attributes:
        patience: steps without a lower energy.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> result = generate(few_a, sampler, ["aaa"], steps=5000, seed=0, until=Settled(patience=20))
    >>> result.best_texts, result.steps < 100, bool((result.trace[-21:] == 0).all())
    (['bbb'], True, True)
    """

    patience: int

    def __post_init__(self) -> None:
        keep(self, patience=whole("patience", self.patience, 1, unit="step"))

    def __call__(self, progress: Progress) -> bool:
        """Whether to stop."""
        if progress.step < self.patience:
            return False
        return all(
            progress.step - int(steps[energies == energies.min()].min()) >= self.patience
            for energies, steps in _by_input(progress.batch.inputs, progress.best_energies, progress.best_steps)
        )


@final
@dataclass(frozen=True)
class Reached:
    """Stop once every input has a text whose energy is at most `energy` nats.

    Attributes:
        energy: nats.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, sampler, ["aaa"], steps=5000, seed=0, until=Reached(5.0)).texts[0].count("a")
    1
    """

    energy: float

    def __post_init__(self) -> None:
        keep(self, energy=real("energy", self.energy, "be a number of nats, not nan", lambda x: x == x))

    def __call__(self, progress: Progress) -> bool:
        """Whether to stop."""
        inputs = _by_input(progress.batch.inputs, progress.best_energies)
        return all(bool(energies.min() <= self.energy) for (energies,) in inputs)


def _by_input(inputs: Tensor, *values: Tensor) -> Iterator[list[Tensor]]:
    """For each input its rows of the values (B,)."""
    for number in torch.unique(inputs):
        yield [value[inputs == number] for value in values]
