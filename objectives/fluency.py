"""Fluency: how likely a text is under a causal language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.kinds import CAUSAL, instance
from textsearch.models.defaults import DEFAULT_CAUSAL_LM
from textsearch.models.protocols import CausalLM
from textsearch.objective import Cost, Limit, Objective
from textsearch.per_input import PerInput, text_per_input


@final
@dataclass(frozen=True)
class Fluency(Objective):
    """-log p(text) in nats, the end of the text included: the target exp(-E) is the language model itself.

    Every token costs something, so the shorter of two texts is often the likelier one; see `FluencyPerToken`.

    Attributes:
        lm: scores the texts; by default SmolLM2-135M-Instruct.
        prompt: what the model reads first, one for all inputs or one for each: the energy is -log p(text | prompt).
    """

    lm: CausalLM = DEFAULT_CAUSAL_LM
    prompt: str | Sequence[str] = ""
    _prompts: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        instance("lm", self.lm, CAUSAL)
        given = text_per_input("prompt", self.prompt, "prompts")
        keep(self, prompt=given.values, _prompts=given)

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
        return -self.lm.score(batch, self._prompts.one_or_rows(batch)).log_prob

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        """(B,) nats a text; +inf for a text whose beginning is already above the limit."""
        return -self.lm.score(batch, self._prompts.one_or_rows(batch), -limit.energy).log_prob

    def check(self, batch: Batch) -> None:
        """Each input has its prompt."""
        self._prompts.check(batch)


@final
@dataclass(frozen=True)
class FluencyPerToken(Objective):
    """-log p(text) / number of tokens, the end counted: unlike `Fluency`, it does not favour short texts.

    Attributes:
        lm: scores the texts; by default SmolLM2-135M-Instruct.
        prompt: what the model reads first, one for all inputs or one for each.
    """

    lm: CausalLM = DEFAULT_CAUSAL_LM
    prompt: str | Sequence[str] = ""
    _prompts: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        instance("lm", self.lm, CAUSAL)
        given = text_per_input("prompt", self.prompt, "prompts")
        keep(self, prompt=given.values, _prompts=given)

    @property
    def name(self) -> str:
        """The term's name in results, other than that of `Fluency`."""
        return "fluency per token"

    @property
    def cost(self) -> Cost:
        """One model pass."""
        return Cost.MODEL

    @property
    def lower_bound(self) -> float:
        """No probability is above 1."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a token."""
        scores = self.lm.score(batch, self._prompts.one_or_rows(batch))
        return -scores.log_prob / scores.tokens

    def check(self, batch: Batch) -> None:
        """Each input has its prompt."""
        self._prompts.check(batch)
