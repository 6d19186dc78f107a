"""Samplers: ways to draw texts from exp(-E / T), or to search for a low E."""

from samplers.adaptive_rejection import AdaptiveRejection, BoundedNormaliser, log_normaliser_bounded
from samplers.annealed_smc import AnnealedSMC
from samplers.block_power import BlockPower
from samplers.composites.adaptive_temperature import AdaptiveTemperature
from samplers.composites.annealing import SimulatedAnnealing
from samplers.composites.cycle import Cycle
from samplers.composites.ensemble import Ensemble
from samplers.composites.ladder import TunedLadder, tuned
from samplers.composites.mixture import Mixture
from samplers.composites.powers import PowerTempering
from samplers.composites.restarts import Restarts, RestartsWhenStuck, from_best, from_start
from samplers.composites.tempering import ParallelTempering, log_partition, round_trips, swap_rates
from samplers.composites.thinning import Thinned
from samplers.delayed_acceptance import DelayedAcceptance
from samplers.gibbs import Gibbs, random_scan, systematic_scan
from samplers.importance_sampling import ImportanceSampling
from samplers.iterated_resampling import IteratedResampling
from samplers.masked_decoding import MaskedDecoding
from samplers.masked_resampling import MaskedResampling
from samplers.metropolis_hastings import MetropolisHastings
from samplers.multiple_try import MultipleTry
from samplers.particle_gibbs import ParticleGibbs
from samplers.quasi_rejection import Divergence, QuasiRejection, tvd_and_acceptance
from samplers.rejection import Rejection, accepted_texts, guess_log_bound
from samplers.starts.masks import all_masks, random_lengths
from samplers.weighted_rejection import AdaptiveWeightedRejection
from samplers.weights import (
    Estimate,
    Weights,
    effective_sample_size,
    importance_summary,
    log_normaliser,
    pareto_shape,
    resampled_texts,
    systematic_resampling,
    weighted_mean,
)

__all__ = [
    "AdaptiveRejection",
    "AdaptiveTemperature",
    "AdaptiveWeightedRejection",
    "AnnealedSMC",
    "BlockPower",
    "BoundedNormaliser",
    "Cycle",
    "DelayedAcceptance",
    "Divergence",
    "Ensemble",
    "Estimate",
    "Gibbs",
    "ImportanceSampling",
    "IteratedResampling",
    "MaskedDecoding",
    "MaskedResampling",
    "MetropolisHastings",
    "Mixture",
    "MultipleTry",
    "ParallelTempering",
    "ParticleGibbs",
    "PowerTempering",
    "QuasiRejection",
    "Rejection",
    "Restarts",
    "RestartsWhenStuck",
    "SimulatedAnnealing",
    "Thinned",
    "TunedLadder",
    "Weights",
    "accepted_texts",
    "all_masks",
    "effective_sample_size",
    "from_best",
    "from_start",
    "guess_log_bound",
    "importance_summary",
    "log_normaliser",
    "log_normaliser_bounded",
    "log_partition",
    "pareto_shape",
    "random_lengths",
    "random_scan",
    "resampled_texts",
    "round_trips",
    "swap_rates",
    "systematic_resampling",
    "systematic_scan",
    "tuned",
    "tvd_and_acceptance",
    "weighted_mean",
]
