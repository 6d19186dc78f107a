"""The public laws: what is right passes them, and each broken twin breaks the one that its fault belongs to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from samplers import (
    Cycle,
    Gibbs,
    ImportanceSampling,
    MaskedResampling,
    MetropolisHastings,
    ParallelTempering,
    SimulatedAnnealing,
)
from samplers.proposals import InsertDelete, Mixture, Replace, Swap, Uniform
from tests.samplers.test_negative_controls import Altered, PlainChain, always, slots_of_the_old_text, turn_round
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective, Objective, evaluate
from textsearch.proposal import Move, Proposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.schedule import constant
from textsearch.testing import (
    LawBroken,
    Space,
    TableMaskedLM,
    check_objective,
    check_proposal,
    check_sampler,
    letters,
)
from textsearch.testing.spaces import balance, fit, some_frozen

ABC = letters("abC")
MODEL = TableMaskedLM.random(ABC, seed=0)
SPACE = ["".join(text) for length in range(4) for text in itertools.product("abC", repeat=length) if text[:1] != ("C",)]
CHAINS = 4000


def enough(law: str) -> int:
    """Chains, where a p-value has to be small."""
    return 20_000 if law == "on the target" else CHAINS


MOVES = Mixture({Replace(MODEL, pieces=(0.6, 0.4)): 2.0, InsertDelete(MODEL, pieces=(0.6, 0.4)): 2.0, Swap(ABC): 1.0})
PAIRS = ["aa", "ab", "ba", "bb"]
SMALL = TableMaskedLM.random(letters("ab"), seed=0)
SHORT = ["", "a", "b", *PAIRS]
LENGTH = FunctionObjective(lambda texts: [len(text) for text in texts], name="length")


def test_too_few_texts() -> None:
    with pytest.raises(ValueError, match="1 texts cannot be told apart"):
        check_objective(LENGTH, ["a"])
    with pytest.raises(TypeError, match="'ab' is one string"):
        check_objective(LENGTH, "ab")
    with pytest.raises(ValueError, match="'a' is listed twice"):
        check_proposal(Swap(ABC), ["a", "b", "a"])
    with pytest.raises(ValueError, match="1 texts are no space"):
        check_sampler(Gibbs(MODEL, 2), ["a"])


@pytest.mark.parametrize(
    ("proposal", "texts"),
    [(MOVES, SPACE), (Swap(ABC), ["aab", "aba", "baa", "abC", "aCb", "baC", "bCa"])],
    ids=["mixture", "swap"],
)
def test_right_proposals_pass(proposal: Proposal, texts: list[str]) -> None:
    assert len(check_proposal(proposal, texts, chains=CHAINS).laws) == 10


def single_precision(batch: Batch, move: Move, rng: Rng) -> Move:
    return replace(move, log_forward=move.log_forward.float())


def more_kinds(batch: Batch, move: Move, rng: Rng) -> Move:
    return replace(move, kind=move.kind + 1)


def nan_back(batch: Batch, move: Move, rng: Rng) -> Move:
    return replace(move, log_backward=move.log_backward * math.nan)


def leaves_a_mask(batch: Batch, move: Move, rng: Rng) -> Move:
    filled = move.batch.lengths > 0
    first = torch.zeros_like(move.kind)
    return replace(move, batch=move.batch.where(filled, move.batch.with_tokens(first, first)))


def beyond_the_end(batch: Batch, move: Move, rng: Rng) -> Move:
    wide = move.batch.widen(move.batch.width + 1)
    return replace(move, batch=replace(wide, tokens=torch.where(wide.present, wide.tokens, 1)))


def into_the_input(batch: Batch, move: Move, rng: Rng) -> Move:
    batch.tokens[:] = batch.tokens.where(~batch.present, 1)
    return move


def into_the_marks(batch: Batch, move: Move, rng: Rng) -> Move:
    batch.homes[:, :1] += 1
    return move


def into_the_numbers(batch: Batch, move: Move, rng: Rng) -> Move:
    rng.input[:] += 1
    return move


def unseeded(batch: Batch, move: Move, rng: Rng) -> Move:
    return replace(move, log_forward=move.log_forward + torch.rand(len(batch), dtype=torch.float64))


def by_the_row(batch: Batch, move: Move, rng: Rng) -> Move:
    return replace(move, log_forward=move.log_forward - torch.arange(len(batch)))


def by_the_batch(batch: Batch, move: Move, rng: Rng) -> Move:
    # 64 and 1 are alike
    return replace(move, log_forward=move.log_forward - len(batch) % 3)


def by_the_order(batch: Batch, move: Move, rng: Rng) -> Move:
    return replace(move, log_forward=move.log_forward - (rng.chain.cummax(0).values - rng.chain))


def by_the_width(batch: Batch, move: Move, rng: Rng) -> Move:
    return replace(move, log_forward=move.log_forward - batch.width)


def frozen_too(batch: Batch, move: Move, rng: Rng) -> Move:
    return replace(move, batch=replace(move.batch, tokens=torch.where(move.batch.present, 1, 0)))


PROPOSAL_TWINS: dict[str, tuple[str, Callable[[Batch, Move, Rng], Move]]] = {
    "single precision": ("log-probabilities", single_precision),
    "log q is nan": ("log-probabilities", nan_back),
    "a kind without a name": ("kinds", more_kinds),
    "a mask is left": ("allowed tokens", leaves_a_mask),
    "tokens beyond the end": ("well-formed batch", beyond_the_end),
    "writes into its input": ("input untouched", into_the_input),
    "writes into the marks": ("input untouched", into_the_marks),
    "writes into the random numbers": ("input untouched", into_the_numbers),
    "random numbers of its own": ("same again", unseeded),
    "by the row": ("alone", by_the_row),
    "by the size of the batch": ("batch size", by_the_batch),
    "by the order": ("order", by_the_order),
    "by the padding": ("padding", by_the_width),
    "writes over frozen tokens": ("frozen tokens", frozen_too),
    "forward for backward": ("on the target", turn_round),
    "slots of the old text": ("on the target", slots_of_the_old_text),
}


@pytest.mark.parametrize(("law", "alter"), PROPOSAL_TWINS.values(), ids=PROPOSAL_TWINS.keys())
def test_broken_proposals_are_caught(law: str, alter: Callable[[Batch, Move, Rng], Move]) -> None:
    model, texts = (SMALL, SHORT) if law == "on the target" else (MODEL, SPACE)
    with pytest.raises(LawBroken, match=f"Altered breaks the law of {law!r}"):
        check_proposal(Altered(InsertDelete(model, insert=0.3, max_length=3), alter), texts, chains=enough(law))


def test_a_proposal_that_leads_nowhere_is_no_proof() -> None:
    with pytest.raises(LawBroken, match="list more of them"):
        check_proposal(InsertDelete(MODEL), PAIRS, chains=CHAINS)


@pytest.mark.parametrize(
    "sampler",
    [
        MetropolisHastings(MOVES),
        Cycle([MetropolisHastings(MOVES), Gibbs(MODEL, 2)]),
        ParallelTempering(Gibbs(MODEL, 2), (1.0, 2.0)),
    ],
    ids=["metropolis-hastings", "cycle", "tempering"],
)
def test_right_samplers_pass(sampler: Sampler[Any]) -> None:
    report = check_sampler(sampler, SPACE, chains=CHAINS)
    assert [law.name for law in report.laws][-1] == "on the target"
    assert report.laws[-1].figure.startswith("p = ")


def test_what_is_not_promised_is_not_asked() -> None:
    for sampler in (MaskedResampling(MODEL), SimulatedAnnealing(Gibbs(MODEL, 2), constant(0.1))):
        assert check_sampler(sampler, SPACE, chains=100).laws[-1].figure == "not checked: biased"


def test_weighted_draws_have_no_bias() -> None:
    uniform = Uniform(letters("ab"))
    assert check_sampler(ImportanceSampling(uniform), PAIRS).laws[-1].name == "weights"

    @dataclass(frozen=True)
    class Unweighted(Wrapped):
        def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
            state, info = self.sampler.step(objective, state, rng)
            return state, info

    with pytest.raises(LawBroken, match=r"'weights': p .* has mean weight .* but exp\(-E / T\)"):
        check_sampler(Unweighted(ImportanceSampling(uniform)), PAIRS)


@dataclass(frozen=True)
class Wrapped:
    """A sampler around another, to be broken."""

    sampler: Sampler[Any]
    guarantee: Guarantee = Guarantee.EXACT

    def __post_init__(self) -> None:
        object.__setattr__(self, "guarantee", self.sampler.guarantee)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.sampler.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.sampler.kinds

    def init(self, objective: Objective, batch: Batch) -> Any:
        return self.sampler.init(objective, batch)

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        return self.sampler.step(objective, state, rng, temperature)


class InWords(Wrapped):
    guarantee: Any = "exact"

    def __post_init__(self) -> None:
        object.__setattr__(self, "guarantee", "exact")


class Stale(Wrapped):
    """The energies of the texts before."""

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        after, info = self.sampler.step(objective, state, rng, temperature)
        return ChainState(after.batch, state.evaluation), info


class Nan(Wrapped):
    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        after, info = self.sampler.step(objective, state, rng, temperature)
        return after, replace(info, log_ratio=info.log_ratio * math.nan)


class IntoTheState(Wrapped):
    """Moves on the texts that it was given; the new state is as it should be."""

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        after, info = self.sampler.step(objective, state, rng, temperature)
        width = state.batch.width
        state.batch.tokens[:] = after.batch.widen(width).tokens[:, :width]
        return after, info


class IntoTheEnergies(Wrapped):
    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        answer = self.sampler.step(objective, state, rng, temperature)
        state.evaluation.terms.zero_()
        return answer


class IntoTheStart(Wrapped):
    def init(self, objective: Objective, batch: Batch) -> Any:
        state = self.sampler.init(objective, replace(batch, closed=batch.closed.clone()))
        batch.closed[:, :1] = 1
        return state


class Unseeded(Wrapped):
    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        return self.sampler.step(objective, state, rng.fold(int(torch.randint(2**31, ()))), temperature)


class ByRow(Wrapped):
    """Numbers that go by the row, not by the chain."""

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        return self.sampler.step(objective, state, replace(rng, chain=torch.arange(len(rng.chain))), temperature)


class ByWidth(Wrapped):
    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        return self.sampler.step(objective, state, rng.fold(state.batch.width), temperature)


@dataclass(frozen=True)
class Remembers(Wrapped):
    """Counts its steps where the state does not show; a new run begins anew."""

    steps: list[int] = field(default_factory=list)

    def init(self, objective: Objective, batch: Batch) -> Any:
        self.steps.clear()
        return self.sampler.init(objective, batch)

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        self.steps.append(1)
        return self.sampler.step(objective, state, rng.fold(len(self.steps)), temperature)


class Thaws(Wrapped):
    """Takes every token to be editable."""

    def init(self, objective: Objective, batch: Batch) -> Any:
        return self.sampler.init(objective, replace(batch, editable=batch.present))

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        return self.sampler.step(objective, state, rng, temperature)


class Cold(Wrapped):
    """Never mind the temperature."""

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        return self.sampler.step(objective, state, rng)


class Anywhere(Wrapped):
    """Goes into forbidden texts, and calls itself exact."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "guarantee", Guarantee.EXACT)


CHAIN = MetropolisHastings(MOVES)

SAMPLER_TWINS: dict[str, tuple[str, Sampler[Any]]] = {
    "a guarantee in words": ("guarantee", InWords(CHAIN)),
    "energies of the texts before": ("energies", Stale(CHAIN)),
    "log-ratios are nan": ("acceptance", Nan(CHAIN)),
    "writes into the texts of its state": ("input untouched", IntoTheState(CHAIN)),
    "writes into the energies of its state": ("input untouched", IntoTheEnergies(CHAIN)),
    "writes into its start": ("input untouched", IntoTheStart(CHAIN)),
    "random numbers of its own": ("same again", Unseeded(CHAIN)),
    "numbers by the row": ("alone", ByRow(CHAIN)),
    "numbers by the padding": ("padding", ByWidth(CHAIN)),
    "remembers its steps": ("cut in two", Remembers(CHAIN)),
    "thaws what is frozen": ("frozen tokens", Thaws(CHAIN)),
    "temperature forgotten": ("on the target", Cold(Gibbs(SMALL, 2))),
    "no energy has a say": ("forbidden texts", Anywhere(MaskedResampling(MODEL))),
}


@pytest.mark.parametrize(("law", "sampler"), SAMPLER_TWINS.values(), ids=SAMPLER_TWINS.keys())
def test_broken_samplers_are_caught(law: str, sampler: Sampler[Any]) -> None:
    texts = {"forbidden texts": ["aa", "ab", "ba", "a", "b", "aC", "bC"], "on the target": PAIRS}.get(law, SPACE)
    with pytest.raises(LawBroken, match=f"breaks the law of {law!r}"):
        check_sampler(sampler, texts, chains=enough(law))


def test_acceptance_that_is_wrong_is_caught_once_it_promises_to_be_exact() -> None:
    biased = PlainChain(Replace(SMALL), accept=always)
    check_sampler(biased, SHORT, chains=100)
    with pytest.raises(LawBroken, match=r"'on the target': p .* T = 1\.7, have left it after 3 steps"):
        check_sampler(replace(biased, guarantee=Guarantee.EXACT), SHORT, chains=CHAINS)


@pytest.mark.parametrize("seed", range(5))
def test_other_seeds_do_as_well(seed: int) -> None:
    """The laws hold of what is right whatever the target."""
    check_sampler(Gibbs(TableMaskedLM.random(letters("ab"), seed=0), 2), PAIRS, seed=seed)
    check_proposal(Swap(letters("abc")), ["abc", "acb", "bac", "bca", "cab", "cba"], seed=seed)


def test_chi_square_is_scipy_s() -> None:
    law = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    expected = scipy.stats.chisquare([60, 25, 15], 100 * law.numpy()).pvalue
    assert fit(torch.tensor([60, 25, 15]), law) == pytest.approx(expected, rel=1e-9)
    # two that are expected 6 times each are one that is expected 12 times
    law = torch.tensor([0.88, 0.06, 0.06], dtype=torch.float64)
    expected = scipy.stats.chisquare([80, 20], [88, 12]).pvalue
    assert fit(torch.tensor([80, 3, 17]), law) == pytest.approx(expected, rel=1e-9)
    assert fit(torch.tensor([5, 1]), torch.tensor([1.0, 0.0], dtype=torch.float64)) == 0


def test_balance_counts_pairs() -> None:
    one, other = torch.zeros(60, dtype=torch.int64), torch.ones(60, dtype=torch.int64)
    even = torch.cat([one, other]), torch.cat([other, one])
    assert balance(*even, 2) == 1
    assert balance(one, other, 2) < 1e-9
    assert balance(one, one, 2) == 1


def test_p_values_of_a_right_law_are_even() -> None:
    """The control of the controls: neither too strict nor too lax."""
    table = Space(letters("ab").encode(PAIRS)).random_objective(0)
    numbers = [table.space.number(table.draw(500, 1.0, seed)) for seed in range(300)]
    found = [fit(torch.bincount(each, minlength=4), table.law(1.0)) for each in numbers]
    assert scipy.stats.kstest(found, "uniform").pvalue > 1e-4


def test_a_space_tells_texts_lengths_and_marks_apart() -> None:
    vocabulary = letters("abc")
    texts = ["".join(text) for length in range(5) for text in itertools.product("abc", repeat=length)]
    batch = vocabulary.encode(texts)
    space = Space(batch)
    assert space.number(batch.widen(9)).tolist() == list(range(len(batch)))
    assert space.number(vocabulary.encode(["abcab"])).tolist() == [-1]
    marked = some_frozen(batch, 0)
    same = (marked.editable == batch.editable).all(1)
    assert ((space.number(marked) >= 0) == same).all()
    assert 0.2 < float((~marked.editable & marked.present).sum() / marked.lengths.sum()) < 0.5
    # an energy is a matter of the tokens alone
    table = space.random_objective(1)
    assert table.energy(marked).tolist() == table.energies.tolist()
    assert table.energy(vocabulary.encode(["abcab"])).tolist() == [math.inf]


def test_texts_that_are_not_listed_can_be_an_error() -> None:
    space = Space(letters("ab").encode(["a", "b"]))
    strict = space.objective(torch.tensor([0.0, 1.0]), others=math.nan)
    with pytest.raises(ValueError, match="objective 'table' gave nan for row 1, 'ab'"):
        evaluate(strict, letters("ab").encode(["a", "ab"]))
    assert np.isfinite(evaluate(strict, space.batch).energy.numpy()).all()
