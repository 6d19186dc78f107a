"""Samplers: ways to draw texts from exp(-E / T), or to search for a low E."""

from samplers.annealing import SimulatedAnnealing
from samplers.cycle import Cycle
from samplers.delayed_acceptance import DelayedAcceptance
from samplers.gibbs import Gibbs, random_scan, systematic_scan
from samplers.masked_resampling import MaskedResampling
from samplers.metropolis_hastings import MetropolisHastings
from samplers.multiple_try import MultipleTry
from samplers.tempering import ParallelTempering, log_partition, round_trips, swap_rates

__all__ = [
    "Cycle",
    "DelayedAcceptance",
    "Gibbs",
    "MaskedResampling",
    "MetropolisHastings",
    "MultipleTry",
    "ParallelTempering",
    "SimulatedAnnealing",
    "log_partition",
    "random_scan",
    "round_trips",
    "swap_rates",
    "systematic_scan",
]
