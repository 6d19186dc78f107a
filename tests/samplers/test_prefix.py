"""Prefix resampling against an enumerated transition matrix, its broken twins, and whole texts from the right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import FromRight, Mixture, PrefixResampling, SuffixResampling
from tests.reference import Order, Path, State
from tests.samplers.fresh_toys import LeftLaw
from tests.samplers.laws import FAULT, Case, fault_p_value, p_value
from tests.samplers.test_suffix import TOYS as SUFFIX_TOYS
from tests.samplers.test_suffix import SuffixLaw, log_cuts
from tests.samplers.toys import Toy
from textsearch.batch import BEFORE, BEHIND, Batch, Vocabulary
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.objective import FunctionObjective
from textsearch.proposal import Move
from textsearch.rng import Rng
from textsearch.testing import TableCausalLM, letters

RUNS = 4096


def turned(state: State) -> State:
    return State(state.tokens[::-1], state.frozen[::-1])


@dataclass
class PrefixLaw:
    """The law of suffixes, of texts that are turned round."""

    of: SuffixLaw
    sites: int = 0
    kinds: int = 1

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        for path in self.of.paths(turned(state), order):
            yield path._replace(target=turned(path.target))


def prefix_toy(name: str, start: str) -> Toy:
    """The mirror image of a toy of suffixes."""
    other = SUFFIX_TOYS[name]
    assert isinstance(other.proposal, SuffixResampling) and isinstance(other.law, SuffixLaw)
    own = other.proposal
    proposal = PrefixResampling(RightToLeftLM(own.lm), own.temperature, own.max_length)  # type: ignore[arg-type]
    return Toy(proposal, PrefixLaw(other.law), other.vocabulary, start, other.temperature, other.forbidden)


TOYS = {
    "two letters": prefix_toy("two letters", ""),
    "three letters, hot": prefix_toy("three letters, hot", "a"),
    "one letter": prefix_toy("one letter", ""),
    "wholly frozen": prefix_toy("wholly frozen", "!b!a"),
    "forbidden texts": prefix_toy("forbidden texts", "b"),
}
every_toy = pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS.keys())


@every_toy
def test_kernel_moves_with_the_reference_s_probabilities(toy: Toy) -> None:
    here = [number for number, energy in enumerate(toy.energies) if energy < math.inf]
    sampler = MetropolisHastings(toy.proposal)
    with torch.inference_mode():
        batch = toy.batch(here).repeat(RUNS)
        after, _ = sampler.step(
            toy.objective, sampler.init(toy.objective, batch), Rng.start(11, len(batch)).at(2), toy.temperature
        )
    counts = np.zeros((len(here), len(toy.states)))
    np.add.at(counts, (np.repeat(np.arange(len(here)), RUNS), toy.number(after.batch)), 1)
    expected = toy.chain.matrix[here]
    error = np.sqrt(np.clip(expected * (1 - expected), 0, None) / RUNS)
    assert (np.abs(counts / RUNS - expected) < 7 * error + 0.003).all()


@every_toy
def test_chains_stay_on_the_target(toy: Toy) -> None:
    assert p_value(toy, MetropolisHastings(toy.proposal), steps=3) > 1e-4


@dataclass(frozen=True, eq=False)
class Altered:
    """A proposal whose moves are tampered with."""

    honest: PrefixResampling
    alter: Callable[[PrefixResampling, Batch, Move], Move]

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


def read_from_the_left(honest: PrefixResampling, batch: Batch, move: Move) -> Move:
    """Written from the right, priced as if from the left."""

    def whole(one: Batch) -> Tensor:
        return honest.lm.lm.suffix_log_probs(one, torch.zeros_like(one.lengths)) - honest.lm.score(one).log_prob

    return replace(
        move, log_forward=move.log_forward + whole(move.batch), log_backward=move.log_backward + whole(batch)
    )


def no_length_factors(honest: PrefixResampling, batch: Batch, move: Move) -> Move:
    return replace(
        move, log_forward=move.log_forward + log_cuts(batch), log_backward=move.log_backward + log_cuts(move.batch)
    )


PLAIN = TOYS["two letters"]
TWINS = {"priced as read from the left": read_from_the_left, "length factors left out": no_length_factors}

CASE = Case(
    PLAIN,
    MetropolisHastings(PLAIN.proposal),
    lambda: PLAIN.chain.matrix,
    {name: MetropolisHastings(Altered(PLAIN.proposal, alter)) for name, alter in TWINS.items()},  # type: ignore[arg-type]
)


@pytest.mark.parametrize("name", TWINS)
def test_broken_twin_is_caught(name: str) -> None:
    assert fault_p_value(PLAIN, CASE.twins[name], steps=4) < FAULT


def test_an_energy_read_from_both_ends_has_an_exact_sampler() -> None:
    """The product of both directions, on all texts of up to three letters, by moves from both sides."""
    vocabulary = letters("ab")
    forward = TableCausalLM.random(vocabulary, seed=1)
    backward = RightToLeftLM(TableCausalLM.random(vocabulary, seed=2))
    moves = Mixture({SuffixResampling(forward, max_length=3): 1.0, PrefixResampling(backward, max_length=3): 1.0})
    texts = [""] + [a + b + c for a in "ab" for b in ("", "a", "b") for c in (("", "a", "b") if b else ("",))]
    batch = vocabulary.encode(texts)
    both = Fluency(forward) + Fluency(backward)
    law = (-both.energy(batch)).softmax(0)
    one_sided = (-2 * Fluency(forward).energy(batch)).softmax(0)
    sampler = MetropolisHastings(moves)
    start = vocabulary.encode([""] * 8000)
    state = sampler.init(both, start)
    rng = Rng.start(5, len(start))
    for step in range(12):
        state, _ = sampler.step(both, state, rng.at(step))
    found = torch.tensor([state.batch.texts().count(text) for text in texts]) / len(start)
    error = (law * (1 - law) / len(start)).sqrt()
    assert ((found - law).abs() < 5 * error + 1e-3).all()
    # the control: the same draws are far from what one direction alone would give
    assert ((found - one_sided).abs() > 5 * error + 1e-3).any()


def test_a_model_of_reversed_rows_scores_a_text_from_its_end() -> None:
    vocabulary = letters("abc")
    lm = TableCausalLM.random(vocabulary, seed=0)
    batch = vocabulary.encode(["abc", "ca", "", "b"])
    assert RightToLeftLM(lm).score(batch).log_prob.equal(lm.score(vocabulary.encode(["cba", "ac", "", "b"])).log_prob)
    assert not RightToLeftLM(lm).score(batch).log_prob.equal(lm.score(batch).log_prob)
    other = letters("abc").encode(["abc", "ca", "", "b"])
    assert RightToLeftLM(lm).score(other).log_prob.equal(RightToLeftLM(lm).score(batch).log_prob)
    with pytest.raises(ValueError, match=r"prompt='a': a model that reads from right to left"):
        Fluency(RightToLeftLM(lm), "a").energy(batch)


def test_a_mirror_image_s_mirror_image_is_the_batch() -> None:
    batch = letters("abc").encode(["abc", "ca", "", "b"])
    frozen = torch.zeros_like(batch.editable)
    frozen[0, 0] = frozen[1, 0] = True
    slots = torch.zeros(4, 4, dtype=torch.bool)
    slots[0, 0] = True
    batch = batch.frozen(frozen).closing(slots).begun()
    mirrored = batch.mirrored()
    assert mirrored.texts() == ["cba", "ac", "", "b"]
    assert mirrored.editable.tolist()[:2] == [[True, True, False], [True, False, False]]
    assert batch.closed.tolist()[0] == [BEFORE, 0, 0] and mirrored.closed.tolist()[0] == [0, 0, BEHIND]
    assert mirrored.homes.tolist()[:2] == [[-1, -1, 0], [-1, 0, -1]]
    again = mirrored.mirrored()
    for name in ("tokens", "lengths", "editable", "inputs", "closed", "homes"):
        assert getattr(again, name).equal(getattr(batch, name)), name


def test_what_stands_behind_a_frozen_token_is_kept() -> None:
    vocabulary = letters("abc")
    proposal = PrefixResampling(RightToLeftLM(TableCausalLM.random(vocabulary, seed=0)), max_length=7)
    batch = vocabulary.encode(["abcab"] * 300)
    frozen = torch.zeros_like(batch.editable)
    frozen[:, 2] = True
    move = proposal.propose(batch.frozen(frozen), Rng.start(0, 300))
    drawn = move.log_backward > -math.inf
    assert all(text.endswith("cab") for text in move.batch.texts())
    assert len(set(move.batch.rows(drawn).texts())) > 10
    shut = batch.frozen(batch.present).closing(torch.tensor([[True] + [False] * 5]).expand(300, -1))
    assert proposal.propose(shut, Rng.start(0, 300)).batch.texts() == ["abcab"] * 300


def test_texts_from_the_right_follow_the_enumerated_law() -> None:
    vocabulary = letters("ab")
    model = TableCausalLM.random(vocabulary, seed=4, scale=0.4)
    law = LeftLaw(model.table.numpy(), model.by_place.numpy(), (), 0.8, 3)
    proposal = FromRight(RightToLeftLM(model), 0.8, 3)
    drawn, log_prob = proposal.draw(vocabulary.encode([""] * 20_000), Rng.start(0, 20_000))
    ended = log_prob < math.inf
    texts = drawn.rows(ended).texts()
    torch.testing.assert_close(proposal.log_prob(drawn.rows(ended)), log_prob[ended], atol=1e-12, rtol=0)
    total = 0.0
    for path in law.paths(State((), ()), ()):
        text = "".join("_ab"[token] for token in path.target.tokens[::-1])
        error = math.sqrt(path.probability * (1 - path.probability) / 20_000)
        assert abs(texts.count(text) / 20_000 - path.probability) < 5 * error + 1e-4
        total += path.probability
    assert abs(float(ended.double().mean()) - total) < 0.02
    kept = vocabulary.encode(["ab"]).frozen(torch.tensor([[False, True]])).repeat(50)
    assert all(text.endswith("b") for text in proposal.draw(kept, Rng.start(0, 50))[0].texts())


def test_check_names_value_and_remedy() -> None:
    model = TableCausalLM.random(letters("ab"), seed=0)
    for kind in (PrefixResampling, FromRight):
        with pytest.raises(TypeError, match="not a model that reads from right to left: wrap one"):
            kind(model)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"temperature=0"):
            kind(RightToLeftLM(model), temperature=0)
    with pytest.raises(ValueError, match="over max_length=2"):
        PrefixResampling(RightToLeftLM(model), max_length=2).check(letters("ab").encode(["aba"]))
    flat = FunctionObjective(lambda texts: [0.0] * len(texts))
    assert MetropolisHastings(PrefixResampling(RightToLeftLM(model))).init(flat, model.vocabulary.encode(["a"]))
