"""Broken twins of Metropolis-Hastings: each fault that is easy to make, for the laws that must catch it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samplers import MetropolisHastings
from samplers.proposals import Mixture, SpanEdit
from tests.reference import closure
from tests.samplers.laws import run_from_target
from tests.samplers.toys import TOYS, Toy
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective, evaluate
from textsearch.proposal import Move, Proposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler


@dataclass(frozen=True, eq=False)
class Altered:
    """A proposal whose moves are tampered with."""

    honest: Proposal
    alter: Callable[[Batch, Move, Rng], Move]

    @property
    def vocabulary(self) -> Vocabulary:
        return self.honest.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.honest.kinds

    def check(self, batch: Batch) -> None:
        self.honest.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        return self.alter(batch, self.honest.propose(batch, rng), rng)


def by_ratio(log_ratio: Tensor, uniform: Tensor) -> Tensor:
    """The honest rule."""
    return uniform.log() < log_ratio


@dataclass(frozen=True, eq=False)
class PlainChain:
    """Metropolis-Hastings without shortcuts, whose parts can be broken one at a time."""

    proposal: Proposal
    accept: Callable[[Tensor, Tensor], Tensor] = by_ratio
    ratio: Callable[[Tensor, Move], Tensor] = field(
        default=lambda log_target, move: log_target + move.log_backward - move.log_forward
    )
    guarantee: Guarantee = Guarantee.BIASED

    @property
    def vocabulary(self) -> Vocabulary:
        return self.proposal.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.proposal.kinds

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState(batch, evaluate(objective, batch))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        move = self.proposal.propose(state.batch, rng.fold(0))
        possible = move.log_backward > -math.inf
        proposed = evaluate(objective, move.batch, wanted=possible)
        log_target = (state.evaluation.energy - proposed.energy) / temperature
        log_ratio = self.ratio(log_target, move)
        accepted = possible & (proposed.energy < math.inf) & self.accept(log_ratio, rng.fold(1).uniform(0))
        after = ChainState(state.batch.where(accepted, move.batch), state.evaluation.where(accepted, proposed))
        return after, Info(accepted, move.kind, log_ratio)


def words(batch: Batch) -> Tensor:
    return batch.word_starts.sum(1)


def editable_words(batch: Batch) -> Tensor:
    """Where no word has more than one piece."""
    return batch.editable.sum(1)


def inserts(move: Move, batch: Batch) -> Tensor:
    return move.batch.lengths > batch.lengths


def deletes(move: Move, batch: Batch) -> Tensor:
    return move.batch.lengths < batch.lengths


def turn_round(batch: Batch, move: Move, rng: Rng) -> Move:
    """Forward and backward exchanged."""
    possible = move.log_backward > -math.inf
    return replace(
        move,
        log_forward=move.log_backward.where(possible, 0.0),
        log_backward=move.log_forward.where(possible, -math.inf),
    )


def wrong_candidate(batch: Batch, move: Move, rng: Rng) -> Move:
    """The way back priced at the new word instead of the old one."""
    return replace(move, log_backward=move.log_forward.where(move.log_backward > -math.inf, -math.inf))


def slots_of_the_old_text(batch: Batch, move: Move, rng: Rng) -> Move:
    """n where n + 1 belongs: the way back counted on the text before the move."""
    before, after = words(batch).double(), words(move.batch).double()
    wrong = torch.where(inserts(move, batch), -before.clamp(min=1).log(), -(before + 1).log())
    right = torch.where(inserts(move, batch), -after.log(), -(after + 1).log())
    return replace(move, log_backward=move.log_backward + wrong - right)


def no_slot_factors(batch: Batch, move: Move, rng: Rng) -> Move:
    """All places taken for equally many both ways."""
    slots, deletable = (words(batch) + 1).double(), editable_words(batch).double()
    slots_after, deletable_after = (words(move.batch) + 1).double(), editable_words(move.batch).double()
    forward = torch.where(inserts(move, batch), slots.log(), deletable.log())
    backward = torch.where(inserts(move, batch), deletable_after.log(), slots_after.log())
    possible = move.log_backward > -math.inf
    return replace(
        move,
        log_forward=(move.log_forward + forward).where(possible, 0.0),
        log_backward=(move.log_backward + backward).where(possible, -math.inf),
    )


def inverted_table(insert: float) -> Callable[[Batch, Move, Rng], Move]:
    """p_insert / p_delete where p_delete / p_insert belongs."""
    turn = 2 * math.log(insert / (1 - insert))

    def alter(batch: Batch, move: Move, rng: Rng) -> Move:
        shift = turn * inserts(move, batch).double() - turn * deletes(move, batch).double()
        return replace(move, log_backward=move.log_backward + shift)

    return alter


def impossible_moves_drawn_again(honest: Proposal) -> Callable[[Batch, Move, Rng], Move]:
    """Another move where the first was a null move: the probability of what is left is no longer the stated one."""

    def alter(batch: Batch, move: Move, rng: Rng) -> Move:
        for attempt in range(3):
            again = honest.propose(batch, rng.fold(1000 + attempt))
            null = move.log_backward == -math.inf
            move = Move(
                move.batch.where(null, again.batch),
                move.log_forward.where(~null, again.log_forward),
                move.log_backward.where(~null, again.log_backward),
                move.kind.where(~null, again.kind),
            )
        return move

    return alter


def other_order_on_the_way_back(honest: SpanEdit) -> Callable[[Batch, Move, Rng], Move]:
    """The way back always priced from right to left, whatever order was drawn; for texts of two letters."""
    model = honest.mlm

    def alter(batch: Batch, move: Move, rng: Rng) -> Move:
        rows = torch.arange(len(batch))
        first, second = torch.zeros_like(rows), torch.ones_like(rows)
        written = batch.with_tokens(first, first).with_tokens(second, first)
        log_backward = torch.zeros(len(batch), dtype=torch.float64)
        for place in (second, first):
            law = model.log_probs(written, rows, place).masked_fill(~model.vocabulary.allowed, -math.inf)
            kept = batch.tokens.gather(1, place[:, None])
            log_backward += law.log_softmax(-1).gather(1, kept)[:, 0]
            written = written.with_tokens(place, kept[:, 0])
        return replace(move, log_backward=log_backward)

    return alter


def truncated_reverse_accepted(toy: Toy) -> Proposal:
    """An old word that the proposal could not write, priced as though it could."""
    rare = 1e-12
    assert isinstance(toy.proposal, SpanEdit)
    # words of two pieces are all but never drawn, yet their price is finite; the wrapper then forgets how rare they are
    honest = SpanEdit(toy.proposal.mlm, toy.proposal.table, (1 - rare, rare), 4)

    def alter(batch: Batch, move: Move, rng: Rng) -> Move:
        return replace(move, log_backward=move.log_backward - math.log(rare) * deletes(move, batch).double())

    return Altered(honest, alter)


@dataclass(frozen=True, eq=False)
class Fickle:
    """A mixture whose weights depend on the state, without a correction."""

    even: Mixture
    odd: Mixture

    @property
    def vocabulary(self) -> Vocabulary:
        return self.even.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.even.kinds

    def check(self, batch: Batch) -> None:
        self.even.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        one, other = self.even.propose(batch, rng), self.odd.propose(batch, rng)
        take = batch.lengths % 2 == 1
        return Move(
            one.batch.where(take, other.batch),
            one.log_forward.where(~take, other.log_forward),
            one.log_backward.where(~take, other.log_backward),
            one.kind.where(~take, other.kind),
        )


def fickle(toy: Toy) -> Proposal:
    """Insertions from even lengths are likelier than from odd ones."""
    assert isinstance(toy.proposal, Mixture)
    replaces, edits, *_ = toy.proposal.parts
    return Fickle(Mixture({replaces: 0.2, edits: 0.8}), Mixture({replaces: 0.8, edits: 0.2}))


def q_ratio_clipped(log_target: Tensor, move: Move) -> Tensor:
    return log_target + (move.log_backward - move.log_forward).clamp(-0.5, 0.5)


def q_ratio_left_out(log_target: Tensor, move: Move) -> Tensor:
    return log_target


def over_a_threshold(log_ratio: Tensor, uniform: Tensor) -> Tensor:
    return log_ratio > math.log(0.5)


def ratio_clipped(log_ratio: Tensor, uniform: Tensor) -> Tensor:
    return uniform.log() < log_ratio.clamp(min=math.log(0.3))


def always(log_ratio: Tensor, uniform: Tensor) -> Tensor:
    return torch.ones_like(log_ratio, dtype=torch.bool)


REPLACE, EDIT, FROZEN = TOYS["replace"], TOYS["insert and delete"], TOYS["insert and delete, frozen"]
INFILL, MIXTURE, REWRITE = TOYS["infill"], TOYS["mixture"], TOYS["rewrite, many pieces"]
SWAP, USUAL = TOYS["swap"], TOYS["usual edits"]
PAIR = TOYS["infill, whole texts"]
assert isinstance(EDIT.proposal, SpanEdit)
assert isinstance(PAIR.proposal, SpanEdit)
TRUNCATED = TOYS["replace, words that cannot be written"]

TWINS: dict[str, dict[str, Sampler[Any]]] = {
    "replace": {
        "forward for backward": PlainChain(Altered(REPLACE.proposal, turn_round)),
        "wrong candidate": PlainChain(Altered(REPLACE.proposal, wrong_candidate)),
        "proposal ratio clipped": PlainChain(REPLACE.proposal, ratio=q_ratio_clipped),
        "threshold for a minimum with 1": PlainChain(REPLACE.proposal, accept=over_a_threshold),
        "masked-LM resampling without correction": PlainChain(REPLACE.proposal, accept=always),
    },
    "replace, words that cannot be written": {
        "truncated reverse accepted": PlainChain(truncated_reverse_accepted(TRUNCATED)),
    },
    "insert and delete": {
        "slots of the old text": PlainChain(Altered(EDIT.proposal, slots_of_the_old_text)),
        "wrong candidate": PlainChain(Altered(EDIT.proposal, wrong_candidate)),
        "inverted table": PlainChain(Altered(EDIT.proposal, inverted_table(0.3))),
        "impossible moves drawn again": PlainChain(Altered(EDIT.proposal, impossible_moves_drawn_again(EDIT.proposal))),
    },
    "insert and delete, frozen": {
        "no slot factors": PlainChain(Altered(FROZEN.proposal, no_slot_factors)),
    },
    "infill": {
        "forward for backward": PlainChain(Altered(INFILL.proposal, turn_round)),
    },
    "infill, whole texts": {
        "other order on the way back": PlainChain(Altered(PAIR.proposal, other_order_on_the_way_back(PAIR.proposal))),
    },
    "rewrite, many pieces": {
        "forward for backward": PlainChain(Altered(REWRITE.proposal, turn_round)),
    },
    "usual edits": {
        "proposal ratio left out": PlainChain(USUAL.proposal, ratio=q_ratio_left_out),
        "forward for backward": PlainChain(Altered(USUAL.proposal, turn_round)),
    },
    "swap": {
        "every exchange taken": PlainChain(SWAP.proposal, accept=always),
    },
    "mixture": {
        "weights that depend on the state": PlainChain(fickle(MIXTURE)),
        "proposal ratio left out": PlainChain(MIXTURE.proposal, ratio=q_ratio_left_out),
        "acceptance ratio clipped": PlainChain(MIXTURE.proposal, accept=ratio_clipped),
    },
}


def test_plain_chain_is_the_engine_s_chain() -> None:
    """Bit for bit, so that a twin differs from the engine by its one fault."""
    plain = run_from_target(MIXTURE, PlainChain(MIXTURE.proposal), steps=10, chains=500)
    engine = run_from_target(MIXTURE, MetropolisHastings(MIXTURE.proposal), steps=10, chains=500)
    assert plain.tolist() == engine.tolist()


def test_resampling_without_correction_is_far_off() -> None:
    numbers = run_from_target(REPLACE, PlainChain(REPLACE.proposal, accept=always), steps=6)
    share = np.bincount(numbers, minlength=len(REPLACE.states)) / len(numbers)
    assert np.abs(share - REPLACE.target).sum() / 2 > 0.2


def test_truncated_toy_reaches_single_pieces_only() -> None:
    """From a word of two pieces the proposal leads to others that never lead back."""
    one_way = closure(TRUNCATED.law, TRUNCATED.state("ab"))
    assert len(one_way) < len(TRUNCATED.states)
