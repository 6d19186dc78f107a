"""Samplers: what one step of every chain is, whatever the energy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar, final

from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Evaluation, Objective, evaluate, term_names
from textsearch.proposal import Move
from textsearch.rng import Rng
from textsearch.spelling import canonical


class Guarantee(StrEnum):
    """What a sampler promises of its draws."""

    EXACT = "exact"
    """Each step leaves exp(-E / T) invariant."""
    CONSISTENT = "consistent"
    """Weighted draws converge to exp(-E / T) as their number grows."""
    BIASED = "biased"
    """Neither: good for search, or for comparison."""


class State(Protocol):
    """What the next step needs.

    Where the chains of an input are one state together, it may say so with an attribute `joint_energy`, (B,) nats, the
    same for each of them: the best texts of a run are then those at which it was lowest.
    """

    @property
    def batch(self) -> Batch:
        """The texts of the chains."""

    @property
    def evaluation(self) -> Evaluation:
        """Their energies."""


S = TypeVar("S", bound=State)


@final
@dataclass(frozen=True, eq=False)
class ChainState:
    """The state of most chains: their texts and energies."""

    batch: Batch
    evaluation: Evaluation

    @staticmethod
    def start(objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies, for chains that must start where the target is not zero.

        Raises:
            ValueError: a text is forbidden; the message names the term that does so, and the text.
        """
        evaluation = evaluate(objective, batch)
        forbidden = evaluation.energy == math.inf
        if not bool(forbidden.any()):
            return ChainState(batch, evaluation)
        row = int(forbidden.nonzero()[0])
        refuse_other_spelling(batch.rows([row]), row)
        values = zip(term_names(objective), evaluation.terms[row].tolist(), strict=True)
        guilty = " and ".join(name for name, value in values if value == math.inf)
        raise ValueError(
            f"{int(forbidden.sum())} of {len(batch)} starting texts are forbidden, the first by {guilty}: "
            f"{batch.rows([row]).texts()[0]!r}. A chain must start from a text of finite energy; "
            "change the text, or loosen that term"
        )

    def rows(self, index: Tensor) -> ChainState:
        """Some of the chains."""
        return ChainState(self.batch.rows(index), self.evaluation.rows(index))

    def where(self, take: Tensor, other: ChainState) -> ChainState:
        """Chain b of `other` where `take[b]` (B,) bool, of this state elsewhere."""
        return ChainState(self.batch.where(take, other.batch), self.evaluation.where(take, other.evaluation))


def refuse_other_spelling(one: Batch, row: int) -> None:
    """Raise a `ValueError` for a start, row `row` of all, that is not spelt as its vocabulary spells its text."""
    if not bool(canonical(one)):
        text = one.texts()[0]
        raise ValueError(
            f"row {row} spells {text[:60]!r} in other tokens than its vocabulary does, {one.token_lists()[0]}: chains "
            "are over texts, each in one spelling; start from vocabulary.encode(texts), or change the text where "
            "vocabulary.decode does not give it back"
        )


@final
@dataclass(frozen=True, eq=False)
class Info:
    """What a step did, for statistics.

    Attributes:
        accepted: (B,) bool, whether the proposal was taken.
        kind: (B,) int64, index into the sampler's `kinds`.
        log_ratio: (B,) float64, log of the acceptance ratio before the minimum with 1.
        recorded: name -> a tensor that a run should record at each step, of the same shape at every step: the
            log-weights of the draws, the energies of all rungs, ...
    """

    accepted: Tensor
    kind: Tensor
    log_ratio: Tensor
    recorded: Mapping[str, Tensor] = field(default_factory=dict)


@final
@dataclass(frozen=True, eq=False)
class Weighed:
    """What a watcher is told of moves that a step weighs against the texts that they set out from; see `watching`.

    Attributes:
        before: the texts x, one for each move.
        here: their energies.
        move: the proposed texts x', with log q both ways.
        there: the energies of these, as far as they were worked out.
        tries: moves of each chain, side by side.
    """

    before: Batch
    here: Evaluation
    move: Move
    there: Evaluation
    tries: int = 1


class Sampler(Protocol[S]):
    """A kernel over batches of texts.

    Any object with these methods is one. It draws random numbers from the passed `rng` alone: `rng.fold(tag)` for each
    part of a step, `rng.uniform(draw)` for one number a row, `rng.split(count)` for several streams of each row. Then
    a chain is a function of its seed, the number of its input and its own, whatever else is in the batch.

    What a sampler may have besides:

    - a state of its own, any frozen dataclass with a `batch` and an `evaluation`;
    - `Info(..., recorded={"log weights": ...})`, (B,) log of exp(-E / T) / q, if it weighs its draws and calls itself
      consistent;
    - `check(batch)`, which raises a `ValueError` for texts that it cannot start from, and `starts_anywhere`, whether a
      forbidden text will do: a `Cycle` or `Mixture` asks these, and otherwise calls `init` once to learn the same.

    In a `Cycle` or `Mixture` it may meet texts that it could not write, and must keep them.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of its states."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of its moves."""

    @property
    def guarantee(self) -> Guarantee:
        """What it promises of its draws."""

    def init(self, objective: Objective, batch: Batch) -> S:
        """The state at the start."""

    def step(self, objective: Objective, state: S, rng: Rng, temperature: float | Tensor = 1.0) -> tuple[S, Info]:
        """One step of every chain towards exp(-E / temperature); a temperature may be (B,)."""
