"""The default models as values: what an objective, a proposal or a sampler holds that was given no model.

Each is loaded when it is first asked for something, once a process, and shared by all that hold it. Before, it is as
light as its name: it can be shown, compared and pickled, and a copy in another process loads its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.models import causal_lm, masked_lm, sentence_encoder
from textsearch.models.corrector import english_corrector
from textsearch.models.protocols import Scores
from textsearch.models.reading.turns import remembered
from textsearch.models.recipes import is_default

if TYPE_CHECKING:
    import torch

    from textsearch.models.causal import TransformersCausalLM
    from textsearch.models.encoder import SentenceEncoder
    from textsearch.models.masked import TransformersMaskedLM


@remembered(most=1)
def default_masked_lm() -> TransformersMaskedLM:
    """The one default masked language model of this process."""
    return masked_lm()


@remembered(most=1)
def default_causal_lm() -> TransformersCausalLM:
    """The one default causal language model of this process."""
    return causal_lm()


@remembered(most=1)
def default_corrector(device: torch.device, dtype: torch.dtype) -> TransformersCausalLM:
    """The one English corrector of this process."""
    return english_corrector(device=device, dtype=dtype)


def corrector_beside(lm: object) -> TransformersCausalLM | None:
    """The English corrector, where the default causal model judges, on its device; None beside any other model."""
    from textsearch.models.causal import TransformersCausalLM

    if isinstance(lm, TransformersCausalLM) and is_default(lm.model):
        return default_corrector(lm.model.device, lm.model.dtype)
    return None


@remembered(most=1)
def default_sentence_encoder() -> SentenceEncoder:
    """The one default sentence encoder of this process."""
    return sentence_encoder()


@final
@dataclass(frozen=True)
class DefaultMaskedLM:
    """The English masked language model that comes with textsearch, once it is asked for something.

    >>> DefaultMaskedLM() == DefaultMaskedLM(), DefaultMaskedLM()
    (True, DefaultMaskedLM())
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that it reads and writes."""
        return default_masked_lm().vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) log-probabilities in nats at `positions` (K,) of the `rows` (K,) of `batch`."""
        return default_masked_lm().log_probs(batch, rows, positions)

    def token_log_probs(self, batch: Batch, rows: Tensor, positions: Tensor, wanted: Tensor) -> Tensor:
        """(K,) float64 log-probability in nats of the token `wanted[k]` at `positions[k]` of row `rows[k]`."""
        return default_masked_lm().token_log_probs(batch, rows, positions, wanted)


@final
@dataclass(frozen=True)
class DefaultCausalLM:
    """SmolLM2-135M-Instruct, once it is asked for something."""

    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        """log p of each row's text up to its end, given the prompt: one for all rows, or one for each."""
        return default_causal_lm().score(batch, prompt, least)


@final
@dataclass(frozen=True)
class DefaultEncoder:
    """all-MiniLM-L6-v2, once it is asked for something."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(B, D) vectors of length 1."""
        return default_sentence_encoder().encode(texts)


DEFAULT_MASKED_LM = DefaultMaskedLM()
DEFAULT_CAUSAL_LM = DefaultCausalLM()
DEFAULT_ENCODER = DefaultEncoder()
