"""Exchanges of listed stretches against an enumerated transition matrix, and their broken twins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from samplers import MetropolisHastings
from samplers.proposals import Exchanges, Stretch
from tests.reference import Order, Path, State
from tests.samplers.laws import Case
from tests.samplers.toys import Toy
from textsearch.batch import Batch, Vocabulary
from textsearch.proposal import Move
from textsearch.rng import Rng
from textsearch.testing import letters

LETTERS = letters("abc")
STRETCHES = (
    Stretch(0, ((1,), (2,), (3,)), (0.0, 1.0, -0.5), 0.3),
    Stretch(1, ((1, 1), (2, 3)), (0.0, 0.7), 0.0),
    Stretch(2, ((1,), (3,), (2,)), (0.0, 0.2, 1.5), -0.4),
)


@dataclass
class ExchangesLaw:
    """A stretch by its share, then a reading by its weight among those that are not there."""

    stretches: Sequence[Stretch]
    kinds: int = 1
    sites: int = 0

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        total = sum(math.exp(one.log_weight) for one in self.stretches)
        for number, one in enumerate(self.stretches):
            chance = math.exp(one.log_weight) / total
            stop = one.start + len(one.readings[0])
            now = state.tokens[one.start : stop]
            if now not in one.readings or any(state.frozen[one.start : stop]):
                yield Path(("null", number), None, state, chance, 0)
                continue
            weights = {reading: math.exp(w) for reading, w in zip(one.readings, one.log_weights, strict=True)}
            others = sum(weights.values()) - weights[now]
            for reading, weight in weights.items():
                if reading != now:
                    tokens = (*state.tokens[: one.start], *reading, *state.tokens[stop:])
                    target = State(tokens, state.frozen)
                    yield Path((number, reading), (number, now), target, chance * weight / others, 0)


@dataclass(frozen=True, eq=False)
class Broken:
    """Exchanges with one fault."""

    honest: Exchanges
    fault: str

    @property
    def vocabulary(self) -> Vocabulary:
        return self.honest.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.honest.kinds

    def check(self, batch: Batch) -> None:
        self.honest.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        if self.fault == "frozen tokens are exchanged":
            open_ = replace(batch, editable=batch.present, closed=batch.closed & False)
            move = self.honest.propose(open_, rng)
            return replace(move, batch=replace(move.batch, editable=batch.editable))
        move = self.honest.propose(batch, rng)
        return replace(move, log_backward=move.log_forward.where(move.log_backward > -math.inf, move.log_backward))


def toy(start: str) -> Toy:
    return Toy(Exchanges(LETTERS, [STRETCHES]), ExchangesLaw(STRETCHES), LETTERS, start)


def case(start: str) -> Case:
    own = toy(start)
    assert isinstance(own.proposal, Exchanges)
    twin = Broken(own.proposal, "the way back as likely as the way there")
    return Case(own, MetropolisHastings(own.proposal), lambda: own.chain.matrix, {twin.fault: MetropolisHastings(twin)})


CASE = case("aaa")
VARIANTS = {"frozen": case("!baa")}


def test_frozen_tokens_stay_as_they_are() -> None:
    start = toy("!baa").space.batch
    for fault in ("", "frozen tokens are exchanged"):
        moves = Exchanges(LETTERS, [STRETCHES])
        proposal = Broken(moves, fault) if fault else moves
        move = proposal.propose(start.repeat(50), Rng.start(0, 50 * len(start)))
        kept = move.batch.tokens.where(~start.repeat(50).editable, 0).equal(
            start.repeat(50).tokens.where(~start.repeat(50).editable, 0)
        )
        assert kept is not bool(fault)


@pytest.mark.parametrize(
    ("readings", "weights", "message"),
    [
        (((1,), (2,), (2,)), (0.0, 0.0, 0.0), "list two at least, each once, all as long"),
        (((1,),), (0.0,), "list two at least"),
        (((1,), (2, 3)), (0.0, 0.0), "all as long"),
        (((1,), (2,)), (0.0,), "must be 2, one for each reading"),
    ],
)
def test_stretches_that_have_no_law(
    readings: tuple[tuple[int, ...], ...], weights: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Stretch(0, readings, weights)
