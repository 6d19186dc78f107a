"""Samplers: ways to draw texts from exp(-E / T), or to search for a low E."""

from samplers.annealing import SimulatedAnnealing
from samplers.cycle import Cycle
from samplers.metropolis_hastings import MetropolisHastings
from samplers.tempering import ParallelTempering, log_partition, round_trips, swap_rates

__all__ = [
    "Cycle",
    "MetropolisHastings",
    "ParallelTempering",
    "SimulatedAnnealing",
    "log_partition",
    "round_trips",
    "swap_rates",
]
