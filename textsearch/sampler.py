"""Samplers: what one step of every chain is, whatever the energy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar, final

from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Evaluation, Objective
from textsearch.rng import Rng


class Guarantee(StrEnum):
    """What a sampler promises of its draws."""

    EXACT = "exact"
    """Each step leaves exp(-E / T) invariant."""
    CONSISTENT = "consistent"
    """Weighted draws converge to exp(-E / T) as their number grows."""
    BIASED = "biased"
    """Neither: good for search, or for comparison."""


class State(Protocol):
    """What the next step needs."""

    @property
    def batch(self) -> Batch:
        """The texts of the chains."""

    @property
    def evaluation(self) -> Evaluation:
        """Their energies."""


S = TypeVar("S", bound=State)


@final
@dataclass(frozen=True, eq=False)
class Info:
    """What people look at after a step.

    Attributes:
        accepted: (B,) bool, whether the proposal was taken.
        kind: (B,) int64, index into the sampler's `kinds`.
        log_ratio: (B,) float64, log of the acceptance ratio before the minimum with 1.
    """

    accepted: Tensor
    kind: Tensor
    log_ratio: Tensor


class Sampler(Protocol[S]):
    """A kernel over batches of texts."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of its states."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of its moves."""

    @property
    def guarantee(self) -> Guarantee:
        """What it promises."""

    def init(self, objective: Objective, batch: Batch) -> S:
        """The state at the start."""

    def step(self, objective: Objective, state: S, rng: Rng, temperature: float | Tensor = 1.0) -> tuple[S, Info]:
        """One step of every chain towards exp(-E / temperature); a temperature may be (B,)."""
