"""Simulated annealing (Kirkpatrick et al., 1983): any sampler, at a temperature that a schedule sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, final

import torch
from torch import Tensor

from samplers.composites.wrapped import check_start, starts_anywhere
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import function, positive, takes
from textsearch.kinds import SAMPLER, instance, shown
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee, Info, Sampler, State
from textsearch.schedule import Schedule, over

S = TypeVar("S", bound=State)


@final
@dataclass(frozen=True)
class SimulatedAnnealing(Generic[S]):
    """Run `sampler` at the temperature that `schedule` gives for each step.

    A search while the temperature changes: biased; once it stays, the draws from there on are the sampler's own. Costs
    nothing beyond the sampler's steps.

    A schedule without a number of steps goes over the whole run: over the `steps` of `generate`, over an input's own
    in `generate_each`, over a sampler's turns in a `Cycle`, over each round of `Restarts`. A run that is gone on with
    beyond the steps that it was made with stays at the end of its schedule: it is the same chain.

    Attributes:
        sampler: the kernel.
        schedule: step -> temperature; see `textsearch.schedule`.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch.schedule import geometric
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> SimulatedAnnealing(chain, geometric(4.0, 0.1)).kinds
    ('replace',)
    """

    sampler: Sampler[S]
    schedule: Schedule

    def __post_init__(self) -> None:
        instance("sampler", self.sampler, SAMPLER)
        function("schedule", self.schedule, "a schedule", "one, such as textsearch.schedule.geometric(1.0, 0.1)")
        if not takes(self.schedule, 1):
            name = shown(self.schedule)
            raise TypeError(
                f"schedule={name} is no function of the step alone: call it if it makes one, {name}(1.0, 0.1)"
            )

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the sampler."""
        return self.sampler.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """Those of the sampler."""
        return self.sampler.kinds

    @property
    def guarantee(self) -> Guarantee:
        """A search: biased."""
        return Guarantee.BIASED

    @property
    def starts_anywhere(self) -> bool:
        """As the sampler says; one that does not has no such attribute."""
        return starts_anywhere(self.sampler)

    def check(self, batch: Batch) -> None:
        """What the sampler refuses."""
        check_start(self.sampler, batch)

    def init(self, objective: Objective, batch: Batch) -> S:
        """The sampler's own start."""
        return self.sampler.init(objective, batch)

    def step(self, objective: Objective, state: S, rng: Rng, temperature: float | Tensor = 1.0) -> tuple[S, Info]:
        """One step at `temperature` times what the schedule says, of each chain's own step where they differ."""
        apart = isinstance(rng.moment, Tensor)
        schedule = over(self.schedule, rng.total)
        scheduled = _at(schedule, rng.steps) if apart else _temperature(schedule, rng.step)
        return self.sampler.step(objective, state, rng, temperature * scheduled)


def _temperature(schedule: Schedule, step: int) -> float:
    return float(positive(f"schedule({step})", schedule(step), "number, a temperature"))


def _at(schedule: Schedule, steps: Tensor) -> Tensor:
    """(B,) float64, the temperature at each of `steps` (B,)."""
    different, place = torch.unique(steps, return_inverse=True)
    temperatures = [_temperature(schedule, step) for step in different.tolist()]
    return torch.tensor(temperatures, dtype=torch.float64, device=steps.device)[place]
