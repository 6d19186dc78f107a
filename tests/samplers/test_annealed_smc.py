"""Annealed sequential Monte Carlo: unbiased weights, draws on arrival, and populations that do not look around."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers import AnnealedSMC, Gibbs, MaskedResampling, MetropolisHastings, ParallelTempering
from samplers.annealed_smc import AnnealedState
from tests.reference import Floats
from tests.samplers.laws import chi_square
from tests.samplers.toys import TOYS, Toy, span_toy
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective, evaluate
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.testing import TableMaskedLM, letters

LADDER = (0.1, 0.35, 1.0)
POPULATIONS = 3000


@dataclass(frozen=True, eq=False)
class Listed:
    """Draws a state of a toy from a skewed law, unlike the target's; some draws come to nothing."""

    toy: Toy
    failing: float = 0.0

    @property
    def vocabulary(self) -> Vocabulary:
        return self.toy.vocabulary

    def law(self) -> Tensor:
        normal = np.random.default_rng(8).normal(size=len(self.toy.states))
        return torch.tensor(0.7 * normal, dtype=torch.float64).softmax(0)

    def check(self, batch: Batch) -> None:
        pass

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        number = categorical(self.law().log().expand(len(batch), -1), rng.uniform(0))
        log_prob = (self.law()[number] * (1 - self.failing)).log()
        drawn = replace(self.toy.batch(number.numpy()), inputs=batch.inputs)
        return drawn, log_prob.masked_fill(rng.uniform(1) < self.failing, math.inf)

    def log_prob(self, batch: Batch) -> Tensor:
        return (self.law()[torch.from_numpy(self.toy.number(batch))] * (1 - self.failing)).log()


@dataclass(frozen=True, eq=False)
class Table(Objective):
    """A toy's energies, without the detour by texts."""

    toy: Toy

    def energy(self, batch: Batch) -> Tensor:
        number = self.toy.number(batch)
        assert number.min() >= 0
        return torch.from_numpy(self.toy.energies)[torch.from_numpy(number)]


REPLACE = TOYS["replace"]
FORBIDDEN = span_toy("abc", "aba", {(1, 1): 1.0}, forbidden=0.3, temperature=0.7)
MIXED = TOYS["mixture"]
FROZEN = TOYS["insert and delete, frozen"]


@dataclass(frozen=True, eq=False)
class Case:
    """A toy, and how to anneal on it."""

    toy: Toy
    ess: float = 0.5
    failing: float = 0.0
    gibbs: bool = False
    inverse_temperatures: tuple[float, ...] | None = LADDER
    particles: int = 8

    def kernel(self) -> Sampler[ChainState]:
        model: Any = getattr(self.toy.proposal, "mlm", None)
        return Gibbs(model, 3) if self.gibbs else MetropolisHastings(self.toy.proposal)

    def sampler(self, keep: float = 0.9) -> AnnealedSMC:
        return AnnealedSMC(Listed(self.toy, self.failing), self.kernel(), self.ess, self.inverse_temperatures, keep)


CASES: dict[str, Case] = {
    "replace": Case(replace(REPLACE, temperature=0.5)),
    "Gibbs": Case(replace(REPLACE, temperature=0.5), gibbs=True),
    "never resampled, but on arrival": Case(REPLACE, ess=0.0),
    "always resampled": Case(REPLACE, ess=1.0),
    "importance sampling": Case(REPLACE, inverse_temperatures=(1.0,)),
    "forbidden texts": Case(FORBIDDEN),
    "forbidden texts, failing draws": Case(FORBIDDEN, failing=0.1, ess=0.0, particles=16),
    "variable lengths": Case(MIXED),
    "frozen": Case(FROZEN, ess=0.7),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def populations_of(toy: Toy, count: int, particles: int) -> Batch:
    """That many populations, side by side."""
    batch = toy.batch([0] * (count * particles))
    return replace(batch, inputs=torch.arange(count).repeat_interleave(particles))


def stages(case: Case, sampler: Any, count: int, steps: int, seed: int = 0) -> list[AnnealedState]:
    """The states of `count` populations after each step."""
    batch, objective = populations_of(case.toy, count, case.particles), Table(case.toy)
    rng = Rng.start(seed, len(batch))
    with torch.inference_mode():
        state, found = sampler.init(objective, batch), []
        for step in range(steps):
            state, _ = sampler.step(objective, state, rng.at(step), case.toy.temperature)
            found.append(state)
    return found


def functions(toy: Toy) -> Floats:
    """(4, S) of the states: 1, whose mean is Z, two at random, and whether the energy is among the lower half."""
    low = toy.energies < np.median(toy.energies)
    return np.stack([np.ones(len(low)), *np.random.default_rng(2).random((2, len(low))), low.astype(np.float64)])


def z_scores(case: Case, states: Sequence[AnnealedState]) -> Floats:
    """(T, 4) how many standard errors the mean over the populations of (mean of w f) is off Z E[f]."""
    toy, found = case.toy, []
    for state in states:
        inverse = float(state.inverse_temperature[0])
        rho = np.exp(-toy.energies * inverse / toy.temperature)
        values = functions(toy)[:, toy.number(state.batch)] * state.log_weights.exp().numpy()
        means = values.reshape(4, -1, case.particles).mean(2)
        error = means.std(1, ddof=1) / math.sqrt(means.shape[1])
        found.append((means.mean(1) - functions(toy) @ rho) / error)
    return np.array(found)


@every_case
def test_weighted_means_are_unbiased_at_every_temperature(case: Case) -> None:
    assert case.inverse_temperatures is not None
    states = stages(case, case.sampler(), POPULATIONS, len(case.inverse_temperatures) + 1)
    assert np.abs(z_scores(case, states)).max() < 4
    for state in states:
        # what is called Z is the mean weight, and nothing that is left is forbidden
        mean_weight = state.log_weights.exp().view(-1, case.particles).mean(1)
        torch.testing.assert_close(mean_weight, state.log_partition.exp().view(-1, case.particles)[:, 0])
        assert bool((state.evaluation.energy < math.inf).all())
        numbers = case.toy.number(state.batch)
        assert state.evaluation.energy.tolist() == case.toy.energies[numbers].tolist()
        assert state.evaluation.terms[:, 0].tolist() == state.evaluation.energy.tolist()
    assert [float(state.inverse_temperature[0]) for state in states] == [*case.inverse_temperatures, 1.0]
    # from arrival on, all texts of a population weigh the same
    for state in states[-2:]:
        assert torch.equal(state.log_weights, state.log_partition)


def test_temperatures_chosen_on_the_way_lead_to_the_target() -> None:
    case, count = Case(MIXED, failing=0.1, inverse_temperatures=None, particles=150), 250
    states = stages(case, case.sampler(keep=0.8), count, steps=5)
    inverse = torch.stack([state.inverse_temperature for state in states])
    assert bool((inverse.diff(dim=0) >= 0).all())
    assert bool(((inverse[0] > 0) & (inverse[0] < 1)).all())
    assert bool((inverse[-1] == 1).all())
    assert np.abs(z_scores(case, states[-1:])).max() < 4
    # particles of one population are relatives: one of each
    numbers = case.toy.number(states[-1].batch).reshape(count, case.particles)
    assert chi_square(numbers[np.arange(count), np.arange(count) % case.particles], case.toy.target) > 1e-4


def test_each_change_of_temperature_keeps_the_share_of_particles() -> None:
    cold = replace(REPLACE, temperature=0.1)  # so that there is a way to go
    case = Case(cold, inverse_temperatures=None, particles=64)
    before, *rest = stages(case, case.sampler(keep=0.8), 40, steps=6)
    first = before.inverse_temperature
    assert 0 < float(first.min()) < float(first.max()) < 1
    for after in rest:
        for population in range(0, 40, 7):
            own = slice(64 * population, 64 * (population + 1))
            weights = np.exp(before.log_weights[own].numpy() - float(before.log_partition[own][0]))
            gap = float(after.inverse_temperature[own][0]) - float(before.inverse_temperature[own][0])
            factors = np.exp(-gap * before.evaluation.energy[own].numpy() / cold.temperature)
            share = (weights @ factors) ** 2 / (weights @ factors**2) / weights.sum()
            assert abs(share - 0.8) < 1e-6 or (share > 0.8 and float(after.inverse_temperature[own][0]) == 1)
        before = after


VOCABULARY = letters("abcDE")
MODEL = TableMaskedLM.random(VOCABULARY, seed=0)
SOME_A = FunctionObjective(lambda texts: [math.inf if "cc" in t else 2.3 * t.count("a") for t in texts], name="some a")


@dataclass(frozen=True, eq=False)
class Letters:
    """Fills what is editable with letters that begin words, by a law of its own for each column."""

    vocabulary: Vocabulary = VOCABULARY

    def check(self, batch: Batch) -> None:
        if bool((batch.lengths > 8).any()):
            raise ValueError("too long")

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        for column in range(min(batch.width, 8)):
            drawn = categorical(self._law(column).expand(len(batch), -1), rng.uniform(column))
            tokens = torch.where(batch.editable[:, column], drawn, batch.tokens[:, column])
            batch = batch.with_tokens(torch.full_like(tokens, column), tokens)
        return batch, self.log_prob(batch)

    def log_prob(self, batch: Batch) -> Tensor:
        total = torch.zeros(len(batch), dtype=torch.float64)
        for column in range(min(batch.width, 8)):
            log_prob = self._law(column)[batch.tokens[:, column]]
            total = total + log_prob.where(batch.editable[:, column], 0.0)
        return total

    def _law(self, column: int) -> Tensor:
        logits = torch.tensor([-math.inf, 0.3 * column, 0.0, -0.2 * column, -math.inf, -math.inf], dtype=torch.float64)
        return logits.log_softmax(0)


Picture = list[list[tuple[list[int], float, float, float, float]]]
"""Step by step and row by row: tokens, energy, log-weight, inverse temperature, log Z."""

CHAINS = 40


def picture(sampler: AnnealedSMC, batch: Batch, rng: Rng, temperature: float | Tensor = 0.8) -> Picture:
    """All that can be seen of each step."""
    state, found = sampler.init(SOME_A, batch), []
    for step in range(5):
        state, info = sampler.step(SOME_A, state, rng.at(step), temperature)
        numbers = (state.evaluation.energy, state.log_weights, state.inverse_temperature, state.log_partition)
        found.append(list(zip(state.batch.token_lists(), *(part.tolist() for part in numbers), strict=True)))
        assert {"log weights", "inverse temperature", "log partition"} <= set(info.recorded)
        assert all(part.shape == (len(batch),) for part in info.recorded.values())
    return found


def rows_of(whole: Picture, rows: Sequence[int]) -> Picture:
    """The same of some of the rows."""
    return [[step[row] for row in rows] for step in whole]


@pytest.mark.parametrize("inverse_temperatures", [None, (0.2, 0.6, 1.0)], ids=["chosen on the way", "given"])
def test_populations_do_not_depend_on_the_rest_of_the_batch(inverse_temperatures: tuple[float, ...] | None) -> None:
    sampler = AnnealedSMC(Letters(), Gibbs(MODEL, 3), ess=0.8, inverse_temperatures=inverse_temperatures, keep=0.85)
    batch = VOCABULARY.encode(["abc", "aabb", "b", "abcabc", "bb"]).repeat(CHAINS)
    frozen = torch.zeros_like(batch.editable)
    frozen[3 * CHAINS :, 1] = True
    # the last population is smaller than the others
    batch = batch.frozen(frozen & batch.present).rows(range(5 * CHAINS - 13))
    rng = Rng.start(21, len(batch))
    whole = picture(sampler, batch, rng)
    shuffled = torch.randperm(len(batch), generator=torch.Generator().manual_seed(1)).tolist()
    alone = [list(range(CHAINS * number, min(CHAINS * (number + 1), len(batch)))) for number in range(5)]
    for rows in (*alone, alone[4] + alone[0], alone[3][::-1] + alone[1], shuffled):
        assert picture(sampler, batch.rows(rows), rng.rows(rows)) == rows_of(whole, rows)
    assert picture(sampler, batch.widen(11), rng) == whole
    # what is frozen stays
    for step in whole:
        assert all(step[row][0][1] == 2 for row in alone[3] + alone[4])


def test_generate_tells_how_far_it_came() -> None:
    sampler = AnnealedSMC(Letters(), Gibbs(MODEL, 3), keep=0.7)
    start = VOCABULARY.encode(["abc", "____"])
    result = generate(SOME_A, sampler, start, steps=12, seed=3, chains=CHAINS)
    inverse = result.recorded["inverse temperature"]
    assert inverse.shape == (12, 2 * CHAINS)
    assert (np.diff(inverse, axis=0) >= 0).all()
    assert (inverse[-1] == 1).all()
    assert np.isfinite(result.trace).all()
    # all alike, so the texts are draws
    assert (result.recorded["log weights"][-1] == result.recorded["log partition"][-1]).all()
    effective = result.recorded["effective sample size"]
    assert ((effective > 1) & (effective < CHAINS + 1e-9)).all()
    assert result.guarantee is Guarantee.CONSISTENT
    # the template is no text, and the least of all energies would be its own
    assert not any("_" in text for text in result.texts + result.best_texts)
    # a run that ends too soon says so, and was on the same way
    short = generate(SOME_A, sampler, start, steps=1, seed=3, chains=CHAINS)
    assert (short.recorded["inverse temperature"][-1] < 1).all()
    assert (short.recorded["inverse temperature"][0] == inverse[0]).all()
    # other inputs change nothing
    first = generate(SOME_A, sampler, start.rows([0]), steps=12, seed=3, chains=CHAINS)
    assert first.texts == result.texts[:CHAINS]
    assert first.recorded["log partition"].tolist() == result.recorded["log partition"][:, :CHAINS].tolist()


def test_each_population_may_have_its_own_temperature() -> None:
    sampler = AnnealedSMC(Letters(), Gibbs(MODEL, 3))
    batch, rng = VOCABULARY.encode(["abc", "aabb"]).repeat(CHAINS), Rng.start(4, 2 * CHAINS)
    both = picture(sampler, batch, rng, torch.tensor([0.3, 2.0], dtype=torch.float64).repeat_interleave(CHAINS))
    for first, temperature in ((0, 0.3), (CHAINS, 2.0)):
        rows = list(range(first, first + CHAINS))
        assert rows_of(picture(sampler, batch, rng, temperature), rows) == rows_of(both, rows)


def test_what_is_forbidden_or_failed_never_reaches_the_kernel() -> None:
    case = CASES["forbidden texts, failing draws"]

    @dataclass(frozen=True, eq=False)
    class Watchful:
        """A kernel that will not take a forbidden text."""

        vocabulary: Vocabulary = case.toy.vocabulary
        kinds: tuple[str, ...] = ("watch",)
        guarantee: Guarantee = Guarantee.EXACT

        def init(self, objective: Objective, batch: Batch) -> ChainState:
            return ChainState.start(objective, batch)

        def step(
            self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
        ) -> tuple[ChainState, Info]:
            assert bool((state.evaluation.energy < math.inf).all())
            kind = torch.zeros_like(state.batch.lengths)
            return state, Info(kind == 0, kind, kind.double(), {"seen": kind})

    for inverse_temperatures in (None, LADDER):
        sampler = AnnealedSMC(Listed(case.toy, 0.3), Watchful(), 0.0, inverse_temperatures)
        batch = populations_of(case.toy, 50, 32)
        state = sampler.init(Table(case.toy), batch)
        for step in range(3):
            state, info = sampler.step(Table(case.toy), state, Rng.start(0, len(batch)).at(step))
            assert not bool(state.log_weights.isnan().any())
            assert bool((state.log_weights > -math.inf).all())
            assert "seen" in info.recorded


def test_what_is_no_population() -> None:
    sampler = AnnealedSMC(Letters(), Gibbs(MODEL, 3))
    with pytest.raises(ValueError, match=r"input 0 has 1 chain: .*chains=64"):
        generate(SOME_A, sampler, ["abc"], steps=3, seed=0)
    given = replace(sampler, inverse_temperatures=(0.5, 1.0))
    assert len(generate(SOME_A, given, ["abc"], steps=3, seed=0)) == 1
    one = VOCABULARY.encode(["abc", "abb"])
    one = replace(one, inputs=torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"input 0 has several starting texts, 'abc' and 'abb'"):
        sampler.init(SOME_A, one)
    frozen = one.rows([0, 0])
    frozen = frozen.frozen(torch.tensor([[True, False, False], [False, False, False]]))
    with pytest.raises(ValueError, match="other frozen tokens"):
        sampler.init(SOME_A, frozen)
    with pytest.raises(ValueError, match="too long"):
        sampler.init(SOME_A, VOCABULARY.encode(["aaaaaaaaa"] * 2))


def test_constructor_names_value_and_remedy() -> None:
    kernel, proposal = Gibbs(MODEL, 3), Letters()
    right: dict[str, Any] = {"proposal": proposal, "sampler": kernel}
    bad: list[tuple[dict[str, Any], str]] = [
        ({"ess": 1.1}, "ess=1.1 must be a share"),
        ({"ess": math.nan}, "ess=nan must be a share"),
        ({"keep": 1.0}, "keep=1.0 must be a share"),
        ({"inverse_temperatures": ()}, "must end at 1"),
        ({"inverse_temperatures": (1, 2, 4)}, "must end at 1, the target, and be below 1 before it"),
        ({"inverse_temperatures": (0.5, 0.2, 1)}, "must rise"),
        ({"inverse_temperatures": (0.0, 1)}, "be above 0"),
        ({"inverse_temperatures": (math.nan, 1)}, "must rise"),
        ({"sampler": MaskedResampling(MODEL)}, "sampler=MaskedResampling is biased.*take an exact one"),
        ({"proposal": Letters(letters("abcDE"))}, "two vocabularies"),
    ]
    for arguments, complaint in bad:
        with pytest.raises(ValueError, match=complaint):
            AnnealedSMC(**(right | arguments))
    some: Any = [0.5, 1]
    sampler = AnnealedSMC(proposal, kernel, inverse_temperatures=some)
    assert sampler.inverse_temperatures == (0.5, 1)
    assert (sampler.kinds, sampler.vocabulary) == (kernel.kinds, VOCABULARY)
    ladder: Any = ParallelTempering(kernel, (1.0, 2.0))
    with pytest.raises(TypeError, match="state of ParallelTempering is a LadderState"):
        AnnealedSMC(proposal, ladder).init(SOME_A, VOCABULARY.encode(["ab"]).repeat(2))


@dataclass(frozen=True, eq=False)
class PlainSMC:
    """Annealed SMC on populations of one size that lie side by side, one after another, whose parts can be broken."""

    proposal: IndependentProposal
    sampler: Sampler[ChainState]
    particles: int
    moves_first: bool = False
    knows_log_q: bool = True
    resets_weights: bool = True
    moves_at_the_new_temperature: bool = True

    def init(self, objective: Objective, batch: Batch) -> AnnealedState:
        zero = torch.zeros(len(batch), dtype=torch.float64)
        return AnnealedState(batch, evaluate(objective, batch), zero, zero, zero, torch.zeros_like(batch.lengths))

    def step(
        self, objective: Objective, state: AnnealedState, rng: Rng, temperature: float
    ) -> tuple[AnnealedState, None]:
        old, new = float(state.inverse_temperature[0]), LADDER[min(int(state.stage[0]), len(LADDER) - 1)]
        chains, log_weights = ChainState(state.batch, state.evaluation), state.log_weights.numpy().copy()
        if not state.stage.any():
            drawn, log_draw = self.proposal.draw(state.batch, rng.fold(0))
            chains = ChainState(drawn, evaluate(objective, drawn))
            log_weights -= self.knows_log_q * log_draw.numpy()
        heat = temperature / (new if self.moves_at_the_new_temperature or old == 0 else old)
        if self.moves_first:
            chains, _ = self.sampler.step(objective, chains, rng.fold(2), heat)
        log_weights -= (new - old) * chains.evaluation.energy.numpy() / temperature
        weights = np.exp(log_weights).reshape(-1, self.particles)
        mean, size = weights.mean(1), self.particles
        comb = rng.fold(1).uniform(0).numpy()
        source = np.arange(weights.size).reshape(weights.shape)
        for number, own in enumerate(weights):
            if own.sum() ** 2 / (own**2).sum() < 0.5 * size or old < new == 1 or not own.all():
                teeth = (np.arange(size) + comb[number * size]) / size
                ancestors = np.searchsorted(np.cumsum(own / own.sum()), teeth, side="right")
                source[number] = number * size + ancestors
                weights[number] = mean[number] if self.resets_weights else own[ancestors]
        chains = chains.rows(torch.from_numpy(source.flatten()))
        if not self.moves_first:
            chains, _ = self.sampler.step(objective, chains, rng.fold(2), heat)
        log_weights_after = torch.from_numpy(np.log(weights.flatten()))
        log_partition = torch.from_numpy(np.log(mean).repeat(size))
        inverse = torch.full_like(log_partition, new)
        return AnnealedState(
            chains.batch, chains.evaluation, log_weights_after, inverse, log_partition, state.stage + 1
        ), None


def twin(case: Case, **faults: bool) -> PlainSMC:
    return PlainSMC(Listed(case.toy), case.kernel(), case.particles, **faults)


@pytest.mark.parametrize(
    "fault",
    [
        {"moves_first": True},
        {"knows_log_q": False},
        {"resets_weights": False},
        {"moves_at_the_new_temperature": False},
    ],
    ids=["weights after the move", "log q left out", "weights kept after resampling", "moves of the step before"],
)
def test_broken_twin_is_caught(fault: dict[str, bool]) -> None:
    case = CASES["Gibbs"]
    states = stages(case, twin(case, **fault), POPULATIONS, len(LADDER))
    assert np.abs(z_scores(case, states)).max() > 10


@pytest.mark.parametrize("name", ["Gibbs", "forbidden texts"])
def test_honest_twin_is_the_engine(name: str) -> None:
    """So that a twin differs from the engine by its one fault."""
    case = CASES[name]
    plain, engine = (stages(case, sampler, 300, 4, seed=1) for sampler in (twin(case), case.sampler()))
    for one, other in zip(plain, engine, strict=True):
        assert one.batch.token_lists() == other.batch.token_lists()
        torch.testing.assert_close(one.log_weights, other.log_weights, rtol=0, atol=1e-12)
        torch.testing.assert_close(one.log_partition, other.log_partition, rtol=0, atol=1e-12)
