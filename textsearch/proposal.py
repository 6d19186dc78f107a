"""Proposals: where a chain may go next, or whole texts drawn afresh, with the probabilities that exactness needs."""

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


class IndependentProposal(Protocol):
    """Draws whole texts from a law q of its own, whatever text stands there, and knows log q of any text.

    Of the given row it may look at nothing but what all texts of its chain share: the input, the frozen tokens, and,
    if it writes into a template, how many tokens there are.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it writes."""

    def check(self, batch: Batch) -> None:
        """Raise a `ValueError` for a row that it could draw nothing for; runs no model."""

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        """A fresh text for each row, and (B,) float64 log q of each, in nats.

        A draw that came to nothing, such as a text that found no end, is +inf: it counts, and has weight 0.
        """

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) float64 log q of the texts that stand there; -inf for one that it could not draw."""
