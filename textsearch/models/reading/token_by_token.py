"""What every causal model can do that is read and written token by token, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.masking import FREE
from textsearch.models.reading.insertions import next_at_places
from textsearch.models.reading.next_tokens import log_probs_after, log_probs_of
from textsearch.models.reading.suffixes import Reader, draw_suffixes, suffix_log_probs
from textsearch.models.reading.writing import continuations
from textsearch.objective import Objective
from textsearch.rng import Rng


class _Alone(Reader, Protocol):
    """A model that is read token by token, and knows how to be alone with what it has read."""

    def _alone(self) -> AbstractContextManager[Any]:
        """While no other thread is at it."""


class TokenByToken:
    """The base of causal models that have a `tree` and `after`: see `textsearch.models.reading.suffixes.Reader`."""

    def _alone(self) -> AbstractContextManager[Any]:
        """While no other thread is at it; for models of which threads may ask what they like, nothing."""
        return nullcontext()

    def next_token_log_probs(
        self: _Alone, batch: Batch, tokens: Sequence[Sequence[int]], prompts: Sequence[str]
    ) -> Tensor:
        """(B, N + 1, W) float64 log-probabilities of `tokens` after every beginning of every row; see `PrefixLM`."""
        with self._alone():
            return next_at_places(self, batch, tokens, prompts)

    def log_probs_after(self: _Alone, rows: Sequence[Sequence[int]], prompts: Sequence[str], more: int = 0) -> Tensor:
        """(K, V) float64 log-probabilities of the token that follows each row of tokens; see `TokenLM`."""
        with self._alone():
            return log_probs_after(self, rows, prompts, more)

    def log_probs_of(
        self: _Alone,
        rows: Sequence[Sequence[int]],
        prompts: Sequence[str],
        tokens: Sequence[Sequence[int]],
        more: int = 0,
    ) -> list[list[float]]:
        """log p of some tokens after each row, nats: those of `log_probs_after`, for less work; see there."""
        with self._alone():
            return log_probs_of(self, rows, prompts, tokens, more)

    def continuations(
        self: _Alone,
        prompt: str | Sequence[str],
        rng: Rng,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        most: int | Sequence[int] = 40,
    ) -> list[str]:
        """One text for each row of `rng`, drawn token by token until the end token; see `Writer`."""
        with self._alone():
            return continuations(self, prompt, rng, temperature, top_p, most)

    def draw_suffixes(
        self: _Alone,
        batch: Batch,
        cuts: Tensor,
        rng: Rng,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        most: int | Sequence[int],
        constraint: Objective | None = None,
        free: float = FREE,
    ) -> tuple[Batch, Tensor, Tensor]:
        """Row b with everything behind its first `cuts[b]` tokens resampled, up to `most` tokens, or `most[b]`.

        See `SuffixLM`. Token ids are used as they are, so the batch must have this model's vocabulary.
        """
        prompts, room = of_each(prompt, len(batch)), [most] * len(batch) if isinstance(most, int) else most
        with self._alone():
            return draw_suffixes(self, batch, cuts, rng, prompts, temperature, room, constraint, free)

    def suffix_log_probs(
        self: _Alone,
        batch: Batch,
        cuts: Tensor,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        constraint: Objective | None = None,
        free: float = FREE,
    ) -> Tensor:
        """(B,) float64 log-probability that `draw_suffixes` writes the tokens behind the first `cuts[b]`."""
        with self._alone():
            return suffix_log_probs(self, batch, cuts, of_each(prompt, len(batch)), temperature, constraint, free)


def of_each(prompt: str | Sequence[str], rows: int) -> Sequence[str]:
    """The prompt of each of some rows, where one may stand for all."""
    return [prompt] * rows if isinstance(prompt, str) else prompt
