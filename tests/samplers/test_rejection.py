"""Rejection sampling: its transition matrix, exact independent draws, bounds that do not hold; and its broken twins."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray
from torch import Tensor

from objectives import Fluency
from samplers.composites.cycle import Cycle
from samplers.composites.tempering import ParallelTempering
from samplers.metropolis_hastings import MetropolisHastings
from samplers.proposals import Fill, FromLeft, Replace, Uniform, template
from samplers.rejection import Rejection, accepted_texts, guess_log_bound
from tests.reference import Floats
from tests.samplers.fresh_toys import FRESH, Fresh, every_fresh, fill_toy
from tests.samplers.laws import FAULT, chi_square, fault_p_value, p_value, run_from_target
from textsearch import generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective, Objective, evaluate
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info
from textsearch.testing import TableCausalLM, TableMaskedLM, letters

RUNS = 4096


def rejection_matrix(fresh: Fresh, log_bound: float) -> Floats:
    """(S, S): a draw is taken with probability weight / bound, whatever stood there."""
    taken = fresh.law * fresh.weights * math.exp(-log_bound)
    return np.asarray(taken[None] + np.eye(len(taken)) * (1 - taken.sum()), dtype=np.float64)


def accepted(
    fresh: Fresh, sampler: Rejection, steps: int = 2, chains: int = 8_000
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(T, B) state numbers after each step from the start of the toy, and whether a draw was taken."""
    start = fresh.toy.batch([fresh.toy.states.index(fresh.toy.state(fresh.toy.start))] * chains)
    numbers, took = [], []
    with torch.inference_mode():
        state = sampler.init(fresh.toy.objective, start)
        for step in range(steps):
            rng = Rng.start(6, chains).at(step)
            state, info = sampler.step(fresh.toy.objective, state, rng, fresh.toy.temperature)
            numbers.append(fresh.toy.number(state.batch))
            took.append(info.accepted.numpy())
            assert torch.equal(info.accepted, info.accepted)
    return np.stack(numbers), np.stack(took)


@every_fresh
def test_reference_leaves_the_target_as_it_is(fresh: Fresh) -> None:
    for slack in (0.0, 0.5):
        matrix = rejection_matrix(fresh, fresh.log_bound + slack)
        assert matrix.min() >= -1e-12
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
        assert np.abs(fresh.toy.target @ matrix - fresh.toy.target).max() < 1e-10


@every_fresh
def test_kernel_moves_with_the_reference_s_probabilities(fresh: Fresh) -> None:
    here = range(len(fresh.toy.states))
    sampler = Rejection(fresh.proposal, fresh.log_bound)
    with torch.inference_mode():
        batch = fresh.toy.batch(here).repeat(RUNS // 2)
        state = sampler.init(fresh.toy.objective, batch)
        after, info = sampler.step(fresh.toy.objective, state, Rng.start(11, len(batch)).at(2), fresh.toy.temperature)
    reached = fresh.toy.number(after.batch)
    assert reached.min() >= 0
    counts = np.zeros((len(here), len(here)))
    np.add.at(counts, (np.repeat(here, RUNS // 2), reached), 1)
    expected = rejection_matrix(fresh, fresh.log_bound)
    error = np.sqrt(np.clip(expected * (1 - expected), 0, None) / (RUNS // 2))
    assert (np.abs(counts / (RUNS // 2) - expected) < 7 * error + 0.003).all()
    assert not counts[expected == 0].any()
    assert after.evaluation.energy.tolist() == fresh.toy.energies[reached].tolist()
    assert not info.log_ratio.isnan().any()
    assert (info.recorded["draw log weights"] - fresh.log_bound).tolist() == info.log_ratio.tolist()


@every_fresh
def test_chains_stay_on_the_target(fresh: Fresh) -> None:
    assert p_value(fresh.toy, Rejection(fresh.proposal, fresh.log_bound), steps=2) > 1e-4


@every_fresh
def test_accepted_texts_are_draws_from_the_target_as_often_as_the_bound_says(fresh: Fresh) -> None:
    numbers, took = accepted(fresh, Rejection(fresh.proposal, fresh.log_bound + 0.1))
    assert chi_square(numbers[took], fresh.toy.target) > 1e-4
    rate = fresh.normaliser * math.exp(-fresh.log_bound - 0.1)
    assert abs(took.mean() - rate) < 4.5 * math.sqrt(rate * (1 - rate) / took.size)


def test_accepted_texts_of_a_chain_are_independent() -> None:
    fresh = fill_toy("abc", "ab", temperature=0.8, forbidden=0.2)
    numbers, took = accepted(fresh, Rejection(fresh.proposal, fresh.log_bound), steps=2, chains=30_000)
    both = took.all(0)
    alive = np.flatnonzero(fresh.toy.target)
    first, second = np.searchsorted(alive, numbers[:, both])
    table = np.zeros((len(alive), len(alive)))
    np.add.at(table, (first, second), 1)
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-4
    # whereas texts that merely follow one another are not: most are the same
    table = np.zeros((len(fresh.toy.states), len(fresh.toy.states)))
    np.add.at(table, (numbers[0], numbers[1]), 1)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    assert scipy.stats.chi2_contingency(table).pvalue < 1e-9


@every_fresh
def test_a_bound_that_does_not_hold_is_an_error_that_names_the_one_needed(fresh: Fresh) -> None:
    toy, low = fresh.toy, fresh.log_bound - 0.3
    with pytest.raises(ValueError, match=r"log_bound=.* is too low: the draw '.*' needs at least") as error:
        accepted(fresh, Rejection(fresh.proposal, low))
    found = re.search(r"log_bound=(\S+) is too low: the draw '(.*)' needs at least (\S+)\. ", str(error.value))
    assert found is not None
    assert float(found[1]) == low
    # of these many draws one is the heaviest of all
    assert float(found[3]) == pytest.approx(fresh.log_bound, abs=1e-4)
    assert found[2] == toy.text(toy.states[int(np.argmax(fresh.weights))])
    accepted(fresh, Rejection(fresh.proposal, fresh.log_bound - 1e-9), steps=1, chains=100)


def test_a_language_model_s_own_drafts_need_no_guess() -> None:
    """q is the model of the energy: exp(-E) / q is at most 1, and drafts that obey the constraint are the target."""
    lm = TableCausalLM.random(letters("ab"), seed=2, scale=0.4)
    proposal = FromLeft(lm, prompt="b", max_length=6)
    hard = FunctionObjective(lambda texts: [0.0 if "ab" in text else math.inf for text in texts], name="ab")
    soft = FunctionObjective(lambda texts: [0.3 * text.count("b") for text in texts], name="few b")
    sampler = Rejection(proposal, log_bound=0.0)
    result = generate(Fluency(lm, "b") + hard + soft, sampler, ["a"], steps=40, seed=0, chains=500, warm_up=1, thin=1)
    [texts] = accepted_texts(result)
    assert len(texts) == int(result.recorded["accepted"][1:].sum()) > 500
    # all texts of up to 6 letters, by the model's own score
    every = [""]
    for text in every:
        if len(text) < 6:
            every += [text + letter for letter in "ab"]
    batch = lm.vocabulary.encode(every)
    law = (-Fluency(lm, "b").energy(batch) - hard.energy(batch) - soft.energy(batch)).exp().numpy()
    assert chi_square(np.array([every.index(text) for text in texts]), law / law.sum()) > 1e-4


def test_accepted_texts_of_thinned_runs_and_of_several_inputs() -> None:
    fresh = fill_toy("abc", "ab", temperature=0.8, forbidden=0.2)
    sampler = Rejection(fresh.proposal, fresh.log_bound)
    inputs = fresh.toy.vocabulary.encode(["ab", "cc"])
    result = generate(
        fresh.toy.objective, sampler, inputs, steps=60, seed=0, chains=200, temperature=0.8, warm_up=3, thin=4
    )
    number = {fresh.toy.text(state): i for i, state in enumerate(fresh.toy.states)}
    for own in accepted_texts(result):
        assert chi_square(np.array([number[text] for text in own]), fresh.toy.target) > 1e-4
    everything = [text for texts in result.samples for text in texts]
    assert sum(map(len, accepted_texts(result))) < len(everything)
    with pytest.raises(ValueError, match="no texts were kept"):
        accepted_texts(generate(fresh.toy.objective, sampler, inputs, steps=2, seed=0, temperature=0.8))
    other = MetropolisHastings(Replace(TableMaskedLM.random(fresh.toy.vocabulary, seed=0)))
    with pytest.raises(ValueError, match="the run recorded no acceptances"):
        accepted_texts(generate(fresh.toy.objective, other, inputs.rows([0]), steps=2, seed=0))


def test_a_template_is_no_text_and_a_forbidden_start_is_left() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    only_bb = FunctionObjective(
        lambda texts: [-9.0 if "_" in text else math.inf if text != "abb" else 0.0 for text in texts], name="abb"
    )
    bound = -float(Fill(model).log_prob(model.vocabulary.encode(["abb"]).frozen(torch.tensor([[True, False, False]]))))
    result = generate(only_bb, Rejection(Fill(model), bound), template(model.vocabulary, ["a__"]), steps=40, seed=0)
    assert result.texts == result.best_texts == ["abb"]
    assert result.trace[0].tolist() == [math.inf]
    assert result.trace[-1].tolist() == [0.0]


def test_it_takes_turns_and_climbs_ladders() -> None:
    fresh = fill_toy("abc", "ab", temperature=0.8)
    exact = Rejection(fresh.proposal, fresh.log_bound)
    assert isinstance(fresh.proposal, Fill)
    turns = Cycle([exact, MetropolisHastings(Replace(fresh.proposal.mlm))])
    both = max(fresh.log_bound, float((-fresh.toy.energies / 1.6 - np.log(fresh.law)).max()))
    ladder = ParallelTempering(Rejection(fresh.proposal, both), (1, 2))
    for wrapped in (turns, ladder):
        assert chi_square(run_from_target(fresh.toy, wrapped, steps=2, chains=5000), fresh.toy.target) > 1e-4


def test_a_guess_of_the_bound() -> None:
    assert guess_log_bound(np.array([[0.0, 2.0], [-math.inf, 1.0]])) == 3.0
    assert guess_log_bound([0.5], margin=0.0) == 0.5
    with pytest.raises(ValueError, match="the largest log-weight is -inf: take more draws"):
        guess_log_bound([-math.inf])


def test_constructor_names_value_and_remedy() -> None:
    uniform = Uniform(letters("ab"))
    with pytest.raises(ValueError, match="log_bound=inf must be a finite number"):
        Rejection(uniform, math.inf)
    with pytest.raises(ValueError, match="tolerance=-1 must be a finite number of at least 0"):
        Rejection(uniform, 0.0, tolerance=-1)
    assert Rejection(uniform, 0.0).guarantee == Guarantee.EXACT
    assert Rejection(uniform, 0.0).kinds == ("rejection",)


def test_chains_do_not_depend_on_the_rest_of_the_batch() -> None:
    fresh = FRESH["fill"]
    sampler = Rejection(fresh.proposal, fresh.log_bound)
    batch, rng = fresh.toy.batch(np.arange(64) % 9), Rng.start(21, 64)

    def run(rows: list[int], width: int = 0) -> tuple[list[list[int]], list[float], list[bool]]:
        state = sampler.init(fresh.toy.objective, batch.rows(rows).widen(width))
        for step in range(4):
            state, info = sampler.step(fresh.toy.objective, state, rng.rows(rows).at(step))
        return state.batch.token_lists(), state.evaluation.energy.tolist(), info.accepted.tolist()

    whole = run(list(range(64)))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in ([5], list(range(20, 53)), order):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
    assert run(list(range(64)), width=9) == whole


Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class PlainRejection:
    """Rejection whose rule can be broken: (-E / T, log q, log bound, log u) -> whether to take the draw."""

    proposal: IndependentProposal
    log_bound: float
    rule: Rule
    guarantee: Guarantee = Guarantee.BIASED
    kinds: tuple[str, ...] = ("plain",)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.proposal.vocabulary

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState(batch, evaluate(objective, batch))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        drawn, log_prob = self.proposal.draw(state.batch, rng.fold(0))
        evaluation = evaluate(objective, drawn)
        log_ratio = torch.full_like(log_prob, self.log_bound)
        take = self.rule(-evaluation.energy / temperature, log_prob, log_ratio, rng.fold(1).uniform(0).log())
        return state.where(take, ChainState(drawn, evaluation)), Info(take, torch.zeros_like(take).long(), log_prob)


def honest(log_target: Tensor, log_q: Tensor, log_bound: Tensor, log_u: Tensor) -> Tensor:
    return log_u < log_target - log_q - log_bound


def q_forgotten(log_target: Tensor, log_q: Tensor, log_bound: Tensor, log_u: Tensor) -> Tensor:
    return log_u < log_target - log_bound


def q_inverted(log_target: Tensor, log_q: Tensor, log_bound: Tensor, log_u: Tensor) -> Tensor:
    return log_u < log_target + log_q - log_bound


def threshold(log_target: Tensor, log_q: Tensor, log_bound: Tensor, log_u: Tensor) -> Tensor:
    return log_target - log_q - log_bound > -1


def clipped(log_target: Tensor, log_q: Tensor, log_bound: Tensor, log_u: Tensor) -> Tensor:
    """A bound that does not hold, and nobody says so."""
    return log_u < log_target - log_q - (log_bound - 1)


TOY = FRESH["fill, many pieces"]


LOG_TARGET, LOG_Q = -TOY.toy.energies, np.log(TOY.law)

# each with a bound that suits it: a twin that takes nothing would stay on the target
TWINS: dict[str, tuple[Rule, float]] = {
    "q forgotten": (q_forgotten, LOG_TARGET.max()),
    "q inverted": (q_inverted, (LOG_TARGET + LOG_Q).max()),
    "a threshold": (threshold, TOY.log_bound),
    "clipped": (clipped, TOY.log_bound),
}


@pytest.mark.parametrize(("rule", "bound"), TWINS.values(), ids=TWINS.keys())
def test_broken_twin_is_caught(rule: Rule, bound: float) -> None:
    assert fault_p_value(TOY.toy, PlainRejection(TOY.proposal, bound, rule), steps=2) < FAULT


def test_honest_twin_is_the_engine_s_chain() -> None:
    plain, engine = PlainRejection(TOY.proposal, TOY.log_bound, honest), Rejection(TOY.proposal, TOY.log_bound)
    assert p_value(TOY.toy, plain, steps=2) > 1e-4
    one, other = (sampler.init(TOY.toy.objective, TOY.toy.batch(range(8)).repeat(20)) for sampler in (plain, engine))
    for step in range(5):
        rng = Rng.start(0, 160).at(step)
        one, _ = plain.step(TOY.toy.objective, one, rng)
        other, _ = engine.step(TOY.toy.objective, other, rng)
    assert one.batch.token_lists() == other.batch.token_lists()
