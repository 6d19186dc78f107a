"""Ensembles: members that keep away from one another, held against the enumerated law of all pairs of texts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from objectives import VectorLikeness, ngram_likeness
from samplers import AdaptiveTemperature, Cycle, Ensemble, Gibbs, MetropolisHastings, MultipleTry, SimulatedAnnealing
from samplers.composites.ensemble import EnsembleState
from samplers.proposals import Edits, Replace
from tests.reference import Floats, metropolis_hastings
from tests.samplers.laws import Case
from tests.samplers.toys import Toy, span_toy
from textsearch import FunctionObjective, generate, generate_each, tree
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Evaluation, Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.schedule import geometric
from textsearch.testing import TableMaskedLM, letters

Numbers = NDArray[np.int64]


def letters_shared(texts: Sequence[str], others: Sequence[str]) -> list[float]:
    """Places at which both have the same letter, and half a nat for each "a" that both have."""
    return [
        sum(x == y for x, y in zip(text, other, strict=False)) + 0.5 * min(text.count("a"), other.count("a"))
        for text, other in zip(texts, others, strict=True)
    ]


@final
@dataclass(frozen=True, eq=False)
class PairState:
    """Ensembles of two as single chains, of which a run sees the first member."""

    first: ChainState
    second: ChainState

    @property
    def batch(self) -> Batch:
        return self.first.batch

    @property
    def evaluation(self) -> Evaluation:
        return self.first.evaluation


@dataclass(frozen=True)
class AsOneChain:
    """A sampler of ensembles as one of single chains, each of them an ensemble of two, for the laws of kernels."""

    sampler: Sampler[EnsembleState]

    @property
    def vocabulary(self) -> Vocabulary:
        return self.sampler.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.sampler.kinds

    @property
    def guarantee(self) -> Guarantee:
        return self.sampler.guarantee

    def init(self, objective: Objective, batch: Batch) -> PairState:
        start = ChainState(batch, evaluate(objective, batch))
        return PairState(start, start)

    def step(
        self, objective: Objective, state: PairState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[PairState, Info]:
        size = len(state.batch)
        beside = torch.arange(2 * size).view(2, size).T.flatten().to(state.batch.device)
        chains = tree.rows(tree.concatenate([state.first, state.second]), beside)
        inputs = chains.batch.inputs
        chains = replace(chains, batch=replace(chains.batch, inputs=torch.arange(size).repeat_interleave(2).to(inputs)))
        heat = temperature.repeat_interleave(2) if isinstance(temperature, Tensor) else temperature
        nothing = torch.zeros_like(chains.evaluation.energy)
        given = EnsembleState(chains, nothing, nothing)
        after, info = self.sampler.step(objective, given, rng.split(2), heat)
        moved = replace(after.chains, batch=replace(after.batch, inputs=inputs))
        first, second = (tree.rows(moved, torch.arange(at, 2 * size, 2).to(inputs)) for at in range(2))
        return PairState(first, second), Info(info.accepted[::2], info.kind[::2], info.log_ratio[::2])


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of texts of a toy, the first member as the first digit."""

    toy: Toy
    weight: float

    @property
    def objective(self) -> Objective:
        return self.toy.objective

    @property
    def temperature(self) -> float:
        return self.toy.temperature

    @cached_property
    def repulsion(self) -> Floats:
        """(S, S) nats between two texts."""
        texts = [self.toy.text(state) for state in self.toy.states]
        every = list(itertools.product(texts, repeat=2))
        values = letters_shared([one for one, _ in every], [other for _, other in every])
        return self.weight * np.array(values).reshape(len(texts), len(texts))

    @cached_property
    def target(self) -> Floats:
        """exp(-(E(x) + E(y) + w r(x, y)) / T), normalised."""
        own = self.toy.energies
        joint = own[:, None] + own[None] + self.repulsion
        law = np.exp(-(joint - joint.min()) / self.temperature).flatten()
        return np.asarray(law / law.sum(), dtype=np.float64)

    def begin(self, sampler: Sampler[Any], numbers: Numbers, width: int = 0) -> PairState:
        size = len(self.toy.states)
        members = [self.toy.batch(digits).widen(width) for digits in np.unravel_index(numbers, (size, size))]
        first, second = (ChainState(batch, evaluate(self.objective, batch)) for batch in members)
        return PairState(first, second)

    def find(self, state: Any) -> Numbers:
        size, members = len(self.toy.states), (state.first, state.second)
        numbers = [self.toy.number(member.batch) for member in members]
        for member, own in zip(members, numbers, strict=True):
            assert own.min() >= 0
            # bit for bit, however often the repulsion was added and taken off
            assert np.array_equal(member.evaluation.energy.numpy(), self.toy.energies[own])
            assert np.array_equal(member.evaluation.terms[:, 0].numpy(), self.toy.energies[own])
        return np.asarray(numbers[0] * size + numbers[1], dtype=np.int64)


def ensemble_matrix(space: Pairs) -> Floats:
    """The first member under its law given the second, then the second given the first as it is then."""
    toy, size = space.toy, len(space.toy.states)
    given = [
        metropolis_hastings(toy.law, toy.states, toy.energies + space.repulsion[:, other], toy.temperature).matrix
        for other in range(size)
    ]
    first, second = np.zeros((2, size, size, size, size))
    for other in range(size):
        first[:, other, :, other] = given[other]
        second[other, :, other, :] = given[other]
    flat = (size * size, size * size)
    return np.asarray(first.reshape(flat) @ second.reshape(flat), dtype=np.float64)


@dataclass(frozen=True)
class AllAtOnce:
    """A broken twin: both members move at the same time, each given where the other was."""

    sampler: Ensemble

    vocabulary = property(lambda self: self.sampler.vocabulary)
    kinds = property(lambda self: self.sampler.kinds)
    guarantee = property(lambda self: self.sampler.guarantee)

    def init(self, objective: Objective, batch: Batch) -> EnsembleState:
        return self.sampler.init(objective, batch)

    def step(
        self, objective: Objective, state: EnsembleState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[EnsembleState, Info]:
        parts = []
        for member in range(2):
            # what the other member does in the meantime is thrown away
            order = torch.arange(len(state.batch)).view(-1, 2)
            order = order.flip(1) if member else order
            back = order.flatten().argsort()
            chains = replace(state, chains=tree.rows(state.chains, order.flatten()))
            swapped = rng.rows(order.flatten())
            place = torch.arange(len(state.batch)) % 2
            ranked = replace(swapped, chain=swapped.chain - swapped.chain % 2 + place)
            after, info = self.sampler.step(objective, chains, ranked, temperature)
            parts.append((tree.rows(after, back), info, back))
        first = torch.arange(len(state.batch)) % 2 == 0
        found = EnsembleState(parts[0][0].chains.where(~first, parts[1][0].chains), state.repulsion, state.joint_energy)
        info = parts[0][1]
        return found, Info(info.accepted, info.kind, info.log_ratio)


SPACE = Pairs(span_toy("ab", "ab", {(1, 1): 1.0}, max_length=2), weight=0.9)
WALK = MetropolisHastings(SPACE.toy.proposal)
CASE = Case(
    SPACE,
    AsOneChain(Ensemble(WALK, letters_shared, SPACE.weight)),
    lambda: ensemble_matrix(SPACE),
    {
        "both at once": AsOneChain(AllAtOnce(Ensemble(WALK, letters_shared, SPACE.weight))),
        "each pair counted twice": AsOneChain(Ensemble(WALK, letters_shared, 2 * SPACE.weight)),
    },
    reversible=False,
    steps=2,
)
GROWING = Pairs(span_toy("ab", "a", {(0, 1): 0.3, (1, 0): 0.7}, max_length=1, temperature=0.7), weight=0.9)
VARIANTS = {
    "texts that grow": Case(
        GROWING,
        AsOneChain(Ensemble(MetropolisHastings(GROWING.toy.proposal), letters_shared, GROWING.weight)),
        lambda: ensemble_matrix(GROWING),
        reversible=False,
        steps=2,
    )
}

MODEL = TableMaskedLM.random(letters("abc"), seed=0)
CHAIN = MetropolisHastings(Edits(MODEL, 4))
FEW = FunctionObjective(lambda texts: [1.5 * text.count("a") for text in texts], name="few a")
SHORT = FunctionObjective(lambda texts: [0.3 * len(text) for text in texts], name="short")
INPUTS = ["abc", "a", "cc"]
SETTINGS: dict[str, Any] = {"steps": 12, "seed": 3, "chains": 3, "thin": 2}


def members(weight: float = 1.0, sampler: Any = CHAIN) -> Ensemble:
    return Ensemble(sampler, letters_shared, weight)


def test_neither_the_batch_nor_its_order_changes_an_ensemble() -> None:
    together = generate(FEW + SHORT, members(), INPUTS, **SETTINGS)
    for number, text in enumerate(INPUTS):
        alone = generate(FEW + SHORT, members(), [text], numbers=[number], **SETTINGS)
        rows = together.inputs == number
        assert [text for text, own in zip(together.texts, rows, strict=True) if own] == alone.texts
        assert together.trace[:, rows].tobytes() == alone.trace.tobytes()
        assert together.recorded["repulsion"][:, rows].tobytes() == alone.recorded["repulsion"].tobytes()
        assert [text for text, own in zip(together.best_texts, rows, strict=True) if own] == alone.best_texts


def test_inputs_that_come_and_go_have_the_same_ensembles() -> None:
    whole = generate(FEW, members(), INPUTS, **SETTINGS)
    for answer in generate_each(FEW, members(), INPUTS, batch_inputs=2, **SETTINGS):
        assert answer.result is not None
        rows = whole.inputs == answer.number
        assert answer.result.trace.tobytes() == np.ascontiguousarray(whole.trace[:, rows]).tobytes()
        assert answer.result.best_texts == [text for text, own in zip(whole.best_texts, rows, strict=True) if own]


def test_a_broken_off_run_goes_on_as_the_unbroken_one(tmp_path: Path) -> None:
    whole = generate(FEW, members(), INPUTS, **SETTINGS)
    generate(FEW, members(), INPUTS, **SETTINGS | {"steps": 5}, checkpoint=tmp_path)
    again = generate(FEW, members(), INPUTS, **SETTINGS, checkpoint=tmp_path)
    assert again.trace.tobytes() == whole.trace.tobytes()
    assert again.best_texts == whole.best_texts and again.texts == whole.texts


def test_members_that_do_not_mind_one_another_are_the_chains_of_the_sampler() -> None:
    plain = generate(FEW + SHORT, CHAIN, INPUTS, **SETTINGS)

    def nothing(texts: Sequence[str], others: Sequence[str]) -> list[float]:
        return [0.0] * len(texts)

    for sampler in (CHAIN, MultipleTry(Edits(MODEL, 4), 2), SimulatedAnnealing(CHAIN, geometric(2.0, 0.5))):
        plain = generate(FEW + SHORT, sampler, INPUTS, **SETTINGS)
        run = generate(FEW + SHORT, Ensemble(sampler, nothing), INPUTS, **SETTINGS)
        assert run.trace.tobytes() == plain.trace.tobytes() and run.texts == plain.texts
        assert all(run.term_traces[name].tobytes() == each.tobytes() for name, each in plain.term_traces.items())
    alone = generate(FEW, members(), INPUTS, **SETTINGS | {"chains": 1})
    single = generate(FEW, CHAIN, INPUTS, **SETTINGS | {"chains": 1})
    assert alone.trace.tobytes() == single.trace.tobytes()


def joint(run_texts: Sequence[str], weight: float) -> float:
    pairs = list(itertools.combinations(run_texts, 2))
    away = sum(letters_shared([one for one, _ in pairs], [other for _, other in pairs]))
    return sum(1.5 * text.count("a") for text in run_texts) + weight * away


def test_the_best_texts_are_those_of_one_ensemble_the_best() -> None:
    settings = SETTINGS | {"thin": 1, "steps": 30}
    run = generate(FEW, members(2.0), INPUTS, **settings)
    for number, text in enumerate(INPUTS):
        rows = [row for row, own in enumerate(run.inputs.tolist()) if own == number]
        met = [[sample[row] for row in rows] for sample in run.samples]
        energies = [joint(texts, 2.0) for texts in [[text] * 3, *met]]
        best = int(np.argmin(energies))
        assert [run.best_texts[row] for row in rows] == [[text] * 3, *met][best]
        assert run.best_energies[rows].tolist() == [1.5 * run.best_texts[row].count("a") for row in rows]
        last = [run.texts[row] for row in rows]
        assert run.recorded["repulsion"][-1, rows].sum() / 2 == pytest.approx(joint(last, 2.0) - joint(last, 0.0))


def test_members_keep_apart() -> None:
    settings: dict[str, Any] = {"steps": 60, "seed": 0, "chains": 3}
    alone = generate(3.0 * FEW, CHAIN, ["abca"] * 20, **settings)
    apart = generate(3.0 * FEW, members(3.0), ["abca"] * 20, **settings)

    def shared(texts: Sequence[str]) -> float:
        return sum(joint(texts[at : at + 3], 1.0) - joint(texts[at : at + 3], 0.0) for at in range(0, len(texts), 3))

    assert shared(apart.texts) < 0.5 * shared(alone.texts)
    assert apart.guarantee is Guarantee.EXACT


def test_likeness_of_words_and_of_vectors() -> None:
    texts = ["the cat sat on the mat", "the cat sat on a mat", "dogs bark", ""]
    every = list(itertools.product(texts, repeat=2))
    forth = ngram_likeness([one for one, _ in every], [other for _, other in every])
    table = np.array(forth).reshape(4, 4)
    assert np.array_equal(table, table.T) and table.min() >= 0 and table.max() <= 1 + 1e-12
    assert table[0, 0] == 1.0 and 0.4 < table[0, 1] < 0.9 and table[0, 2] == table[3, 3] == 0.0
    asked: list[str] = []

    class Vowels:
        def encode(self, texts: Sequence[str]) -> Tensor:
            asked.extend(texts)
            return torch.tensor([[text.count("a") - 0.5, text.count("o") + 0.1] for text in texts])

    vectors = VectorLikeness(Vowels())
    assert vectors(["cat", "cat", "dog"], ["cat", "dog", "cat"]) == pytest.approx([1.0, 0.0, 0.0])
    assert vectors([], []) == [] and sorted(asked) == ["cat", "dog"]
    run = generate(FEW, Ensemble(CHAIN, vectors), ["abc"], steps=3, seed=0, chains=2)
    assert run.steps == 3


@pytest.mark.parametrize(
    ("repulsion", "message"),
    [
        (lambda texts, others: [len(text) for text in texts], "is 1 for 'a' and 'abc', and 3 the other way round"),
        (lambda texts, others: [-1.0] * len(texts), "gave -1 for .* a likeness is a finite number of at least 0"),
        (lambda texts, others: [float("inf")] * len(texts), "gave inf"),
        (lambda texts, others: [1.0], "gave 1 numbers for 2 pairs: return one for each"),
        (lambda texts, others: 3.0, "gave 3.0 for 2 pairs: return one number for each"),
    ],
)
def test_what_is_no_repulsion(repulsion: Any, message: str) -> None:
    start = replace(CHAIN.vocabulary.encode(["abc", "a"]), inputs=torch.zeros(2, dtype=torch.int64))
    with pytest.raises((ValueError, TypeError), match=message):
        generate(FEW, Ensemble(CHAIN, repulsion), start, steps=1, seed=0)


def test_what_cannot_be_meant() -> None:
    with pytest.raises(TypeError, match="repulsion='words' is a string"):
        Ensemble(CHAIN, "words")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="repulsion=VectorLikeness is a class"):
        Ensemble(CHAIN, VectorLikeness)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weight=0 must be a positive number of nats"):
        members(0)
    with pytest.raises(TypeError, match="sampler="):
        members(1.0, Replace(MODEL))
    settings: dict[str, Any] = {"steps": 2, "seed": 0, "chains": 2}
    nested: Any = AdaptiveTemperature(members())
    with pytest.raises(ValueError, match="the members of one ensemble have several temperatures"):
        generate(FEW, nested, ["abc"], **settings | {"steps": 40, "chains": 4})
    with pytest.raises(TypeError, match="the state of Ensemble is a EnsembleState: Cycle hands on"):
        other: Any = members()
        generate(FEW, Cycle([CHAIN, other]), ["abc"], **settings)
    with pytest.raises(TypeError, match="Ensemble hands on texts and energies"):
        generate(FEW, members(1.0, AdaptiveTemperature(CHAIN)), ["abc"], **settings)
    assert members(1.0, Gibbs(MODEL, 3)).guarantee is Guarantee.EXACT
