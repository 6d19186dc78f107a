"""Conditional probability: how likely a text is under a language model after a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.kinds import CONDITIONAL, instance
from textsearch.models.defaults import DEFAULT_CAUSAL_LM
from textsearch.models.protocols import ConditionalLM
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, text_per_input


@final
@dataclass(frozen=True)
class Conditional(Objective):
    """-log p(text | source) in nats: the target exp(-E) is the model's law of texts after the source.

    Attributes:
        lm: scores the texts. A causal model reads the source as its prompt, a sequence-to-sequence model with its
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

    lm: ConditionalLM = DEFAULT_CAUSAL_LM
    source: str | Sequence[str] = ()
    _sources: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        instance("lm", self.lm, CONDITIONAL)
        given = text_per_input("source", self.source)
        keep(self, source=given.values, _sources=given)

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
        return -self.lm.score(batch, self._sources.one_or_rows(batch)).log_prob

    def check(self, batch: Batch) -> None:
        """Each input has its source."""
        self._sources.check(batch)
