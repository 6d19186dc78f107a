"""The table of laws: every kernel has a line here, and all laws are checked line by line.

To add a kernel: its file, its line in the package's `__init__.py`, and one line in `KERNELS`,

    "my kernel": Case(toy, MyKernel(...), lambda: my_matrix(toy), {"what is broken": BrokenTwin(...)}),

with a `toy` from `toys.py` (all texts that the kernel leads to, under a skewed target), its transition matrix in NumPy,
from the paper and without the engine, and a twin that has one fault. Matrix and twins live in the kernel's own test
file, beside the tests of what no other kernel does; so does a `Case` that takes more than a line. Then

    python -m pytest tests/samplers/test_kernels.py -k "my kernel"
    python -m tests.samplers.table "my kernel"

A kernel that weighs its draws is a `Draws` (see `weighted.py`), whose law is that its estimates have no bias.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from samplers import IteratedResampling, MetropolisHastings, QuasiRejection, Rejection
from tests.reference import Floats
from tests.samplers import (
    test_adaptive_rejection,
    test_adaptive_temperature,
    test_annealing,
    test_block_power,
    test_constrained,
    test_copy,
    test_corrections,
    test_cycle,
    test_delayed_acceptance,
    test_ensemble,
    test_exchanges,
    test_gibbs,
    test_informed,
    test_inside_language,
    test_iterated_resampling,
    test_masked_decoding,
    test_masked_resampling,
    test_masked_suffix,
    test_mixture,
    test_multiple_try,
    test_particle_gibbs,
    test_powers,
    test_prefix,
    test_quasi_rejection,
    test_rejection,
    test_restarts,
    test_shared_space,
    test_suffix,
    test_tempering,
    test_thinning,
    test_weighted_rejection,
)
from tests.samplers.fresh_toys import FRESH, Fresh
from tests.samplers.laws import Case, Draws
from tests.samplers.test_negative_controls import TWINS
from tests.samplers.toys import TOYS, Toy, UnderLaw
from tests.samplers.weighted import annealed_smc, importance_sampling
from textsearch.proposal import Proposal
from textsearch.sampler import Guarantee


def metropolis_hastings(name: str) -> Case:
    """The proposal of a toy, accepted or not."""
    toy, twins = TOYS[name], TWINS.get(name, {})
    return Case(toy, MetropolisHastings(toy.proposal), lambda: toy.chain.matrix, twins, steps=4 if twins else 2)


def proposed(toy: Toy, twins: Mapping[str, tuple[Toy, Proposal]]) -> Case:
    """The same, with twins on several toys, of which some are on this one."""
    broken = {what: MetropolisHastings(proposal) for what, (on, proposal) in twins.items() if on is toy}
    return Case(toy, MetropolisHastings(toy.proposal), lambda: toy.chain.matrix, broken)


def rejection(fresh: Fresh) -> Case:
    """At other temperatures the bound would not hold."""
    own = test_rejection
    return Case(
        fresh.toy,
        Rejection(fresh.proposal, fresh.log_bound),
        lambda: own.rejection_matrix(fresh, fresh.log_bound),
        {what: own.PlainRejection(fresh.proposal, bound, rule) for what, (rule, bound) in own.TWINS.items()},
        heats=(1.0, 1.0),
    )


def quasi_rejection(fresh: Fresh, log_beta: float) -> Case:
    """Held against the law of its own, min(rho, beta q)."""
    law, _, _ = test_quasi_rejection.quasi_law(fresh, log_beta)

    def matrix() -> Floats:
        taken = fresh.law * np.minimum(1, fresh.weights * np.exp(-log_beta))
        return np.asarray(taken[None] + np.eye(len(taken)) * (1 - taken.sum()), dtype=np.float64)

    return Case(
        UnderLaw(fresh.toy, law),
        QuasiRejection(fresh.proposal, log_beta),
        matrix,
        {"a bound that holds, so the target's own law": Rejection(fresh.proposal, fresh.log_bound)},
        Guarantee.BIASED,
    )


def iterated_resampling(fresh: Fresh, draws: int) -> Case:
    own = test_iterated_resampling
    return Case(
        fresh.toy, IteratedResampling(fresh.proposal, draws), lambda: own.resampling_matrix(fresh, draws), own.TWINS
    )


KERNELS: dict[str, Case | Draws] = {
    "replace": metropolis_hastings("replace"),
    "insert and delete": metropolis_hastings("insert and delete"),
    "infill": metropolis_hastings("infill"),
    "rewrite": metropolis_hastings("rewrite, many pieces"),
    "usual edits": metropolis_hastings("usual edits"),
    "swap": metropolis_hastings("swap"),
    "mixture of proposals": metropolis_hastings("mixture"),
    "constrained": test_constrained.CASE,
    "suffix resampling": test_suffix.CASE,
    "suffix resampling under a mask": test_masked_suffix.CASE,
    "inside a language": test_inside_language.CASE,
    "prefix resampling": test_prefix.CASE,
    "copy": test_copy.CASE,
    "exchanges": test_exchanges.CASE,
    "locally balanced": proposed(test_informed.BALANCED, test_informed.TWINS),
    "path auxiliary": proposed(test_informed.PATH, test_informed.TWINS),
    "all sites": proposed(test_informed.ALL, test_informed.TWINS),
    "metropolised gibbs": proposed(test_informed.GIBBS, test_informed.TWINS),
    "corrections": test_corrections.CASE,
    "gibbs": test_gibbs.CASE,
    "multiple try": test_multiple_try.CASE,
    "delayed acceptance": test_delayed_acceptance.CASE,
    "iterated resampling": iterated_resampling(test_iterated_resampling.TOY, 3),
    "particle gibbs": test_particle_gibbs.CASE,
    "rejection": rejection(test_rejection.TOY),
    "adaptive rejection": test_adaptive_rejection.CASE,
    "quasi-rejection": quasi_rejection(FRESH["fill"], FRESH["fill"].log_bound - 1.5),
    "importance sampling": importance_sampling("fill, frozen"),
    "annealed smc": annealed_smc("Gibbs"),
    "adaptive weighted rejection": test_weighted_rejection.DRAWS,
    "parallel tempering": test_tempering.CASE,
    "power tempering": test_powers.CASE,
    "cycle": test_cycle.CASE,
    "mixture of samplers": test_mixture.CASE,
    "thinned": test_thinning.CASE,
    "ensemble": test_ensemble.CASE,
    "simulated annealing": test_annealing.CASE,
    "adaptive temperature": test_adaptive_temperature.CASE,
    "restarts": test_restarts.CASE,
    "restarts when stuck": test_restarts.STUCK,
    "masked resampling": test_masked_resampling.CASE,
    "masked decoding": test_masked_decoding.CASE,
    "block rule": test_block_power.CASE,
}

_MORE: dict[str, Mapping[str, Case]] = {
    "metropolis-hastings": {
        name: metropolis_hastings(name)
        for name, toy in TOYS.items()
        if not any(isinstance(case, Case) and case.space is toy for case in KERNELS.values())
    },
    "copy": test_copy.VARIANTS,
    "exchanges": test_exchanges.VARIANTS,
    "corrections": test_corrections.VARIANTS,
    "gibbs": test_gibbs.VARIANTS,
    "suffix resampling under a mask": test_masked_suffix.VARIANTS,
    "adaptive rejection": test_adaptive_rejection.VARIANTS,
    "multiple try": test_multiple_try.VARIANTS,
    "delayed acceptance": test_delayed_acceptance.VARIANTS,
    "parallel tempering": test_tempering.VARIANTS,
    "power tempering": test_powers.VARIANTS,
    "cycle": test_cycle.VARIANTS,
    "ensemble": test_ensemble.VARIANTS,
    "mixture of samplers": test_mixture.VARIANTS,
    "thinned": test_thinning.VARIANTS,
    "masked resampling": test_masked_resampling.VARIANTS,
    "shared space": test_shared_space.VARIANTS,
}

VARIANTS: dict[str, Case] = {
    f"{kernel}: {name}": case for kernel, cases in _MORE.items() for name, case in cases.items()
}
"""The same kernels on what could go wrong in them: frozen tokens, forbidden texts, words of many pieces, ..."""
