"""What samplers, objectives and tasks need of a language model, as small protocols.

Any object with a protocol's methods will do; none has to derive from a class of this package. What a model may have
besides is found by its methods too: `token_log_probs`, `input_embeddings` and `needs_mask` of a masked model,
`next_token_log_probs` and `ask` of a causal one, and `usage`, a `textsearch.models.usage.Usage` that counts what the
model reads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.rng import Rng

if TYPE_CHECKING:
    from textsearch.objective import Objective


class MaskedLM(Protocol):
    """Conditionals of single tokens given all the others."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it reads and writes."""

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) log-probabilities in nats at `positions` (K,) of the `rows` (K,) of `batch`.

        Whether a mask stands there is up to the caller. A row is read once, whatever the number of its positions.
        """


@runtime_checkable
class RememberingMaskedLM(MaskedLM, Protocol):
    """One that remembers its answers: the same question again costs next to nothing."""

    def token_log_probs(self, batch: Batch, rows: Tensor, positions: Tensor, wanted: Tensor) -> Tensor:
        """(K,) float64 log-probability in nats of the token `wanted[k]` at `positions[k]` of row `rows[k]`."""


def remembers(model: MaskedLM) -> bool:
    """Whether the model remembers its answers."""
    return isinstance(model, RememberingMaskedLM)


def needs_mask(model: MaskedLM) -> bool:
    """Whether a conditional is of the other tokens alone only where a mask stands.

    One that does not need it says so by `needs_mask = False`: what it says of a position does not depend on the token
    there, to the bit, so one pass over a text as it stands gives all its conditionals (Shin, Lee and Yoon, 2020).
    """
    return bool(getattr(model, "needs_mask", True))


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

        A text whose log p is below `least` (B,) may be given as -inf.
        """


class SuffixLM(Protocol):
    """Ends of texts, drawn token by token from left to right.

    Given the prompt and the tokens before it, a token has probability p^(1 / temperature), renormalised over the tokens
    that the vocabulary allows and the end. With a `constraint`, whole suffixes are drawn from a mixture: with
    probability 1 - `free` the same renormalised over what `constraint.allowed_next` allows, else without that mask.
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
        most: int | Sequence[int],
        constraint: Objective | None = None,
        free: float = 0.05,
    ) -> tuple[Batch, Tensor, Tensor]:
        """Row b with everything behind its first `cuts[b]` tokens resampled, up to the end or to `most` tokens.

        `most` is one number of tokens for all rows, or one for each.

        Returns:
            The new texts; (B,) float64 log-probabilities of the new tokens and the end; and (B,) bool, whether an end
            was drawn. A text without an end after `most` tokens is cut there, and one after which the mask allows
            nothing ends there without an end.
        """

    def suffix_log_probs(
        self,
        batch: Batch,
        cuts: Tensor,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        constraint: Objective | None = None,
        free: float = 0.05,
    ) -> Tensor:
        """(B,) float64 log-probability of drawing the tokens behind the first `cuts[b]`, and the end."""


class TokenLM(Protocol):
    """Left-to-right probabilities of the next token after tokens, for texts that others write token by token."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it reads and writes."""

    @property
    def eos(self) -> int:
        """The token that ends a text."""

    def log_probs_after(self, rows: Sequence[Sequence[int]], prompts: Sequence[str], more: int = 0) -> Tensor:
        """(K, V) float64 log-probabilities in nats of the token that follows each row of tokens after its prompt.

        They are over all tokens, whether the vocabulary allows them or not. What was read before is not read again.

        Args:
            rows: K rows of token ids, the beginnings of texts.
            prompts: one for each row.
            more: tokens that each row may still grow by.
        """


class NextTokenLM(Protocol):
    """Left-to-right probabilities of the next token."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it reads and writes."""

    def next_log_probs(self, texts: Sequence[str], prompt: str | Sequence[str] = "") -> Tensor:
        """(B, V) log-probabilities in nats of the token that follows each text after its prompt.

        The prompt is one for all texts, or one for each.
        """


@runtime_checkable
class PrefixLM(NextTokenLM, Protocol):
    """One that gives the next token's probabilities after every beginning of a row, from one pass over it."""

    def next_token_log_probs(self, batch: Batch, tokens: Sequence[Sequence[int]], prompts: Sequence[str]) -> Tensor:
        """(B, N + 1, W) float64, log p(tokens[b][w] | prompt, first n tokens of row b) for n = 0 .. length; else -inf.

        Args:
            batch: in the model's own tokens.
            tokens: W ids at most for each row, tokens that might come next.
            prompts: one for each row.
        """


def next_token_log_probs(
    lm: NextTokenLM, batch: Batch, tokens: Sequence[Sequence[int]], prompts: Sequence[str]
) -> Tensor:
    """As `PrefixLM.next_token_log_probs`, of any model; one that is no `PrefixLM` reads a text for every beginning."""
    if isinstance(lm, PrefixLM):
        return lm.next_token_log_probs(batch, tokens, prompts)
    width = max(map(len, tokens), default=0)
    out = torch.full((len(batch), batch.width + 1, width), -math.inf, dtype=torch.float64, device=batch.device)
    for number, row in enumerate(batch.token_lists()):
        beginnings = Batch.of([row[:size] for size in range(len(row) + 1)], batch.vocabulary)
        log_probs = lm.next_log_probs(beginnings.texts(), prompts[number]).to(out.device, torch.float64)
        out[number, : len(row) + 1, : len(tokens[number])] = log_probs[:, list(tokens[number])]
    return out


class Writer(Protocol):
    """Texts that go on from a prompt."""

    def continuations(
        self,
        prompt: str | Sequence[str],
        rng: Rng,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        most: int | Sequence[int] = 40,
    ) -> list[str]:
        """One text for each row of `rng`, drawn token by token until it ends.

        Args:
            prompt: what the texts go on from, one for all rows or one for each.
            rng: a stream of random numbers for each text.
            temperature: of the token distribution.
            top_p: draw from the likeliest tokens that hold this much probability (Holtzman et al., 2020).
            most: tokens, of all texts or of each; longer texts are cut.
        """


@runtime_checkable
class InstructedLM(Protocol):
    """A model that was trained to do what it is asked."""

    def ask(self, request: str, examples: Sequence[tuple[str, str]] = ()) -> str:
        """A prompt in the model's own chat format, after which it answers `request`.

        Args:
            request: what is wanted.
            examples: requests with the answers that were wanted, shown as earlier turns.

        Raises:
            ValueError: the model has no chat format.
        """


def asked(lm: object, request: str, examples: Sequence[tuple[str, str]] = ()) -> str | None:
    """The prompt that asks `lm` for something; None for a model that takes no requests."""
    if not isinstance(lm, InstructedLM):
        return None
    try:
        return lm.ask(request, examples)
    except ValueError:
        return None


@runtime_checkable
class EmbeddingLM(Protocol):
    """A model whose vectors of tokens can be read."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it reads and writes."""

    def input_embeddings(self) -> Tensor:
        """(V, D) a vector for each token."""


class Encoder(Protocol):
    """Vectors of texts: the nearer in meaning two texts are, the larger the cosine of their vectors.

    A `SentenceTransformer` of sentence-transformers is one as it is. Ask an encoder by `unit_vectors`.
    """

    def encode(self, texts: Sequence[str]) -> Any:
        """(B, D) vectors of any length, as a tensor or an array of numpy, on any device."""


_UNIT = 1e-3
"""How far from 1 the length of a vector may be that counts as one of length 1: float16 has three digits."""


def unit_vectors(encoder: Encoder, texts: Sequence[str]) -> Tensor:
    """(B, D) float64 on the CPU, each of length 1: what an encoder gives, whoever made it.

    Vectors of length 1 stay as they are, to the bit; one of zeros, which has no direction, stays too.

    Raises:
        ValueError: the encoder gives something else than a finite vector for each text.

    >>> class Counts:
    ...     def encode(self, texts):
    ...         return [[3.0 * text.count("a"), 4.0 * text.count("b")] for text in texts]
    >>> unit_vectors(Counts(), ["ab", "a", "c"]).tolist()
    [[0.6, 0.8], [1.0, 0.0], [0.0, 0.0]]
    """
    found = torch.as_tensor(encoder.encode(list(texts))).detach().double().cpu()
    if found.dim() != 2 or len(found) != len(texts) or not bool(found.isfinite().all()):
        what = f"{tuple(found.shape)}" if found.dim() != 2 or len(found) != len(texts) else "vectors of nan or infinity"
        raise ValueError(
            f"{type(encoder).__name__}.encode gives {what} for {len(texts)} texts: (texts, dimensions) finite numbers "
            "are wanted"
        )
    lengths = found.norm(dim=1, keepdim=True)
    return torch.where((lengths - 1).abs() < _UNIT, found, torch.nn.functional.normalize(found, dim=1))


class TaskLM(CausalLM, SuffixLM, NextTokenLM, Writer, InstructedLM, Protocol):
    """All that tasks use of a causal model. Each task uses some of it, and says so before it runs."""
