"""Simulated annealing (Kirkpatrick et al., 1983): any sampler, at a temperature that a schedule sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar, final

import torch
from torch import Tensor

from samplers.composites.wrapped import StepWrapper
from textsearch.checks import function, positive, takes
from textsearch.kinds import shown
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee, Info, Sampler, State
from textsearch.schedule import Schedule, over

S = TypeVar("S", bound=State)


@final
@dataclass(frozen=True)
class SimulatedAnnealing(StepWrapper[S]):
    """Run `sampler` at the temperature that `schedule` gives for each step.

    Biased while the temperature changes; once it stays the same, the draws are those of the sampler. Costs nothing
    beyond the sampler's steps.

    A schedule without a number of steps goes over the whole run: over the `steps` of `generate`, over an input's own
    in `generate_each`, over a sampler's turns in a `Cycle`, over each round of `Restarts`. A run that goes on
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

    guarantee: ClassVar = Guarantee.BIASED

    def __post_init__(self) -> None:
        super().__post_init__()
        function("schedule", self.schedule, "a schedule", "one, such as textsearch.schedule.geometric(1.0, 0.1)")
        if not takes(self.schedule, 1):
            name = shown(self.schedule)
            raise TypeError(
                f"schedule={name} is no function of the step alone: call it if it makes one, {name}(1.0, 0.1)"
            )

    def step(self, objective: Objective, state: S, rng: Rng, temperature: float | Tensor = 1.0) -> tuple[S, Info]:
        """One step at `temperature` times the schedule's temperature for each chain's step."""
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
