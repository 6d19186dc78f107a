"""Schedules: functions from the step to the temperature.

Those made here are values. They go over the whole run, however many steps it has, or over a number of steps of their
own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, Self, final, runtime_checkable

from textsearch.calls import told
from textsearch.checks import keep, mapping, positive, real, whole
from textsearch.kinds import shown

Schedule = Callable[[int], float]
"""step, counted from 0 -> temperature."""


@runtime_checkable
class OfARun(Protocol):
    """A schedule that goes by the share of a run that is over, and so asks how many steps the run has."""

    def over(self, steps: int | None) -> Schedule:
        """The schedule of a run of so many steps; None where nobody knows how many."""


def over(schedule: Schedule, steps: int | None) -> Schedule:
    """The schedule of a run of so many steps; one that goes by the step alone stays as it is.

    >>> over(geometric(4.0, 1.0), 2)(1), over(geometric(4.0, 1.0, 8), 2)(1) > 3, over(lambda step: 3.0, 2)(1)
    (2.0, True, 3.0)
    """
    return schedule.over(steps) if isinstance(schedule, OfARun) else schedule


@final
@dataclass(frozen=True)
class Constant:
    """The same temperature at every step; see `constant`."""

    temperature: float

    def over(self, steps: int | None) -> Self:
        """The same."""
        return self

    def __call__(self, step: int) -> float:
        """That temperature."""
        return self.temperature


Rule = Callable[[float, float, float, float], float]
"""(start, end, step, steps) -> temperature, from `start` at step 0 to `end` at step `steps`."""


@final
@dataclass(frozen=True)
class Cooling:
    """From one temperature to another by one rule, then the last; see `linear`, `geometric` and `logarithmic`.

    Attributes:
        rule: how.
        start: the temperature at step 0.
        end: that of step `steps`, and of all behind it.
        steps: over how many it goes; None for those of the run.
    """

    rule: Rule
    start: float
    end: float
    steps: int | None = None

    def __post_init__(self) -> None:
        keep(self, start=_temperature("start", self.start), end=_temperature("end", self.end), steps=_steps(self.steps))

    def over(self, steps: int | None) -> Self:
        """Over so many steps, if it has no number of its own."""
        return replace(self, steps=steps or None) if self.steps is None else self

    def __call__(self, step: int) -> float:
        """The temperature of a step."""
        steps = _known(self, self.steps)
        return self.end if step >= steps else self.rule(self.start, self.end, step, steps)


@final
@dataclass(frozen=True)
class Piecewise:
    """Through given temperatures at given shares of a run, in equal ratios in between; see `piecewise`.

    Attributes:
        points: (share, temperature) pairs in the order of the shares, which begin with 0 and end with 1.
        steps: over how many it goes; None for those of the run.
    """

    points: tuple[tuple[float, float], ...]
    steps: int | None = None

    def over(self, steps: int | None) -> Self:
        """Over so many steps, if it has no number of its own."""
        return replace(self, steps=steps or None) if self.steps is None else self

    def __call__(self, step: int) -> float:
        """The temperature of a step."""
        share = step / _known(self, self.steps)
        for (first, start), (last, end) in pairwise(self.points):
            if share < last:
                return _geometric(start, end, share - first, last - first)
        return self.points[-1][1]


@told
def constant(temperature: float) -> Schedule:
    """The same temperature at every step.

    Args:
        temperature: T of exp(-E / T), above 0.

    >>> constant(1.5)(10)
    1.5
    """
    return Constant(_temperature("temperature", temperature))


@told
def linear(start: float, end: float, steps: int | None = None) -> Schedule:
    """From `start` to `end` in equal differences over `steps` steps, those of the run by default; then `end`.

    Args:
        start: temperature at step 0.
        end: temperature at step `steps` and after it.
        steps: over how many steps; by default those of the run.

    >>> cool = linear(3.0, 1.0, steps=4)
    >>> [cool(step) for step in range(6)]
    [3.0, 2.5, 2.0, 1.5, 1.0, 1.0]
    """
    return Cooling(_linear, start, end, steps)


@told
def geometric(start: float, end: float, steps: int | None = None) -> Schedule:
    """From `start` to `end` in equal ratios over `steps` steps, those of the run by default; then `end`.

    Kirkpatrick et al. (1983).

    Args:
        start: temperature at step 0.
        end: temperature at step `steps` and after it.
        steps: over how many steps; by default those of the run.

    >>> cool = geometric(4.0, 1.0)  # over the whole run
    >>> [over(cool, 2)(step) for step in range(4)]
    [4.0, 2.0, 1.0, 1.0]
    """
    return Cooling(_geometric, start, end, steps)


@told
def logarithmic(start: float, end: float, steps: int | None = None) -> Schedule:
    """From `start` to `end` as one over a logarithm of the step, over `steps` steps or by default the run; then `end`.

    The form of Geman and Geman (1984), T = C / log(1 + step), scaled to its two ends: 1 / T goes from 1 / start to
    1 / end in equal parts of log(1 + step). Steep at first, slow at last.

    Args:
        start: temperature at step 0.
        end: temperature at step `steps` and after it.
        steps: over how many steps; by default those of the run.

    >>> cool = logarithmic(4.0, 1.0, steps=3)
    >>> [round(cool(step), 3) for step in range(5)]
    [4.0, 1.6, 1.184, 1.0, 1.0]
    """
    return Cooling(_logarithmic, start, end, steps)


@told
def piecewise(temperatures: Mapping[float, float], steps: int | None = None) -> Schedule:
    """Through temperatures at shares of the run, in equal ratios in between; then the last.

    Args:
        temperatures: share of the run that is over, from 0 to 1 -> temperature there.
        steps: over how many it goes; by default those of the run.

    Raises:
        ValueError: temperatures that do not say how to begin, at 0, and how to end, at 1.

    >>> cool = piecewise({0: 4.0, 0.5: 1.0, 1: 1.0})  # cooled in the first half
    >>> [over(cool, 4)(step) for step in range(6)]
    [4.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    """
    example = "{0: 2.0, 0.8: 0.1, 1: 0.1}"
    given = mapping("temperatures", temperatures, "temperatures by shares of the run", example)
    must = "be a share of the run, from 0 to 1"
    points = sorted(
        (float(real("share", share, must, lambda x: 0 <= x <= 1)), _temperature(f"temperatures[{shown(share)}]", one))
        for share, one in given.items()
    )
    if points[0][0] != 0 or points[-1][0] != 1 or len(points) < 2:
        raise ValueError(
            f"temperatures={shown(temperatures)} must say how to begin, at 0, and how to end, at 1: {example}"
        )
    return Piecewise(tuple(points), _steps(steps))


def _linear(start: float, end: float, step: float, steps: float) -> float:
    return start + (end - start) * step / steps


def _geometric(start: float, end: float, step: float, steps: float) -> float:
    return float(start * (end / start) ** (step / steps))


def _logarithmic(start: float, end: float, step: float, steps: float) -> float:
    return 1 / (1 / start + (1 / end - 1 / start) * math.log(1 + step) / math.log(1 + steps))


def _known(schedule: Cooling | Piecewise, steps: int | None) -> int:
    """The steps that a schedule goes over."""
    if steps is None:
        raise ValueError(
            f"{schedule!r} goes over the whole run, and nobody said how many steps that has: generate does; else step "
            "the sampler with rng.at(step, total=steps), or give the schedule a number of steps"
        )
    return steps


def _steps(steps: int | None) -> int | None:
    """A number of steps, checked."""
    return None if steps is None else whole("steps", steps, 1, unit="step")


def _temperature(name: str, value: float) -> float:
    """A temperature, checked."""
    remedy = ", above 0 and finite; for a pure search end at a small value such as 0.01"
    temperature: float = positive(name, value, "number", remedy)
    return temperature
