"""Schedules: functions from the step to the temperature."""

from __future__ import annotations

from collections.abc import Callable

Schedule = Callable[[int], float]


def _positive(**temperatures: float) -> None:
    for name, value in temperatures.items():
        if not value > 0:
            raise ValueError(f"{name}={value} must be above 0; for a pure search end at a small value such as 0.01")


def constant(temperature: float) -> Schedule:
    """The same temperature at every step.

    >>> constant(1.5)(10)
    1.5
    """
    _positive(temperature=temperature)
    return lambda step: temperature


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` to `end` in equal differences over `steps` steps, then `end`.

    >>> cool = linear(3.0, 1.0, 4)
    >>> [cool(step) for step in range(6)]
    [3.0, 2.5, 2.0, 1.5, 1.0, 1.0]
    """
    _positive(start=start, end=end, steps=steps)
    return lambda step: end if step >= steps else start + (end - start) * step / steps


def geometric(start: float, end: float, steps: int) -> Schedule:
    """From `start` to `end` in equal ratios over `steps` steps, then `end` (Kirkpatrick et al., 1983).

    >>> [geometric(4.0, 1.0, 2)(step) for step in range(4)]
    [4.0, 2.0, 1.0, 1.0]
    """
    _positive(start=start, end=end, steps=steps)
    return lambda step: end if step >= steps else float(start * (end / start) ** (step / steps))
