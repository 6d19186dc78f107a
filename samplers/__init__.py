"""Samplers: ways to draw texts from exp(-E / T), or to search for a low E."""

from samplers.annealing import SimulatedAnnealing
from samplers.metropolis_hastings import MetropolisHastings

__all__ = ["MetropolisHastings", "SimulatedAnnealing"]
