"""Proposals: where a Metropolis-Hastings chain may go next, with the probability of going there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final

from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.rng import Rng


@final
@dataclass(frozen=True, eq=False)
class Move:
    """One proposed step of every row.

    Attributes:
        batch: the proposed texts x'.
        log_forward: (B,) float64, log q(x' | x) in nats.
        log_backward: (B,) float64, log q(x | x'); -inf where there is no way back, and for a null move: one that was
            impossible and leaves the row as it is.
        kind: (B,) int64, index into the proposal's `kinds`.
    """

    batch: Batch
    log_forward: Tensor
    log_backward: Tensor
    kind: Tensor


class Proposal(Protocol):
    """Draws x' from q(. | x) for every row, and says what it cost both ways.

    A proposal is reversible on its own: the move back is one that the same proposal could draw.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it writes."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of its moves, for statistics."""

    def check(self, batch: Batch) -> None:
        """Raise a `ValueError` for a starting text that no move could ever leave, such as one over a length limit."""

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One move a row, from the row's own stream of `rng`."""
