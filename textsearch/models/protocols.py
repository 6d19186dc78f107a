"""What samplers and objectives ask of a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.rng import Rng


class MaskedLM(Protocol):
    """Conditionals of single tokens given all the others."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it reads and writes."""

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) log-probabilities in nats at `positions` (K,) of the `rows` (K,) of `batch`.

        The caller puts the mask there, or leaves it away; a row is read once however many of its positions are asked.
        """


@runtime_checkable
class RememberingMaskedLM(MaskedLM, Protocol):
    """One that keeps what it was asked: asking again costs next to nothing."""

    def token_log_probs(self, batch: Batch, rows: Tensor, positions: Tensor, wanted: Tensor) -> Tensor:
        """(K,) float64 log-probability in nats of the token `wanted[k]` at `positions[k]` of row `rows[k]`."""


def remembers(model: MaskedLM) -> bool:
    """Whether asking again costs next to nothing."""
    return isinstance(model, RememberingMaskedLM)


def token_log_probs(model: MaskedLM, batch: Batch, rows: Tensor, positions: Tensor, wanted: Tensor) -> Tensor:
    """(K,) float64 log-probability in nats of the token `wanted[k]` at `positions[k]` of row `rows[k]`."""
    if isinstance(model, RememberingMaskedLM):
        return model.token_log_probs(batch, rows, positions, wanted)
    return model.log_probs(batch, rows, positions).gather(1, wanted[:, None])[:, 0].to(torch.float64)


@final
@dataclass(frozen=True, eq=False)
class Scores:
    """Log-probabilities of texts.

    Attributes:
        log_prob: (B,) float64, log p(text) in nats, the end of the text included.
        tokens: (B,) int64, the number of tokens that it sums over, the end included.
    """

    log_prob: Tensor
    tokens: Tensor


class ConditionalLM(Protocol):
    """Probabilities of texts after a source: a causal model's prompt, what an encoder reads, or a visible prefix."""

    def score(self, batch: Batch, source: str | Sequence[str], /) -> Scores:
        """log p(text | source) of each row: one source for all rows, or one for each."""


class CausalLM(Protocol):
    """Left-to-right probabilities of whole texts."""

    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        """log p of each row's text up to its end, given the prompt: one for all rows, or one for each.

        Nobody asks how far below `least` (B,) a text lies: -inf will do there.
        """


class SuffixLM(Protocol):
    """Ends of texts, drawn token by token from left to right.

    With what is before it, and after the prompt, a token has probability p^(1 / temperature), renormalised over the
    tokens that the vocabulary allows and the end.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it reads and writes."""

    def draw_suffixes(
        self,
        batch: Batch,
        cuts: Tensor,
        rng: Rng,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        most: int,
    ) -> tuple[Batch, Tensor, Tensor]:
        """Row b keeps its first `cuts[b]` tokens, at most `most`; what is behind them is drawn anew, up to the end.

        Returns:
            The new texts; (B,) float64 log-probabilities of what was written, the end counted; and (B,) bool, whether
            an end was found. A text that has none after `most` tokens is cut there.
        """

    def suffix_log_probs(
        self, batch: Batch, cuts: Tensor, *, prompt: str | Sequence[str] = "", temperature: float = 1.0
    ) -> Tensor:
        """(B,) float64, the log-probability that what stands behind `cuts[b]` tokens, and the end, would be drawn."""
