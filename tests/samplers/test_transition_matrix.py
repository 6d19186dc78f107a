"""What Metropolis-Hastings reports is the formula, for every proposal; see `kernels` for the transition matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest

from samplers import MetropolisHastings
from tests import reference
from tests.samplers.toys import TOYS, Toy
from textsearch.objective import FunctionObjective
from textsearch.rng import Rng

every_toy = pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS.keys())


def starts(toy: Toy) -> list[int]:
    """The numbers of the states that a chain may be in."""
    return [number for number, energy in enumerate(toy.energies) if energy < math.inf]


@every_toy
def test_reported_log_ratio_is_the_formula(toy: Toy) -> None:
    here = starts(toy)
    sampler = MetropolisHastings(toy.proposal)
    batch = toy.batch(here).repeat(32)
    rng = Rng.start(5, len(batch)).at(7)
    move = toy.proposal.propose(batch, rng.fold(0))
    _, info = sampler.step(toy.objective, sampler.init(toy.objective, batch), rng, toy.temperature)
    assert info.kind.tolist() == move.kind.tolist()
    proposed = toy.number(move.batch)
    no_way_back = move.log_backward == -math.inf
    for i, kind, j, ratio, null in zip(
        np.repeat(here, 32).tolist(),
        move.kind.tolist(),
        proposed.tolist(),
        info.log_ratio.tolist(),
        no_way_back.tolist(),
        strict=True,
    ):
        if null:
            # impossible, so the text stays; or an old word that the proposal could not write again
            assert ratio == -math.inf
            assert i == j or (i, kind, j) not in toy.chain.log_ratios
        elif toy.energies[j] == math.inf:
            assert ratio == -math.inf
        else:
            assert min(abs(ratio - formula) for formula in toy.chain.log_ratios[i, kind, j]) < 1e-9
    assert not no_way_back.all()


@every_toy
def test_a_step_is_accepted_as_its_ratio_says(toy: Toy) -> None:
    sampler = MetropolisHastings(toy.proposal)
    batch = toy.batch(starts(toy)).repeat(200)
    _, info = sampler.step(toy.objective, sampler.init(toy.objective, batch), Rng.start(9, len(batch)), toy.temperature)
    chance = info.log_ratio.clamp(max=0).exp().numpy()
    surprise = info.accepted.numpy() - chance
    assert abs(surprise.sum()) < 5 * math.sqrt((chance * (1 - chance)).sum()) + 1e-9
    assert info.accepted[info.log_ratio > 0].all()
    assert not info.accepted[info.log_ratio == -math.inf].any()


def test_energies_are_asked_only_where_needed() -> None:
    """A text that did not change keeps its energy, one that cannot come back is refused without one."""
    toy = TOYS["replace, old word of too many pieces"]
    asked: list[str] = []

    def listen(texts: list[str]) -> list[float]:
        asked.extend(texts)
        return [0.0] * len(texts)

    objective = FunctionObjective(listen)
    sampler = MetropolisHastings(toy.proposal)
    state = sampler.init(objective, toy.batch(starts(toy)).repeat(50))
    rng = Rng.start(0, len(state.batch))
    move = toy.proposal.propose(state.batch, rng.fold(0))
    needed = (move.log_backward > -math.inf) & ~move.batch.same_text(state.batch)
    asked.clear()
    sampler.step(objective, state, rng)
    assert asked == move.batch.rows(needed).texts()
    assert 0 < len(asked) < len(needed)


def test_the_reference_counts_states_rightly() -> None:
    assert len(TOYS["replace"].states) == 3**3
    assert len(TOYS["insert and delete"].states) == 1 + 2 + 4 + 8 + 16
    assert len(TOYS["rewrite"].states) == 2 + 4 + 8 + 16
    # one frozen b with 0, 1 or 2 letters around it
    assert len(TOYS["insert and delete, frozen"].states) == 1 + 2 * 2 + 3 * 4


def test_conditionals_are_inconsistent() -> None:
    """Two orders of filling the same pair disagree, or the order would not be tested."""
    law = TOYS["infill"].law
    assert isinstance(law, reference.SpanEditLaw)
    one, other = (law.language.fill_probability((), [(1,), (2,)], (3,), order) for order in [(0, 1), (1, 0)])
    assert abs(math.log(one / other)) > 0.05
