"""ArviZ (Kumar et al., 2019), loaded when it is first needed: 0.23, the last for Python 3.11, or 1.x.

They differ in three places, and only this module knows: how groups of draws become one object, where Pareto smoothing
is, and a notice that 0.23 shows on import. `rhat`, `ess` and `mcse` of an array are called the same way.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray


def arviz() -> Any:
    """The module.

    Raises:
        ImportError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            # a notice about its next version, shown on every import
            warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
            return import_module("arviz")
    except ImportError as error:
        raise ImportError("statistics of a run need ArviZ: pip install 'textsearch-sampling[diagnostics]'") from error


def groups_of_draws(
    groups: Mapping[str, Mapping[str, NDArray[Any]]],
    coordinates: Mapping[str, Sequence[Any]],
    dimensions: Mapping[str, Sequence[str]],
    attributes: Mapping[str, Any],
) -> Any:
    """`InferenceData` (0.23) or `xarray.DataTree` (1.x) of group -> variable -> (chain, draw, ...)."""
    az = arviz()
    given = {"coords": dict(coordinates), "dims": dict(dimensions), "save_warmup": True}
    with warnings.catch_warnings():
        # the axes are right by construction, however few the steps
        warnings.filterwarnings("ignore", message="More chains|Found chain dimension", category=UserWarning)
        data = az.from_dict(**groups, **given) if _before_1(az) else az.from_dict(groups, **given)
    data.attrs.update(attributes)
    return data


def pareto_k(log_weights: NDArray[np.float64]) -> float:
    """The shape of the tail of importance weights, by Pareto smoothing (Vehtari et al., 2024); nan without a tail."""
    az = arviz()
    if _before_1(az):
        return float(az.psislw(log_weights)[1])
    smooth = import_module("arviz_stats.base").array_stats.psislw
    try:
        # it is told log-likelihoods, whose weights are their inverses
        return float(smooth(-log_weights)[1])
    except ValueError:
        # all weights of the tail are the same
        return math.nan


def _before_1(az: Any) -> bool:
    return int(az.__version__.split(".")[0]) < 1
