"""Samplers of different reach that take turns: all stay on the one target, whichever comes first.

On all texts of up to two letters, insertions and deletions reach each of them, and the other samplers not: they write
one letter at most, or know a text by its length. What they cannot write they must keep. The broken twins are samplers
that give it up, and a composite that starts from what its first sampler makes of the texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers import (
    Cycle,
    Gibbs,
    ImportanceSampling,
    IteratedResampling,
    MetropolisHastings,
    Mixture,
    MultipleTry,
    ParallelTempering,
    QuasiRejection,
    Rejection,
    SimulatedAnnealing,
    Thinned,
)
from samplers.proposals import Corrections, Fill, FromLeft, Replace, SuffixResampling, Uniform, template
from tests.reference import Floats, Kernel, State
from tests.samplers import test_corrections
from tests.samplers.fresh_toys import SCALE, FillLaw, LeftLaw
from tests.samplers.laws import Case, p_value
from tests.samplers.test_iterated_resampling import PlainResampling
from tests.samplers.test_multiple_try import multiple_try_matrix
from tests.samplers.test_rejection import PlainRejection, honest
from tests.samplers.test_suffix import SuffixLaw
from tests.samplers.toys import Toy, language_of, span_toy
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective, evaluate
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.schedule import constant
from textsearch.testing import TableCausalLM, TableMaskedLM

TOY = span_toy("ab", "a", {(0, 1): 0.4, (1, 0): 0.6}, max_length=2, temperature=0.8)
FORBIDDEN = replace(TOY, temperature=1.0, forbidden=0.2)
CAUSAL = TableCausalLM.random(TOY.vocabulary, seed=3, scale=SCALE)
MASKED = TableMaskedLM.random(TOY.vocabulary, seed=1, scale=SCALE)
LEFT, LEFT_LAW = FromLeft(CAUSAL, max_length=1), LeftLaw(CAUSAL.table.numpy(), CAUSAL.by_place.numpy(), (), 1.0, 1)
FILL, FILL_LAW = Fill(MASKED), FillLaw(language_of(MASKED))
DRAWS = 3


def draws(toy: Toy, law: Kernel) -> Floats:
    """(S, S) q of each text, from the template that each is; what is missing from a row are draws that fail."""
    number = {state: i for i, state in enumerate(toy.states)}
    found = np.zeros((len(number), len(number)))
    for state, i in number.items():
        for path in law.paths(state, ()):
            found[i, number[path.target]] += path.probability
    return found


def log_bound(toy: Toy, law: Kernel) -> float:
    """The least that holds."""
    q, rho = draws(toy, law), np.exp(-toy.energies / toy.temperature)
    return math.log(max((rho[own > 0] / own[own > 0]).max() for own in q))


def rejection_matrix(toy: Toy, law: Kernel) -> Floats:
    """(S, S): a draw gives way to a draw as ever; what no draw comes back to stays."""
    rho, bound = np.exp(-toy.energies / toy.temperature), math.exp(log_bound(toy, law))
    matrix = np.eye(len(rho))
    for i, q in enumerate(draws(toy, law)):
        if q[i] > 0 or rho[i] == 0:
            matrix[i] = np.where(q > 0, rho / bound, 0.0)
            matrix[i, i] += 1 - matrix[i].sum()
    return matrix


def resampling_matrix(toy: Toy, law: Kernel) -> Floats:
    """(S, S) of a choice among the current text and two draws, by enumeration of both."""
    rho = np.exp(-toy.energies / toy.temperature)
    matrix = np.eye(len(rho))
    for i, q in enumerate(draws(toy, law)):
        if q[i] == 0 and rho[i] > 0:
            continue
        matrix[i] = 0
        weights = np.append(np.divide(rho, q, out=np.zeros_like(q), where=q > 0), 0.0)
        chances = np.append(q, 1 - q.sum())
        own = weights[i] if rho[i] > 0 else 0.0
        for one, two in np.ndindex(len(chances), len(chances)):
            chance, total = chances[one] * chances[two], own + weights[one] + weights[two]
            if total == 0:
                matrix[i, i] += chance
                continue
            for j, weight in ((i, own), (one, weights[one]), (two, weights[two])):
                if weight > 0:
                    matrix[i, j] += chance * weight / total
    return matrix


def edits(toy: Toy) -> MetropolisHastings:
    """What leads everywhere."""
    return MetropolisHastings(toy.proposal)


@dataclass(frozen=True, eq=False)
class FirstComes:
    """The broken twin of a composite: it starts from the state that its first sampler makes of the texts."""

    composite: Cycle | Mixture
    first: Sampler[ChainState]

    @property
    def guarantee(self) -> Guarantee:
        return self.composite.guarantee

    @property
    def vocabulary(self) -> Vocabulary:
        return self.composite.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.composite.kinds

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return self.first.init(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        return self.composite.step(objective, state, rng, temperature)


@dataclass(frozen=True, eq=False)
class Underway(FirstComes):
    """No twin: a composite in the midst of a run, on texts that one of its samplers would not start from."""

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState.start(objective, batch)


@dataclass(frozen=True, eq=False)
class NoTextOfMine(PlainResampling):
    """Starts with an energy of +inf for what q cannot draw, whatever the objective says."""

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState(batch, evaluate(objective, batch, wanted=self.proposal.log_prob(batch) > -math.inf))


def in_turn(toy: Toy, first: tuple[Sampler[Any], Floats], second: tuple[Sampler[Any], Floats], **more: Any) -> Case:
    """A cycle, counted at the first one's turn."""
    return Case(toy, Cycle([first[0], second[0]]), lambda: first[1], step=2, steps=4, **more)


def mixed(toy: Toy, first: tuple[Sampler[Any], Floats], second: tuple[Sampler[Any], Floats], **more: Any) -> Case:
    """A mixture."""
    matrix = 0.6 * first[1] + 0.4 * second[1]
    return Case(toy, Mixture({first[0]: 0.6, second[0]: 0.4}), lambda: matrix, **more)


def cases(toy: Toy, q: IndependentProposal, law: Kernel, build: Callable[..., Case]) -> dict[str, Case]:
    """Rejection and iterated resampling, before and after edits."""
    bound, every = log_bound(toy, law), (edits(toy), toy.chain.matrix)
    rejection = (Rejection(q, bound), rejection_matrix(toy, law))
    resampling = (IteratedResampling(q, DRAWS), resampling_matrix(toy, law))
    gives_up, careless = PlainRejection(q, bound, honest), NoTextOfMine(q, DRAWS)
    # a bound that holds at one temperature need not at another
    cool = {"heats": (1.0, 1.0)}
    twin = "a text that q cannot draw is given up"
    return {
        "rejection, edits": build(
            toy, rejection, every, twins={twin: build(toy, (gives_up, rejection[1]), every).sampler}, **cool
        ),
        "edits, rejection": build(
            toy, every, rejection, twins={twin: build(toy, every, (gives_up, rejection[1])).sampler}, **cool
        ),
        "resampling, edits": build(
            toy,
            resampling,
            every,
            twins={"the first one's energies": FirstComes(build(toy, resampling, every).sampler, careless)},  # type: ignore[arg-type]
        ),
        "edits, resampling": build(toy, every, resampling),
    }


@dataclass(frozen=True, eq=False)
class Within(Toy):
    """A proposal on all states of another toy, most of which it does not lead to."""

    whole: Toy = TOY

    @cached_property
    def states(self) -> list[State]:
        return self.whole.states

    @cached_property
    def energies(self) -> Floats:
        return self.whole.energies


def suffixes() -> dict[str, Case]:
    """New ends for texts of one letter at most."""
    law = SuffixLaw(CAUSAL.table.numpy(), CAUSAL.by_place.numpy(), (), 1.0, 1)
    proposal = SuffixResampling(CAUSAL, max_length=1)
    short, every = Within(proposal, law, TOY.vocabulary, "a", TOY.temperature), (edits(TOY), TOY.chain.matrix)
    found = {
        "in turn: suffixes, edits": in_turn(TOY, (MetropolisHastings(proposal), short.chain.matrix), every),
        "mixed: edits, tries of suffixes": mixed(TOY, every, (MultipleTry(proposal, 2), multiple_try_matrix(short, 2))),
    }
    return {name: replace(case, sampler=Underway(case.sampler, case.sampler)) for name, case in found.items()}  # type: ignore[arg-type]


class PutsAgain(Corrections):  # type: ignore[misc]
    """The broken twin: a word taken out of a text that is too long is said to be put again, which it never is."""

    def _deletions(self, batch: Batch) -> Any:
        return Corrections._deletions(replace(self, max_length=99), batch)


def corrections() -> Case:
    """Of one word, and of two."""
    toy = test_corrections.TOY
    law, whole = toy.law, toy.proposal
    assert isinstance(law, test_corrections.CorrectionsLaw)
    assert isinstance(whole, Corrections)
    shorter = replace(whole, max_length=1)
    within = Within(shorter, replace(law, max_length=1), toy.vocabulary, "", toy.temperature, whole=toy)
    every = MetropolisHastings(whole)
    broken = PutsAgain(**{name: getattr(shorter, name) for name in Corrections.__dataclass_fields__})
    case = in_turn(toy, (MetropolisHastings(shorter), within.chain.matrix), (every, toy.chain.matrix))
    return replace(
        case,
        sampler=Underway(case.sampler, every),  # type: ignore[arg-type]
        twins={"a text that is full is added to": Underway(Cycle([MetropolisHastings(broken), every]), every)},
    )


def quasi_rejection() -> Case:
    bound = log_bound(TOY, LEFT_LAW) + 0.1
    matrix = rejection_matrix(TOY, LEFT_LAW)
    matrix = np.eye(len(matrix)) + (matrix - np.eye(len(matrix))) * math.exp(-0.1)
    return in_turn(
        TOY,
        (QuasiRejection(LEFT, bound), matrix),
        (edits(TOY), TOY.chain.matrix),
        heats=(1.0, 1.0),
        guarantee=Guarantee.BIASED,
    )


VARIANTS: dict[str, Case] = {
    **{f"in turn: {name}": case for name, case in cases(TOY, LEFT, LEFT_LAW, in_turn).items()},
    **{f"mixed: {name}": case for name, case in cases(FORBIDDEN, LEFT, LEFT_LAW, mixed).items()},
    # known by their length: each length is a template of its own
    "filled: rejection, edits": mixed(
        TOY,
        (Rejection(FILL, log_bound(TOY, FILL_LAW)), rejection_matrix(TOY, FILL_LAW)),
        (edits(TOY), TOY.chain.matrix),
        heats=(1.0, 1.0),
    ),
    "filled: edits, resampling": in_turn(
        FORBIDDEN,
        (edits(FORBIDDEN), FORBIDDEN.chain.matrix),
        (IteratedResampling(FILL, DRAWS), resampling_matrix(FORBIDDEN, FILL_LAW)),
    ),
    "in turn: quasi-rejection, edits": quasi_rejection(),
    **suffixes(),
    "in turn: corrections of one word, of two": corrections(),
}

EDITS, BOUND = edits(TOY), log_bound(TOY, LEFT_LAW)
RESAMPLING = IteratedResampling(LEFT, DRAWS)


@pytest.mark.parametrize(
    "sampler",
    [
        Thinned(Cycle([Rejection(LEFT, BOUND), EDITS, Rejection(FILL, log_bound(TOY, FILL_LAW))]), 2),
        ParallelTempering(Mixture({RESAMPLING: 0.5, EDITS: 0.5}), (1.0, 1.5)),
        SimulatedAnnealing(Cycle([IteratedResampling(Uniform(TOY.vocabulary), 2), EDITS, RESAMPLING]), constant(1.0)),
        Cycle([Mixture({Gibbs(MASKED, 2): 0.5, Rejection(LEFT, BOUND): 0.5}), EDITS]),
    ],
    ids=["thinned", "tempered", "annealed", "a mixture within a cycle"],
)
def test_composites_within_others_stay_on_the_target(sampler: Sampler[Any]) -> None:
    assert p_value(TOY, sampler, steps=3) > 1e-4


def test_each_start_is_evaluated_once() -> None:
    asked: list[str] = []

    def listen(texts: list[str]) -> list[float]:
        asked.extend(texts)
        return [float(len(text)) for text in texts]

    parts: list[Sampler[ChainState]] = [Rejection(LEFT, 0.0), EDITS, RESAMPLING, Gibbs(MASKED, 2), Thinned(EDITS, 3)]
    for composite in (Cycle(parts), Mixture(dict.fromkeys(parts, 1.0)), Cycle(parts[::-1])):
        asked.clear()
        state = composite.init(FunctionObjective(listen), TOY.vocabulary.encode(["ab", "a"]))
        assert asked == ["ab", "a"]
        assert state.evaluation.energy.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("sampler", [Rejection(LEFT, 9.0), QuasiRejection(LEFT, 9.0), RESAMPLING])
def test_alone_a_possible_text_that_q_cannot_draw_is_no_start(sampler: Sampler[Any]) -> None:
    flat = FunctionObjective(lambda texts: [math.inf if text == "bb" else 0.0 for text in texts], name="flat")
    refused = r"row 1, 'ab', is no text that FromLeft could draw, and would be kept for ever: start from one that"
    with pytest.raises(ValueError, match=refused):
        generate(flat, sampler, ["a", "ab"], steps=1, seed=0)
    # what has no share of the target is left, whatever it is
    assert "bb" not in generate(flat, sampler, ["bb"], steps=9, seed=0, chains=9).texts or sampler is not RESAMPLING


def test_a_template_is_a_start_only_where_all_can_leave_it() -> None:
    likes_masks = FunctionObjective(lambda texts: [-9.0 * ("_" in text) for text in texts], name="likes masks")
    start = template(TOY.vocabulary, ["a_"])
    # the two record log-weights of unlike shapes
    result = generate(likes_masks, Cycle([IteratedResampling(FILL, 4), Rejection(FILL, 9.0)]), start, steps=4, seed=0)
    assert "_" not in result.texts[0] + result.best_texts[0]
    filling: Sampler[ChainState] = IteratedResampling(FILL, 4)
    for parts in ([filling, EDITS], [EDITS, filling]):
        with pytest.raises(ValueError, match=r"row 0, 'a_', has masks .* MetropolisHastings cannot start from a temp"):
            generate(likes_masks, Cycle(parts), start, steps=1, seed=0)
    never = FunctionObjective(lambda texts: [math.inf] * len(texts), name="never")
    with pytest.raises(ValueError, match="1 of 1 starting texts are forbidden, the first by never: 'a'"):
        generate(never, Mixture({RESAMPLING: 1.0, EDITS: 1.0}), ["a"], steps=1, seed=0)


@dataclass(frozen=True, eq=False)
class Plain:
    """A plug-in, which knows nothing of composites."""

    inner: MetropolisHastings
    kinds: tuple[str, ...] = ("replace",)
    guarantee: Guarantee = Guarantee.EXACT

    @property
    def vocabulary(self) -> Vocabulary:
        return self.inner.vocabulary

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        if "bb" in batch.texts():
            raise ValueError("no bb for me")
        return self.inner.init(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        return self.inner.step(objective, state, rng, temperature)


def test_a_plug_in_says_by_its_init_what_it_refuses() -> None:
    plain = Plain(MetropolisHastings(Replace(MASKED, max_length=2)))
    for composite in (Cycle([Rejection(LEFT, BOUND), plain, EDITS]), Cycle([Thinned(plain, 1), EDITS])):
        start = Underway(composite, EDITS)
        assert p_value(TOY, start, steps=3) > 1e-4
        with pytest.raises(ValueError, match="no bb for me"):
            composite.init(TOY.objective, TOY.vocabulary.encode(["ab", "bb"]))


def test_weighted_draws_in_turn_with_others_promise_nothing() -> None:
    weighted = ImportanceSampling(LEFT)
    for composite in (Cycle([weighted, EDITS]), Mixture({EDITS: 1.0, weighted: 1.0}), Cycle([weighted])):
        assert composite.guarantee is Guarantee.BIASED
    assert ParallelTempering(weighted, (1.0, 2.0)).guarantee is Guarantee.BIASED
    assert Thinned(weighted, 2).guarantee is Guarantee.CONSISTENT
    result = generate(TOY.objective, Cycle([weighted, EDITS]), ["ab"], steps=9, seed=0, chains=5)
    assert np.isfinite(result.best_energies).all()


@dataclass(frozen=True, eq=False)
class Wrong:
    """Says of its texts what no probability can be."""

    log_q: float
    of_draws: float = -1.0
    vocabulary: Vocabulary = TOY.vocabulary

    def check(self, batch: Batch) -> None:
        pass

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        return batch, torch.full((len(batch),), self.of_draws, dtype=torch.float64)

    def log_prob(self, batch: Batch) -> Tensor:
        return torch.full((len(batch),), self.log_q, dtype=torch.float64)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_draw_without_a_probability_is_an_error(value: float) -> None:
    for sampler in (Rejection(Wrong(-1.0, value), 0.0), ImportanceSampling(Wrong(-1.0, value))):
        with pytest.raises(
            ValueError, match=rf"Wrong gave log q = {value} for row 0, 'ab'; it must be finite, or \+inf"
        ):
            generate(TOY.objective, sampler, ["ab", "ba"], steps=1, seed=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_text_without_a_probability_is_an_error(value: float) -> None:
    with pytest.raises(ValueError, match=f"Wrong gave log q = {value} for row 0, 'ab'; it must be finite, or -inf"):
        generate(TOY.objective, IteratedResampling(Wrong(value), 3), ["ab", "ba"], steps=1, seed=0)


def test_a_weight_beyond_all_numbers_is_an_error() -> None:
    low = FunctionObjective(lambda texts: [-1e300] * len(texts), name="low")
    with pytest.raises(ValueError, match=r"the draw '.*' has log-weight inf at energy -1e\+300: raise the temperature"):
        generate(low, ImportanceSampling(LEFT), ["a"], steps=1, seed=0, chains=9, temperature=1e-20)
