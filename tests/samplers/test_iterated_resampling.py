"""Iterated resampling against an enumerated transition matrix, and its broken twins."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers.composites.cycle import Cycle
from samplers.composites.tempering import ParallelTempering
from samplers.iterated_resampling import IteratedResampling
from samplers.metropolis_hastings import MetropolisHastings
from samplers.proposals import Fill, FromLeft, InsertDelete, Replace, Uniform, template
from samplers.weights import log_normaliser
from tests.reference import Floats
from tests.samplers.fresh_toys import FRESH, Fresh, fill_toy
from tests.samplers.laws import FAULT, chi_square, fault_p_value, p_value, run_from_target
from textsearch import generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective, Objective, evaluate
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info
from textsearch.testing import LetterVocabulary, TableCausalLM, TableMaskedLM, letters

RUNS = 4096


def resampling_matrix(fresh: Fresh, draws: int) -> Floats:
    """(S, S) by enumeration of all that can be drawn, failed draws among it."""
    states = len(fresh.law)
    law = np.append(fresh.law, 1 - fresh.law.sum())
    weights = np.append(fresh.weights, 0.0)
    matrix = np.zeros((states, states))
    # which draws come in which order does not matter
    for drawn in itertools.combinations_with_replacement(range(states + 1), draws - 1):
        counts = np.bincount(drawn, minlength=states + 1)
        ways = math.factorial(draws - 1) / math.prod(math.factorial(count) for count in counts)
        chance = ways * float(np.prod(law[list(drawn)]))
        for i in range(states):
            total = weights[i] + sum(weights[j] for j in drawn)
            if total == 0:
                matrix[i, i] += chance
                continue
            matrix[i, i] += chance * weights[i] / total
            for j in drawn:
                if weights[j] > 0:
                    matrix[i, j] += chance * weights[j] / total
    return matrix


DRAWS = (4, 3, 2, 3, 4, 2, 3, 2, 3, 4)
CASES = {f"{name}, N = {n}": (fresh, n) for (name, fresh), n in zip(FRESH.items(), DRAWS, strict=True)}
every_case = pytest.mark.parametrize(("fresh", "draws"), CASES.values(), ids=CASES.keys())


@every_case
def test_reference_obeys_detailed_balance(fresh: Fresh, draws: int) -> None:
    matrix, target = resampling_matrix(fresh, draws), fresh.toy.target
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
    flow = target[:, None] * matrix
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    assert np.abs(target @ matrix - target).max() < 1e-10


@every_case
def test_kernel_moves_with_the_reference_s_probabilities(fresh: Fresh, draws: int) -> None:
    here = range(len(fresh.toy.states))  # the forbidden ones, too: they are left at the first chance
    sampler = IteratedResampling(fresh.proposal, draws)
    runs = RUNS // 2
    with torch.inference_mode():
        batch = fresh.toy.batch(here).repeat(runs)
        state = sampler.init(fresh.toy.objective, batch)
        after, info = sampler.step(fresh.toy.objective, state, Rng.start(11, len(batch)).at(2), fresh.toy.temperature)
    reached = fresh.toy.number(after.batch)
    assert reached.min() >= 0
    counts = np.zeros((len(here), len(here)))
    np.add.at(counts, (np.repeat(here, runs), reached), 1)
    expected = resampling_matrix(fresh, draws)
    error = np.sqrt(np.clip(expected * (1 - expected), 0, None) / runs)
    assert (np.abs(counts / runs - expected) < 7 * error + 0.003).all()
    assert not counts[expected <= 1e-15].any()
    assert after.evaluation.energy.tolist() == fresh.toy.energies[reached].tolist()
    # what is reported
    assert not info.log_ratio.isnan().any()
    assert (info.log_ratio <= 1e-12).all()
    assert not info.accepted[info.log_ratio == -math.inf].any()
    chance = info.log_ratio.exp().numpy()
    assert abs((info.accepted.numpy() - chance).sum()) < 5 * math.sqrt((chance * (1 - chance).clip(0)).sum()) + 1e-9
    estimate = log_normaliser(info.recorded["draw log weights"])
    assert abs(estimate.value - math.log(fresh.normaliser)) < 4.5 * estimate.error


@every_case
def test_chains_stay_on_the_target(fresh: Fresh, draws: int) -> None:
    assert p_value(fresh.toy, IteratedResampling(fresh.proposal, draws), steps=2) > 1e-4


def test_more_draws_move_more() -> None:
    fresh = FRESH["fill, many pieces"]
    stay = [float(fresh.toy.target @ resampling_matrix(fresh, draws).diagonal()) for draws in (2, 3, 4, 5)]
    assert stay == sorted(stay, reverse=True)


def test_all_draws_are_evaluated_in_one_batch_and_the_current_text_is_not() -> None:
    asked: list[int] = []

    def listen(texts: list[str]) -> list[float]:
        asked.append(len(texts))
        return [0.0] * len(texts)

    sampler = IteratedResampling(Uniform(letters("ab")), 5)
    objective = FunctionObjective(listen)
    state = sampler.init(objective, sampler.vocabulary.encode(["ab", "ba", "a"]))
    sampler.step(objective, state, Rng.start(0, 3))
    assert asked == [3, 12]


def test_starts_that_q_cannot_draw_are_left_and_texts_of_others_are_kept() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    likes_masks = FunctionObjective(lambda texts: [-100.0 * ("_" in text) for text in texts], name="likes masks")
    sampler = IteratedResampling(Fill(model), 3)
    result = generate(likes_masks, sampler, template(model.vocabulary, ["a__", "__b"]), steps=2, seed=0, chains=4)
    assert not [text for text in (*result.texts, *result.best_texts) if "_" in text]
    assert all(text[0] == "a" for text in result.texts[:4])
    # written by another sampler: q = 0 and a finite energy
    causal = TableCausalLM.random(letters("ab"), seed=0)
    left = IteratedResampling(FromLeft(causal, max_length=2), 3)
    flat = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")
    batch = causal.vocabulary.encode(["abab", "ab"])
    state = ChainState(batch, evaluate(flat, batch))
    for step in range(5):
        state, info = left.step(flat, state, Rng.start(0, 2).at(step))
        assert state.batch.texts()[0] == "abab"
        assert not info.log_ratio.isnan().any()
    # nothing is possible: the text stays
    never = FunctionObjective(lambda texts: [math.inf] * len(texts), name="never")
    after, info = left.step(never, left.init(never, batch), Rng.start(0, 2))
    assert after.batch.texts() == ["abab", "ab"]
    assert info.log_ratio.tolist() == [-math.inf] * 2


def test_it_takes_turns_and_climbs_ladders() -> None:
    fresh = fill_toy("abc", "ab", temperature=0.8, forbidden=0.2)
    assert isinstance(fresh.proposal, Fill)
    sampler = IteratedResampling(fresh.proposal, 3)
    for wrapped in (
        Cycle([sampler, MetropolisHastings(Replace(fresh.proposal.mlm))]),
        ParallelTempering(sampler, (1, 3)),
    ):
        assert chi_square(run_from_target(fresh.toy, wrapped, steps=2, chains=5000), fresh.toy.target) > 1e-4


def test_a_cycle_with_moves_that_change_the_length_stays_exact() -> None:
    """Fill knows one template; what insertions and deletions make is another, with a law of its own."""
    vocabulary = letters("ab")
    model = TableMaskedLM.random(vocabulary, seed=0)
    energy = FunctionObjective(lambda texts: [0.6 * text.count("a") + 0.3 * len(text) for text in texts], name="table")
    every = ["", *vocabulary.letters] + ["".join(pair) for pair in itertools.product("ab", repeat=2)]
    target = np.exp(-energy.energy(vocabulary.encode(every)).numpy())
    target /= target.sum()
    starts = np.random.default_rng(0).choice(len(every), 5000, p=target)
    turns = Cycle([IteratedResampling(Fill(model), 3), MetropolisHastings(InsertDelete(model, max_length=2))])
    batch = vocabulary.encode(every).rows(torch.from_numpy(starts))
    with torch.inference_mode():
        state = turns.init(energy, batch)
        for step in range(4):
            state, _ = turns.step(energy, state, Rng.start(5, 5000).at(step))
    counts = np.array([state.batch.texts().count(text) for text in every])
    assert (np.abs(counts / 5000 - target) < 4.5 * np.sqrt(target * (1 - target) / 5000)).all()


def test_each_row_may_have_its_own_temperature() -> None:
    fresh = FRESH["fill"]
    sampler = IteratedResampling(fresh.proposal, 3)
    before = sampler.init(fresh.toy.objective, fresh.toy.batch([0] * 64))
    ladder = torch.tensor([0.5, 2.0], dtype=torch.float64).repeat(32)
    both, _ = sampler.step(fresh.toy.objective, before, Rng.start(4, 64), ladder)
    for start, temperature in ((0, 0.5), (1, 2.0)):
        alone, _ = sampler.step(fresh.toy.objective, before, Rng.start(4, 64), temperature)
        assert alone.batch.token_lists()[start::2] == both.batch.token_lists()[start::2]


LETTERS: LetterVocabulary = letters("abcDE")


@pytest.mark.parametrize(
    "proposal",
    [Fill(TableMaskedLM.random(LETTERS, seed=0)), FromLeft(TableCausalLM.random(LETTERS, seed=0), max_length=7)],
)
def test_chains_do_not_depend_on_the_rest_of_the_batch(proposal: IndependentProposal) -> None:
    sampler = IteratedResampling(proposal, 4)
    fewer = FunctionObjective(lambda texts: [math.inf if "cc" in t else 0.7 * t.count("a") for t in texts], name="few")
    batch = LETTERS.encode(["abc", "", "aDb", "cbaEDc", "b", "aDEaDE", "ab", "bacbac"]).repeat(8)
    frozen = torch.zeros_like(batch.editable)
    frozen[::3, 0] = True
    batch = batch.frozen(frozen)
    rng = Rng.start(21, len(batch))

    def run(rows: list[int], width: int = 0) -> tuple[list[list[int]], list[float], list[float]]:
        state = sampler.init(fewer, batch.rows(rows).widen(width))
        for step in range(3):
            state, info = sampler.step(fewer, state, rng.rows(rows).at(step), 1.3)
        return state.batch.token_lists(), state.evaluation.energy.tolist(), info.log_ratio.tolist()

    whole = run(list(range(64)))
    starts = zip(whole[0][::3], batch.token_lists()[::3], strict=True)
    assert all(tokens[0] == old[0] for tokens, old in starts if old)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in ([5], [11], list(range(20, 53)), order):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
    assert run(list(range(64)), width=13) == whole


def test_constructor_names_value_and_remedy() -> None:
    uniform = Uniform(letters("ab"))
    with pytest.raises(ValueError, match="draws=1 must be at least 2: the current text and a fresh one"):
        IteratedResampling(uniform, 1)
    assert IteratedResampling(uniform, 2).guarantee == Guarantee.EXACT
    assert IteratedResampling(uniform, 2).kinds == ("iterated resampling",)


@dataclass(frozen=True, eq=False)
class PlainResampling:
    """Iterated resampling without shortcuts, whose parts can be broken one at a time.

    Attributes:
        keeps: whether the current text is among those to choose from.
        weighs_fresh: whether log q of the fresh draws counts.
        weighs_current: whether log q of the current text counts.
        own_streams: whether each draw has random numbers of its own.
    """

    proposal: IndependentProposal
    draws: int
    keeps: bool = True
    weighs_fresh: bool = True
    weighs_current: bool = True
    own_streams: bool = True
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
        ends = [state]
        log_q = [self.proposal.log_prob(state.batch) * self.weighs_current]
        for number in range(self.draws - 1):
            drawn, log_prob = self.proposal.draw(state.batch, rng.fold(number if self.own_streams else 0))
            ends.append(ChainState(drawn, evaluate(objective, drawn, wanted=log_prob < math.inf)))
            log_q.append(log_prob if self.weighs_fresh else log_prob * 0)
        weights = [-end.evaluation.energy / temperature - own for end, own in zip(ends, log_q, strict=True)]
        log_weights = torch.stack(weights, 1)
        if not self.keeps:
            log_weights[:, 0] = -math.inf
        choice = categorical(log_weights, rng.fold(99).uniform(0))
        after = state
        for number, end in enumerate(ends):
            after = after.where(choice == number, end)
        return after, Info(choice > 0, torch.zeros_like(choice), log_weights[:, 0])


TOY = FRESH["fill, frozen"]
HONEST = PlainResampling(TOY.proposal, 3)

TWINS: dict[str, PlainResampling] = {
    "the current text is no candidate": replace(HONEST, keeps=False),
    "fresh draws weigh as the target says": replace(HONEST, weighs_fresh=False),
    "q forgotten on both sides": replace(HONEST, weighs_fresh=False, weighs_current=False),
    "the current text weighs as the target says": replace(HONEST, weighs_current=False),
    "all draws from one stream": replace(HONEST, own_streams=False),
}


@pytest.mark.parametrize("broken", TWINS.values(), ids=TWINS.keys())
def test_broken_twin_is_caught(broken: PlainResampling) -> None:
    assert fault_p_value(TOY.toy, broken, steps=2) < FAULT


def test_honest_twin_passes() -> None:
    assert p_value(TOY.toy, HONEST, steps=2) > 1e-4
