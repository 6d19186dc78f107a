"""Lines of the table for kernels whose draws carry weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from samplers import ImportanceSampling
from tests.reference import Floats
from tests.samplers import test_annealed_smc as smc
from tests.samplers import test_importance_sampling as importance
from tests.samplers.fresh_toys import FRESH, Fresh
from tests.samplers.laws import CHAINS, Draws
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee, Info, Sampler

Weigh = Callable[[Fresh, NDArray[np.int64], Floats], Floats]


@dataclass(frozen=True, eq=False)
class Reweighed:
    """Importance sampling whose weights are tampered with."""

    honest: ImportanceSampling
    fresh: Fresh
    weigh: Weigh
    guarantee: Guarantee = Guarantee.BIASED

    @property
    def vocabulary(self) -> Vocabulary:
        return self.honest.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.honest.kinds

    def init(self, objective: Objective, batch: Batch) -> Any:
        return self.honest.init(objective, batch)

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        state, info = self.honest.step(objective, state, rng, temperature)
        numbers, log_weights = self.fresh.toy.number(state.batch), info.recorded["log weights"].numpy()
        wrong = torch.from_numpy(self.weigh(self.fresh, numbers, log_weights))
        return state, replace(info, recorded={"log weights": wrong})


def weight_of_each_text(fresh: Fresh, sampler: Sampler[Any]) -> Floats:
    """(R, S) the weight of a draw where it is that text, else 0; its mean is exp(-E / T)."""
    toy = fresh.toy
    with torch.inference_mode():
        state = sampler.init(toy.objective, toy.batch([toy.states.index(toy.state(toy.start))] * CHAINS))
        state, info = sampler.step(toy.objective, state, Rng.start(3, CHAINS).at(1), toy.temperature)
    numbers, values = toy.number(state.batch), np.zeros((CHAINS, len(toy.states) + 1))
    # a draw that failed is none of the texts
    values[np.arange(CHAINS), numbers] = info.recorded["log weights"].exp().numpy()
    return values[:, :-1]


def importance_sampling(name: str) -> Draws:
    """Importance sampling on a toy."""
    fresh = FRESH[name]
    honest = ImportanceSampling(fresh.proposal)
    faults: dict[str, Weigh] = {
        "log q added, not taken away": importance.inverted,
        "log q left out": importance.q_forgotten,
        "temperature left out": importance.temperature_forgotten,
    }
    return Draws(
        honest,
        lambda sampler: weight_of_each_text(fresh, sampler),
        np.exp(-fresh.toy.energies / fresh.toy.temperature),
        {what: Reweighed(honest, fresh, weigh) for what, weigh in faults.items()},
    )


def annealed_smc(name: str) -> Draws:
    """Annealed populations: the mean of w f over each, for f = 1, whose mean is Z, and three others."""
    case = smc.CASES[name]
    toy, steps = case.toy, len(smc.LADDER)

    def estimates(sampler: Any) -> Floats:
        state = smc.stages(case, sampler, smc.POPULATIONS, steps)[-1]
        values = smc.functions(toy)[:, toy.number(state.batch)] * state.log_weights.exp().numpy()
        return np.asarray(values.reshape(len(values), -1, case.particles).mean(2).T, dtype=np.float64)

    return Draws(
        case.sampler(),
        estimates,
        smc.functions(toy) @ np.exp(-toy.energies / toy.temperature),
        {
            "weights after the move": smc.twin(case, moves_first=True),
            "log q left out": smc.twin(case, knows_log_q=False),
            "weights kept after resampling": smc.twin(case, resets_weights=False),
            "moves of the step before": smc.twin(case, moves_at_the_new_temperature=False),
        },
    )
