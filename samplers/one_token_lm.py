"""What samplers share that write texts token by token, from the left, with one causal language model."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any

from samplers.proposals.from_left import check_frozen_first
from samplers.proposals.sites import masks
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep, whole
from textsearch.kinds import TOKENWISE, instance
from textsearch.models.protocols import TokenLM
from textsearch.objective import Objective, evaluate
from textsearch.per_input import PerInput, text_per_input
from textsearch.sampler import ChainState


class OfTokenLM(ABC):
    """A sampler of the texts that its model writes after a prompt.

    Attributes:
        lm: a field of the dataclass that derives from this, as are all here.
        prompt: what the model reads first, one for all inputs or one for each.
        max_length: tokens of the longest text.
    """

    lm: TokenLM
    prompt: str | Sequence[str]
    max_length: int
    _prompts: PerInput[str]

    def _keep(self, **checked: Any) -> None:
        """Check the fields that all have, and keep them with the others, which were checked."""
        instance("lm", self.lm, TOKENWISE)
        given = text_per_input("prompt", self.prompt, "prompts")
        max_length = whole("max_length", self.max_length, 1, unit="token")
        keep(self, prompt=given.values, _prompts=given, max_length=max_length, **checked)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model writes."""
        return self.lm.vocabulary

    def check(self, batch: Batch) -> None:
        """Refuse tokens frozen behind others that are not, too many of them, and inputs without a prompt."""
        check_frozen_first(batch, self.max_length, type(self).__name__)
        self._prompts.check(batch)

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies, which may be +inf."""
        self.check(batch)
        return ChainState(batch, evaluate(objective, batch, wanted=~masks(batch).any(1)))
