"""Adaptive weighted rejection: populations whose weighted means have no bias, and twins that have one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers import AdaptiveWeightedRejection, log_normaliser, weighted_rejection
from tests.hinted import Hinted
from tests.reference import Floats
from tests.samplers.laws import Draws
from tests.samplers.test_annealed_smc import functions, populations_of
from tests.samplers.test_particle_gibbs import masked_toy
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee, Info, Sampler
from textsearch.testing import TableCausalLM, letters

TOY, MODEL = masked_toy("abcd", 2, 5, 0.8, forbidden=0.6, temperature=0.8)
SAMPLER = AdaptiveWeightedRejection(MODEL, max_length=2, ess=0.8)
POPULATIONS, PARTICLES = 1000, 4


@dataclass(frozen=True, eq=False)
class Broken:
    """The engine's sampler with one of its parts replaced."""

    honest: Sampler[Any]
    place: Any
    part: str
    replacement: Callable[..., Any]
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
        with patch.object(self.place, self.part, self.replacement):
            return self.honest.step(objective, state, rng, temperature)


_RESAMPLED = AdaptiveWeightedRejection._resampled


def weights_kept(sampler: Any, populations: Any, log_weights: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    """Texts were drawn by their weights, and go on with those of the texts that they came from."""
    source, _ = _RESAMPLED(sampler, populations, log_weights, *others)
    return source, log_weights[source]


ESTIMATES: dict[str, Callable[[Sequence[float]], float]] = {
    "no correction": lambda left: 0.0,
    "as though failures came back": lambda left: -math.log(len(left)),
    "what is left at the end, squared": lambda left: 2 * math.log(left[-1]),
    "what is left at the end": lambda left: math.log(left[-1]),
}
"""Twins of `log_chance`."""


def estimates(sampler: Any) -> Floats:
    """(R, F) the mean of w f over each population."""
    batch = populations_of(TOY, POPULATIONS, PARTICLES)
    with torch.inference_mode():
        state = sampler.init(TOY.objective, batch)
        state, info = sampler.step(TOY.objective, state, Rng.start(5, len(batch)).at(2), TOY.temperature)
    log_weights = info.recorded["log weights"]
    numbers = TOY.number(state.batch)
    assert numbers[(log_weights > -math.inf).numpy()].min() >= 0
    values = functions(TOY)[:, numbers] * log_weights.exp().numpy()
    mean = np.asarray(values.reshape(len(values), -1, PARTICLES).mean(2).T, dtype=np.float64)
    # log Z is that of the weights
    np.testing.assert_allclose(info.recorded["log partition"].exp().numpy()[::PARTICLES], mean[:, 0], rtol=1e-9)
    return mean


DRAWS = Draws(
    SAMPLER,
    estimates,
    functions(TOY) @ np.exp(-TOY.energies / TOY.temperature),
    {
        "weights without a correction": Broken(SAMPLER, weighted_rejection, "log_chance", ESTIMATES["no correction"]),
        "weights kept after resampling": Broken(SAMPLER, AdaptiveWeightedRejection, "_resampled", weights_kept),
    },
)


def walks(law: Floats, passing: Sequence[bool], runs: int) -> tuple[Tensor, Tensor, Tensor]:
    """(runs,) tokens, z and tests of one place, where token v passes if `passing[v]`."""
    found = {(0, token): passes for token, passes in enumerate(passing)}
    unused: Any = None
    test = weighted_rejection._Test(unused, unused, unused, [[]], [0], found, 1)
    laws = torch.from_numpy(np.log(law))[None]
    which = torch.zeros(runs, dtype=torch.int64)
    token, log_z, tested = weighted_rejection._first_that_passes(laws, which, test, Rng.start(3, runs))
    return token, log_z.exp(), tested


@pytest.mark.parametrize("broken", ESTIMATES.values(), ids=ESTIMATES.keys())
def test_other_estimates_of_the_chance_have_a_bias(broken: Callable[[Sequence[float]], float]) -> None:
    law = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    with patch.object(weighted_rejection, "log_chance", broken):
        _, z, _ = walks(law, [True, False, True, False, False], 4000)
    assert abs(float(z.mean()) - 0.55) > 10 * float(z.std()) / math.sqrt(len(z))


@pytest.mark.parametrize("passing", [[1, 0, 1, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 1, 0, 0, 0]])
def test_z_has_no_bias_and_does_not_depend_on_the_token(passing: list[int]) -> None:
    law = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    token, z, tested = walks(law, [bool(one) for one in passing], 8000)
    chance = law * np.array(passing)
    for v in range(5):
        weight = z * (token == v)
        error = float(weight.std()) / math.sqrt(len(z))
        assert abs(float(weight.mean()) - chance[v]) < 4.5 * error + 1e-12
    assert int(tested.max()) <= 5
    if all(passing):
        assert z.eq(1).all() and tested.le(2).all()


def test_where_nothing_passes_the_weight_is_0() -> None:
    _, z, tested = walks(np.array([0.5, 0.3, 0.2]), [False] * 3, 50)
    assert not z.any()
    assert tested.eq(3).all()


def test_rare_tokens_are_found() -> None:
    """One token in a million passes: all that is likelier fails first."""
    law = np.array([0.6, 0.3, 0.1 - 1e-6, 1e-6])
    token, z, _ = walks(law, [False, False, False, True], 4000)
    assert token.eq(3).all()
    # at most once in a run is it drawn before its time, so that z is its probability
    assert abs(float(z.mean()) / 1e-6 - 1) < 0.05


@pytest.mark.parametrize("failing", [[1.0], [0.7, 0.3], [0.5, 0.3, 0.2], [1 - 1e-13, 1e-13]])
def test_tokens_beside_which_nothing_seems_left_keep_their_weight(failing: list[float]) -> None:
    """A power sharpens a law until a token that fails has all of it but for what no difference of numbers can tell."""
    law = np.array([*failing, 3e-25])
    token, z, _ = walks(law, [False] * len(failing) + [True], 2000)
    assert token.eq(len(failing)).all()
    # no run draws it before the others have failed: its z is its probability
    np.testing.assert_allclose(z.numpy(), 3e-25, rtol=1e-6)


def picture(batch: Batch, rng: Rng, temperature: Any = 0.9) -> list[list[Any]]:
    """All that can be seen of two steps, row by row."""
    objective = TOY.objective
    state, found = SAMPLER.init(objective, batch), []
    for step in range(2):
        state, info = SAMPLER.step(objective, state, rng.at(step), temperature)
        numbers = (state.evaluation.energy, info.accepted, info.log_ratio, *info.recorded.values())
        found.append([state.batch.token_lists(), *(part.tolist() for part in numbers)])
    return found


def test_populations_do_not_depend_on_the_rest_of_the_batch() -> None:
    chains = 12
    batch = MODEL.vocabulary.encode(["", "d", "ac", "b"]).repeat(chains)
    frozen = torch.zeros_like(batch.editable)
    frozen[chains : 2 * chains, 0] = True
    # the last population is smaller than the others
    batch = batch.frozen(frozen).rows(range(4 * chains - 5))
    rng = Rng.start(21, len(batch))
    whole = picture(batch, rng)
    alone = [list(range(chains * number, min(chains * (number + 1), len(batch)))) for number in range(4)]
    shuffled = torch.randperm(len(batch), generator=torch.Generator().manual_seed(1)).tolist()
    for rows in (*alone, alone[3] + alone[0], shuffled):
        expected = [[[part[row] for row in rows] for part in step] for step in whole]
        assert picture(batch.rows(rows), rng.rows(rows)) == expected
    assert picture(batch.widen(7), rng) == whole
    assert all(row[0] == 4 for row in whole[-1][0][chains : 2 * chains])


def test_hints_are_not_asked() -> None:
    """A mask that is too narrow would leave texts out of every estimate."""
    sees = Hinted(frozenset({(1,), (1, 2)}), 3, hidden=frozenset({((1,), 2)}))
    model = TableCausalLM.random(letters("ab"), seed=0)
    result = generate(sees, AdaptiveWeightedRejection(model, max_length=2), [""], steps=20, seed=0, chains=4, thin=1)
    assert {text for texts in result.samples for text in texts} == {"a", "ab"}
    assert sees.asked == []
    estimate = log_normaliser(result.recorded["log partition"][:, 0])
    assert abs(estimate.value - math.log(2)) < 4 * estimate.error


def test_without_proofs_texts_fail_at_their_end() -> None:
    blind = Hinted(frozenset({(1,), (1, 2)}), 3, proves=False)
    model = TableCausalLM.random(letters("ab"), seed=0)
    result = generate(blind, AdaptiveWeightedRejection(model, max_length=2), [""], steps=80, seed=0, chains=4)
    estimate = log_normaliser(result.recorded["log partition"][:, 0])
    assert abs(estimate.value - math.log(2)) < 4 * estimate.error
    assert (result.recorded["log weights"] == -math.inf).any()


def test_an_empty_language_has_no_weight() -> None:
    empty = Hinted(frozenset(), 3)
    model = TableCausalLM.random(letters("ab"), seed=0)
    result = generate(empty, AdaptiveWeightedRejection(model, max_length=2), ["a"], steps=2, seed=0, chains=3)
    assert (result.recorded["log partition"] == -math.inf).all()
    assert (result.recorded["effective sample size"] == 0).all()
    assert result.acceptance["weighted rejection"].accepted == 0


def test_check_names_value_and_remedy() -> None:
    model: Any = TableCausalLM.random(letters("ab"), seed=0)
    with pytest.raises(ValueError, match=r"power=-1.0 must be a positive number"):
        AdaptiveWeightedRejection(model, power=-1.0)
    with pytest.raises(ValueError, match=r"ess=2.0 must be a share of the particles"):
        AdaptiveWeightedRejection(model, ess=2.0)
    batch = model.vocabulary.encode(["ab", "ba"])
    torn = batch.frozen(batch.tokens == 2)
    with pytest.raises(ValueError, match="AdaptiveWeightedRejection keeps what a text begins with and no more"):
        AdaptiveWeightedRejection(model).check(torn)
    same = replace(batch, inputs=torch.zeros(2, dtype=torch.int64))
    flat = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")
    with pytest.raises(ValueError, match="input 0 has several starting texts, 'ab' and 'ba'"):
        AdaptiveWeightedRejection(model).init(flat, same)
