"""Conditional probability: how well a language model likes a text after a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from objectives.text_features import check_inputs, of_input
from textsearch.batch import Batch
from textsearch.checks import keep, one_or_each
from textsearch.kinds import CONDITIONAL, instance
from textsearch.models.defaults import DEFAULT_CAUSAL_LM
from textsearch.models.protocols import ConditionalLM
from textsearch.objective import Cost, Objective


@final
@dataclass(frozen=True)
class Conditional(Objective):
    """-log p(text | source) in nats: the target exp(-E) is what the model would write after the source.

    Attributes:
        model: scores the texts. A causal model reads the source as its prompt, a sequence-to-sequence model with its
            encoder, and a masked model read as a `UniLM` beside the text. By default SmolLM2-135M-Instruct.
        source: what the text is conditioned on, one for all inputs or one for each: row r is judged after
            `source[batch.inputs[r]]`. To be given in any case.

    Raises:
        ValueError: no sources.

    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("ab"), seed=0)
    >>> batch = lm.vocabulary.encode(["ab", "ab"])
    >>> energy = Conditional(lm, ["a", "b"]).energy(batch)
    >>> bool((energy == -lm.score(batch, ["a", "b"]).log_prob).all())
    True
    """

    model: ConditionalLM = DEFAULT_CAUSAL_LM
    source: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        instance("model", self.model, CONDITIONAL)
        keep(self, source=one_or_each("source", self.source))

    @property
    def cost(self) -> Cost:
        """One model pass."""
        return Cost.MODEL

    @property
    def lower_bound(self) -> float:
        """No probability is above 1."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a text."""
        sources = [of_input(self._sources, number) for number in batch.inputs.tolist()]
        return -self.model.score(batch, sources).log_prob

    def check(self, batch: Batch) -> None:
        """Each input has its source."""
        check_inputs("source", self._sources, batch)

    @property
    def _sources(self) -> Sequence[str]:
        return (self.source,) if isinstance(self.source, str) else self.source
