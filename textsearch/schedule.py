"""Schedules: functions from the step to the temperature."""

from __future__ import annotations

import math
from collections.abc import Callable

from textsearch.checks import positive, whole

Schedule = Callable[[int], float]


def _ends(start: float, end: float, steps: int) -> tuple[float, float, int]:
    """Both temperatures and the steps between them, checked."""
    return _temperature("start", start), _temperature("end", end), whole("steps", steps, 1, unit="step")


def _temperature(name: str, value: float) -> float:
    """A temperature, checked."""
    remedy = ", above 0 and finite; for a pure search end at a small value such as 0.01"
    temperature: float = positive(name, value, "number", remedy)
    return temperature


def constant(temperature: float) -> Schedule:
    """The same temperature at every step.

    >>> constant(1.5)(10)
    1.5
    """
    temperature = _temperature("temperature", temperature)
    return lambda step: temperature


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` to `end` in equal differences over `steps` steps, then `end`.

    >>> cool = linear(3.0, 1.0, 4)
    >>> [cool(step) for step in range(6)]
    [3.0, 2.5, 2.0, 1.5, 1.0, 1.0]
    """
    start, end, steps = _ends(start, end, steps)
    return lambda step: end if step >= steps else start + (end - start) * step / steps


def geometric(start: float, end: float, steps: int) -> Schedule:
    """From `start` to `end` in equal ratios over `steps` steps, then `end` (Kirkpatrick et al., 1983).

    >>> [geometric(4.0, 1.0, 2)(step) for step in range(4)]
    [4.0, 2.0, 1.0, 1.0]
    """
    start, end, steps = _ends(start, end, steps)
    return lambda step: end if step >= steps else float(start * (end / start) ** (step / steps))


def logarithmic(start: float, end: float, steps: int) -> Schedule:
    """From `start` to `end` over `steps` steps as one over a logarithm of the step, then `end`.

    The form of Geman and Geman (1984), T = C / log(1 + step), scaled to its two ends: 1 / T goes from 1 / start to
    1 / end in equal parts of log(1 + step). Steep at first, slow at last.

    >>> cool = logarithmic(4.0, 1.0, 3)
    >>> [round(cool(step), 3) for step in range(5)]
    [4.0, 1.6, 1.184, 1.0, 1.0]
    """
    start, end, steps = _ends(start, end, steps)
    first, last = 1 / start, 1 / end
    return lambda step: (
        end if step >= steps else 1 / (first + (last - first) * math.log(1 + step) / math.log(1 + steps))
    )
