"""Populations of annealed SMC whose draws are all forbidden: dead, and part of the mean."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from samplers import AnnealedSMC, Gibbs
from tests.samplers.test_annealed_smc import FORBIDDEN, LADDER, MODEL, POPULATIONS, Case, Letters, stages, z_scores
from textsearch import FunctionObjective, generate


@pytest.mark.parametrize("inverse_temperatures", [None, LADDER], ids=["chosen on the way", "given"])
def test_a_population_without_a_possible_text_is_dead(inverse_temperatures: tuple[float, ...] | None) -> None:
    never = FunctionObjective(lambda texts: [math.inf if len(text) == 2 else 0.0 for text in texts], name="never")
    sampler = AnnealedSMC(Letters(), Gibbs(MODEL, 3), inverse_temperatures=inverse_temperatures)
    told = (
        r"input 1, 'ab': all 8 draws from Letters .* the first is .* log Z is -inf, as is that of 1 of 2 .* more chains"
    )
    with pytest.warns(RuntimeWarning, match=told):
        result = generate(never, sampler, ["abc", "ab"], steps=4, seed=0, chains=8)
    assert (result.recorded["log partition"][:, 8:] == -math.inf).all()
    assert (result.recorded["log weights"][:, 8:] == -math.inf).all()
    assert (result.recorded["effective sample size"][:, 8:] == 0).all()
    assert (result.energies[8:] == math.inf).all()
    assert (result.recorded["inverse temperature"][-1] == 1).all()
    # the other is as it would be alone
    alone = generate(never, sampler, ["abc"], steps=4, seed=0, chains=8)
    assert alone.texts == result.texts[:8]
    assert alone.recorded["log partition"].tolist() == result.recorded["log partition"][:, :8].tolist()
    with pytest.warns(RuntimeWarning, match="log Z is -inf, as is that of 1 of 1 populations"):
        nothing = generate(never, sampler, ["ab"], steps=4, seed=0, chains=8)
    assert (nothing.recorded["log partition"] == -math.inf).all()


@pytest.mark.filterwarnings("ignore:input .* are forbidden:RuntimeWarning")
def test_estimates_have_no_bias_where_populations_die() -> None:
    """The twin looks at those alone that live, as one would that stops at a population without a possible text."""
    case = Case(FORBIDDEN, failing=0.6, particles=2)
    states = stages(case, case.sampler(), POPULATIONS, len(LADDER) + 1)
    dead = states[-1].log_partition == -math.inf
    assert 0.1 < float(dead.double().mean()) < 0.6
    assert all(torch.equal(state.log_partition == -math.inf, dead) for state in states)
    assert not any(bool(state.log_weights.isnan().any()) for state in states)
    assert np.abs(z_scores(case, states)).max() < 4
    living = [
        replace(state, batch=state.batch.rows(~dead), log_weights=state.log_weights[~dead], log_partition=dead)
        for state in states
    ]
    # 6.5 standard errors are p < 1e-10
    assert np.abs(z_scores(case, living))[:, 0].min() > 6.5
