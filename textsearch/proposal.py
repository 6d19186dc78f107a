"""Proposals: moves of a chain, or draws of whole texts, with the probabilities that an exact sampler needs."""

from __future__ import annotations

import math
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
    """Draws x' from q(. | x) for every row, and gives log q of the move and of its reverse.

    A proposal is reversible: the same proposal can draw the move back.
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


def propose(proposal: Proposal, batch: Batch, rng: Rng) -> Move:
    """One move a row, with its log-probabilities checked.

    Raises:
        ValueError: log q is nan or +inf, or -inf for a move that was drawn and can be undone. A sampler would silently
        never
            accept such a move, or never undo it.
    """
    move = proposal.propose(batch, rng)
    forward, backward = move.log_forward, move.log_backward
    wrong_forward = forward.isnan() | (forward == math.inf) | ((forward == -math.inf) & (backward > -math.inf))
    wrong = wrong_forward | backward.isnan() | (backward == math.inf)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        name, value = ("log_forward", forward) if bool(wrong_forward[row]) else ("log_backward", backward)
        raise ValueError(
            f"{type(proposal).__name__} gave {name}={float(value[row])} for the move of row {row}, "
            f"{batch.rows([row]).texts()[0]!r}, called {proposal.kinds[int(move.kind[row])]!r}: log q must be finite, "
            "and -inf only where there is no way back; look for nan in the log-probabilities of its model"
        )
    return move


class IndependentProposal(Protocol):
    """Draws whole texts from a law q that does not depend on the current text, and knows log q of any text.

    It may use only what all texts of a chain share: the input, the frozen tokens, and for a proposal that fills a
    template the number of tokens.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it writes."""

    def check(self, batch: Batch) -> None:
        """Raise a `ValueError` for a row for which it cannot draw a text; runs no model."""

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        """A new text for each row, and (B,) float64 log q of each, in nats.

        A failed draw, such as a text without an end, has log q +inf: it counts as a draw of weight 0.
        """

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) float64 log q of the texts of `batch`; -inf for a text that it cannot draw."""
