"""Suffix resampling against an enumerated transition matrix, and its broken twins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import InsertDelete, Mixture, SuffixResampling
from samplers.proposals.cuts import first_cuts
from tests.reference import Floats, Order, Path, State
from tests.samplers.laws import FAULT, Case, fault_p_value, p_value
from tests.samplers.toys import Toy
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective
from textsearch.proposal import Move, Proposal
from textsearch.rng import Rng
from textsearch.sampler import Guarantee
from textsearch.testing import TableCausalLM, TableMaskedLM, letters

RUNS = 4096
END = 0


@dataclass
class SuffixLaw:
    """Cut anywhere behind the last frozen token, write on to the end: every cut and every text, one by one.

    Attributes:
        table: (reach + 1, V, V) logits by distance, token before, token asked for.
        by_place: (reach + 1, V) logits by the place in the text.
        prompt: tokens before the text.
    """

    table: Floats
    by_place: Floats
    prompt: tuple[int, ...]
    temperature: float
    max_length: int
    sites: int = 0
    kinds: int = 1
    cache: dict[tuple[tuple[int, ...], float], Floats] = field(default_factory=dict)

    def following(self, before: tuple[int, ...], temperature: float) -> Floats:
        """(V,) probabilities of what comes next."""
        if (before, temperature) not in self.cache:
            logits = self.by_place[len(before)].copy()
            context = (*self.prompt, *before)
            for place, token in enumerate(context):
                logits += self.table[len(context) - place, token]
            weights = np.exp(logits / temperature)
            self.cache[before, temperature] = weights / weights.sum()
        return self.cache[before, temperature]

    def probability(self, text: tuple[int, ...], kept: int, temperature: float) -> float:
        """Of writing text[kept:] and the end."""
        return math.prod(
            float(self.following(text[:place], temperature)[token])
            for place, token in enumerate((*text, END))
            if place >= kept
        )

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        first = max((place + 1 for place, frozen in enumerate(state.frozen) if frozen), default=0)
        cuts = range(first, len(state.tokens) + 1)
        for cut in cuts:
            before, written = state.tokens[:cut], 0.0
            for size in range(self.max_length - cut + 1):
                for suffix in itertools.product(range(1, len(self.table[0])), repeat=size):
                    text = (*before, *suffix)
                    share = self.probability(text, cut, self.temperature) / len(cuts)
                    written += share
                    marks = (*state.frozen[:cut], *[False] * size)
                    yield Path((cut, suffix), (cut, state.tokens[cut:]), State(text, marks), share, 0)
            yield Path(("no end", cut), None, state, 1 / len(cuts) - written, 0)


@dataclass(frozen=True, eq=False)
class PowerToy(Toy):
    """The target p^power of the language model that writes the suffixes, over the texts that are short enough."""

    power: float = 1.0

    @cached_property
    def energies(self) -> Floats:
        assert isinstance(self.law, SuffixLaw)
        return np.array([-self.power * math.log(self.law.probability(s.tokens, 0, 1.0)) for s in self.states])


def suffix_toy(
    alphabet: str,
    start: str,
    max_length: int,
    *,
    heat: float = 1.0,
    prompt: str = "",
    power: float | None = None,
    reach: int = 8,
    **target: float,
) -> Toy:
    """A toy with random conditionals; with a `power`, its target is that of the language model."""
    vocabulary = letters(alphabet)
    model = TableCausalLM.random(vocabulary, seed=len(alphabet) + max_length, reach=reach)
    law = SuffixLaw(
        model.table.numpy(),
        model.by_place.numpy(),
        tuple(vocabulary.encode([prompt]).token_lists()[0]),
        heat,
        max_length,
    )
    proposal = SuffixResampling(model, prompt, heat, max_length)
    if power is None:
        return Toy(proposal, law, vocabulary, start, **target)
    return PowerToy(proposal, law, vocabulary, start, power=power, **target)


TOYS: dict[str, Toy] = {
    "two letters": suffix_toy("ab", "", 3),
    "three letters, hot": suffix_toy("abc", "a", 3, heat=1.7),
    "one letter": suffix_toy("a", "", 5, temperature=0.5),
    "a prompt": suffix_toy("ab", "", 3, prompt="ba", heat=0.8),
    "frozen": suffix_toy("ab", "b!ab", 4),
    "wholly frozen": suffix_toy("ab", "!b!a", 4, heat=0.7),
    "forbidden texts": suffix_toy("ab", "b", 3, forbidden=0.3, temperature=0.8),
    "frozen, forbidden, cold": suffix_toy("ab", "!ab", 4, heat=0.6, forbidden=0.2),
    "the language model": suffix_toy("ab", "", 3, power=1.0),
    "the square of the language model": suffix_toy("ab", "", 3, power=2.0, heat=0.5),
    "the square of the language model after a prompt": suffix_toy("ab", "!a", 4, power=2.0, heat=0.5, prompt="ab"),
}
every_toy = pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS.keys())


@every_toy
def test_reference_obeys_detailed_balance(toy: Toy) -> None:
    chain, target = toy.chain, toy.target
    np.testing.assert_allclose(chain.proposal.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(chain.matrix.sum(1), 1, atol=1e-12)
    assert chain.matrix.min() >= -1e-12
    flow = target[:, None] * chain.matrix
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    assert np.abs(target @ chain.matrix - target).max() < 1e-10


@every_toy
def test_kernel_moves_with_the_reference_s_probabilities(toy: Toy) -> None:
    here = [number for number, energy in enumerate(toy.energies) if energy < math.inf]
    sampler = MetropolisHastings(toy.proposal)
    with torch.inference_mode():
        batch = toy.batch(here).repeat(RUNS)
        state = sampler.init(toy.objective, batch)
        after, info = sampler.step(toy.objective, state, Rng.start(11, len(batch)).at(2), toy.temperature)
    reached = toy.number(after.batch)
    assert reached.min() >= 0
    counts = np.zeros((len(here), len(toy.states)))
    np.add.at(counts, (np.repeat(np.arange(len(here)), RUNS), reached), 1)
    expected = toy.chain.matrix[here]
    error = np.sqrt(np.clip(expected * (1 - expected), 0, None) / RUNS)
    assert (np.abs(counts / RUNS - expected) < 7 * error + 0.003).all()
    assert not counts[expected <= 1e-15].any()
    assert after.evaluation.energy.tolist() == toy.energies[reached].tolist()
    assert not info.log_ratio.isnan().any()


@every_toy
def test_log_ratios_are_the_reference_s(toy: Toy) -> None:
    """Bit for bit is too much: the sums are in another order."""
    batch = toy.batch(range(len(toy.states))).repeat(100)
    move = toy.proposal.propose(batch, Rng.start(3, len(batch)))
    come, gone = toy.number(move.batch), np.repeat(np.arange(len(toy.states)), 100)
    real = (move.log_backward > -math.inf).numpy() & (toy.energies[come] < math.inf) & (toy.energies[gone] < math.inf)
    found = (move.log_backward - move.log_forward).numpy()[real]
    for ratio, i, j in zip(found, gone[real], come[real], strict=True):
        ratio += (toy.energies[i] - toy.energies[j]) / toy.temperature
        # one for each cut that leads from i to j
        assert min(abs(ratio - one) for one in toy.chain.log_ratios[i, 0, j]) < 1e-9
    assert real.sum() > 100


@every_toy
def test_chains_stay_on_the_target(toy: Toy) -> None:
    assert p_value(toy, MetropolisHastings(toy.proposal), steps=3) > 1e-4


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_power_target_is_the_fluency_s(power: float) -> None:
    toy = suffix_toy("ab", "", 4, power=power, heat=1 / power, prompt="ab")
    assert isinstance(toy.proposal, SuffixResampling)
    found = (power * Fluency(toy.proposal.lm, "ab")).energy(toy.batch(range(len(toy.states))))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, toy.energies, atol=1e-12)


def test_a_proposal_that_draws_from_the_target_pays_for_lengths_alone() -> None:
    toy = TOYS["the language model"]
    batch = toy.batch(range(len(toy.states))).repeat(200)
    sampler = MetropolisHastings(toy.proposal)
    state = sampler.init(toy.objective, batch)
    move = toy.proposal.propose(batch, Rng.start(1, len(batch)).fold(0))
    after, info = sampler.step(toy.objective, state, Rng.start(1, len(batch)))
    real = move.log_backward > -math.inf
    cuts = log_cuts(batch) - log_cuts(move.batch)
    torch.testing.assert_close(info.log_ratio[real], cuts[real], atol=1e-12, rtol=0)
    assert not info.accepted[~real].any()
    assert after.batch.rows(~real).same_text(batch.rows(~real)).all()
    # shorter texts have fewer cuts, and are always taken
    assert info.accepted[real & (move.batch.lengths <= batch.lengths)].all()
    assert 0.3 < real.double().mean() < 1


def test_a_text_without_an_end_is_a_null_move() -> None:
    toy = TOYS["two letters"]
    batch = toy.vocabulary.encode(["", "aba", "ba"]).repeat(500)
    move = toy.proposal.propose(batch, Rng.start(0, len(batch)))
    none = move.log_backward == -math.inf
    assert none.any()
    assert move.batch.rows(none).same_text(batch.rows(none)).all()
    assert not move.log_forward[none].any()
    assert int(move.batch.lengths.max()) == 3


def test_frozen_tokens_and_all_before_them_are_kept() -> None:
    vocabulary = letters("abc")
    proposal = SuffixResampling(TableCausalLM.random(vocabulary, seed=0), max_length=7)
    batch = vocabulary.encode(["abcab", "", "ca", "bbbbb"]).repeat(200)
    frozen = torch.zeros_like(batch.editable)
    frozen[:, 2] = True
    frozen[100:400:2, 1] = True
    batch = batch.frozen(frozen)
    first = first_cuts(batch)
    assert set(first[:200].tolist()) == {3}
    assert set(first[200:400].tolist()) == {0}
    assert set(first[400:600].tolist()) == {0}
    move = proposal.propose(batch, Rng.start(0, len(batch)))
    assert first_cuts(move.batch).equal(first)
    for before, after, cut in zip(batch.token_lists(), move.batch.token_lists(), first.tolist(), strict=True):
        assert after[:cut] == before[:cut]
    kept = torch.nn.functional.pad(frozen & batch.present, (0, move.batch.width - batch.width))
    assert move.batch.editable.equal(move.batch.present & ~kept)
    assert len(set(move.batch.texts())) > 50


def test_texts_that_others_made_too_long_are_left_alone() -> None:
    vocabulary = letters("ab")
    short = SuffixResampling(TableCausalLM.random(vocabulary, seed=0), max_length=2)
    longer = InsertDelete(TableMaskedLM.random(vocabulary, seed=0), max_length=4)
    move = short.propose(vocabulary.encode(["aba", "abab"]).repeat(50), Rng.start(0, 100))
    assert (move.log_backward == -math.inf).all()
    assert move.batch.texts() == ["aba"] * 50 + ["abab"] * 50
    sampler = MetropolisHastings(Mixture({short: 1.0, longer: 1.0}))
    flat = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")
    state = sampler.init(flat, vocabulary.encode(["ab"] * 200))
    for step in range(8):
        state, info = sampler.step(flat, state, Rng.start(0, 200).at(step))
        assert not info.log_ratio.isnan().any()
    assert set(state.batch.lengths.tolist()) == {0, 1, 2, 3, 4}


def test_no_rows() -> None:
    vocabulary = letters("ab")
    proposal = SuffixResampling(TableCausalLM.random(vocabulary, seed=0), max_length=2)
    assert len(proposal.propose(vocabulary.encode([]), Rng.start(0, 0)).batch) == 0


def test_chains_do_not_depend_on_the_rest_of_the_batch() -> None:
    vocabulary = letters("abcD")
    model = TableCausalLM.random(vocabulary, seed=0)
    texts = ["abc", "", "aDb", "cbaaDc", "b", "aDcaDc", "ab", "bacbac"]
    prompts = ["ab", "", "c", "ab", "bDa", "", "c", "a"]
    sampler = MetropolisHastings(SuffixResampling(model, prompts, 0.7, 7))
    fewer = FunctionObjective(lambda texts: [math.inf if "cc" in t else 0.7 * t.count("a") for t in texts], name="few")
    batch = vocabulary.encode(texts).repeat(4)
    frozen = torch.zeros_like(batch.editable)
    frozen[::3, 1] = True
    batch = batch.frozen(frozen)
    objective = fewer + 1.5 * Fluency(model, prompts)
    rng = Rng.start(21, len(batch))

    def run(rows: list[int], width: int = 0) -> tuple[list[list[int]], list[float], list[float]]:
        state = sampler.init(objective, batch.rows(rows).widen(width))
        for step in range(4):
            state, info = sampler.step(objective, state, rng.rows(rows).at(step), 1.3)
        return state.batch.token_lists(), state.evaluation.energy.tolist(), info.log_ratio.tolist()

    whole = run(list(range(32)))
    order = torch.randperm(32, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in ([5], [30], list(range(10, 27)), order):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
    assert run(list(range(32)), width=13) == whole


def test_check_names_value_and_remedy() -> None:
    vocabulary = letters("ab")
    model = TableCausalLM.random(vocabulary, seed=0)
    with pytest.raises(ValueError, match=r"temperature=0.0 must be a positive number"):
        SuffixResampling(model, temperature=0.0)
    with pytest.raises(ValueError, match=r"max_length=0 must be at least 1"):
        SuffixResampling(model, max_length=0)
    with pytest.raises(ValueError, match=r"a text of 3 tokens is over max_length=2: 'aba'; shorten it or raise"):
        SuffixResampling(model, max_length=2).check(vocabulary.encode(["ab", "aba"]))
    with pytest.raises(ValueError, match=r"prompt has 2 values, but there are 3 inputs"):
        SuffixResampling(model, ["a", ""]).check(vocabulary.encode(["ab", "aba", "b"]))
    SuffixResampling(model, ["a", ""]).check(vocabulary.encode(["ab", "aba"]))
    SuffixResampling(model).check(vocabulary.encode([]))
    assert SuffixResampling(model).kinds == ("suffix",)
    assert MetropolisHastings(SuffixResampling(model)).guarantee == Guarantee.EXACT


@dataclass(frozen=True, eq=False)
class Altered:
    """A proposal whose moves are tampered with."""

    honest: SuffixResampling
    alter: Callable[[SuffixResampling, Batch, Move], Move]

    @property
    def vocabulary(self) -> Vocabulary:
        return self.honest.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.honest.kinds

    def check(self, batch: Batch) -> None:
        self.honest.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        return self.alter(self.honest, batch, self.honest.propose(batch, rng))


def log_cuts(batch: Batch) -> Tensor:
    return (batch.lengths - first_cuts(batch) + 1).double().log()


def log_end(honest: SuffixResampling, batch: Batch) -> Tensor:
    return honest.lm.suffix_log_probs(batch, batch.lengths, prompt=honest.prompt, temperature=honest.temperature)


def nothing(honest: SuffixResampling, batch: Batch, move: Move) -> Move:
    return move


def no_length_factors(honest: SuffixResampling, batch: Batch, move: Move) -> Move:
    return replace(
        move,
        log_forward=move.log_forward + log_cuts(batch),
        log_backward=move.log_backward + log_cuts(move.batch),
    )


def length_factors_turned_round(honest: SuffixResampling, batch: Batch, move: Move) -> Move:
    turn = log_cuts(batch) - log_cuts(move.batch)
    return replace(move, log_forward=move.log_forward + turn, log_backward=move.log_backward - turn)


def frozen_tokens_counted_as_cuts(honest: SuffixResampling, batch: Batch, move: Move) -> Move:
    extra = log_cuts(batch) - (batch.lengths + 1).double().log()
    extra_back = log_cuts(move.batch) - (move.batch.lengths + 1).double().log()
    return replace(move, log_forward=move.log_forward + extra, log_backward=move.log_backward + extra_back)


def no_end(honest: SuffixResampling, batch: Batch, move: Move) -> Move:
    """P(end) left out both ways, as where the end token is also the padding."""
    return replace(
        move,
        log_forward=move.log_forward - log_end(honest, move.batch),
        log_backward=move.log_backward - log_end(honest, batch),
    )


def no_end_on_the_way_back(honest: SuffixResampling, batch: Batch, move: Move) -> Move:
    return replace(move, log_backward=move.log_backward - log_end(honest, batch))


def untempered(honest: SuffixResampling, batch: Batch, move: Move) -> Move:
    """Drawn at one temperature, priced at another; for one cut, the front."""
    start = torch.zeros_like(batch.lengths)

    def shift(one: Batch) -> Tensor:
        plain = honest.lm.suffix_log_probs(one, start, prompt=honest.prompt)
        return plain - honest.lm.suffix_log_probs(one, start, prompt=honest.prompt, temperature=honest.temperature)

    return replace(
        move,
        log_forward=move.log_forward + shift(move.batch),
        log_backward=move.log_backward + shift(batch),
    )


@dataclass(frozen=True, eq=False)
class CutCounts:
    """A model that takes a text cut at its longest for one that has ended."""

    honest: TableCausalLM

    @property
    def vocabulary(self) -> Vocabulary:
        return self.honest.vocabulary

    def draw_suffixes(self, *arguments: Any, **settings: Any) -> tuple[Batch, Tensor, Tensor]:
        new, log_prob, ended = self.honest.draw_suffixes(*arguments, **settings)
        return new, log_prob, torch.ones_like(ended)

    def suffix_log_probs(self, *arguments: Any, **settings: Any) -> Tensor:
        return self.honest.suffix_log_probs(*arguments, **settings)


def twin(toy: Toy, alter: Callable[[SuffixResampling, Batch, Move], Move]) -> tuple[Toy, Proposal]:
    assert isinstance(toy.proposal, SuffixResampling)
    return toy, Altered(toy.proposal, alter)


def cut_taken_for_an_end(toy: Toy) -> tuple[Toy, Proposal]:
    assert isinstance(toy.proposal, SuffixResampling)
    assert isinstance(toy.proposal.lm, TableCausalLM)
    return toy, replace(toy.proposal, lm=CutCounts(toy.proposal.lm))


PLAIN, SQUARE, FROZEN = (TOYS[name] for name in ("two letters", "the square of the language model", "frozen"))

TWINS: dict[str, tuple[Toy, Proposal]] = {
    "length factors left out": twin(PLAIN, no_length_factors),
    "length factors left out, power": twin(SQUARE, no_length_factors),
    "length factors turned round": twin(PLAIN, length_factors_turned_round),
    "frozen tokens counted as cuts": twin(FROZEN, frozen_tokens_counted_as_cuts),
    "P(end) left out": twin(PLAIN, no_end),
    "P(end) left out, power": twin(SQUARE, no_end),
    "P(end) left out on the way back": twin(PLAIN, no_end_on_the_way_back),
    "drawn at one temperature, priced at another": twin(SQUARE, untempered),
    "a cut taken for an end": cut_taken_for_an_end(PLAIN),
}

CASE = Case(
    PLAIN,
    MetropolisHastings(PLAIN.proposal),
    lambda: PLAIN.chain.matrix,
    {name: MetropolisHastings(broken) for name, (toy, broken) in TWINS.items() if toy is PLAIN},
)


@pytest.mark.parametrize(("toy", "broken"), TWINS.values(), ids=TWINS.keys())
def test_broken_twin_is_caught(toy: Toy, broken: Proposal) -> None:
    assert fault_p_value(toy, MetropolisHastings(broken), steps=4) < FAULT


@pytest.mark.parametrize("toy", [PLAIN, SQUARE, FROZEN])
def test_honest_twin_passes(toy: Toy) -> None:
    honest, proposal = twin(toy, nothing)
    assert p_value(honest, MetropolisHastings(proposal), steps=4) > 1e-4


def test_sharpening_tokens_is_not_sharpening_texts() -> None:
    """What a low temperature alone draws from is another law than the power of p."""
    toy = TOYS["the square of the language model"]
    assert isinstance(toy.law, SuffixLaw)
    tokens = np.array([toy.law.probability(state.tokens, 0, 0.5) for state in toy.states])
    assert np.abs(tokens / tokens.sum() - toy.target).sum() / 2 > 0.05


def test_sampled_log_probability_is_the_scored_one() -> None:
    model = TableCausalLM.random(letters("abc"), seed=2)
    batch = model.vocabulary.encode(["abcab", "", "ca", "bbb"]).repeat(100)
    cuts = torch.arange(400) % (batch.lengths + 1)
    prompts = ["", "ab", "c", "bab"] * 100
    for temperature in (0.5, 1.0, 2.0):
        settings: dict[str, Any] = {"prompt": prompts, "temperature": temperature}
        new, log_prob, ended = model.draw_suffixes(batch, cuts, Rng.start(0, 400), most=6, **settings)
        found = model.suffix_log_probs(new, cuts, **settings)
        torch.testing.assert_close(log_prob[ended], found[ended], atol=1e-12, rtol=0)
        assert (log_prob[~ended] > found[~ended]).all()
        assert 0 < ended.sum() < 400
