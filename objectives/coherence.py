"""Coherence: how well a text follows its context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import final

from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import flag, keep, string
from textsearch.kinds import CAUSAL, instance
from textsearch.models.defaults import DEFAULT_CAUSAL_LM
from textsearch.models.protocols import CausalLM
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, text_per_input


@final
@dataclass(frozen=True)
class Coherence(Objective):
    """log p(text) - log p(text | context) in nats: minus the information that the context has about the text.

    The pointwise mutual information of context and text, as in diverse dialogue (Li et al., 2016). Bland texts, which
    are likely after anything, gain nothing. The energy can be below 0, and alone it rewards gibberish that the context
    makes likelier, so add it to a fluency. `Fluency(lm, context)` + w * `Coherence(lm, context)` is
    -(1 + w) log p(text | context) + w log p(text).

    Attributes:
        lm: scores the texts; by default SmolLM2-135M-Instruct.
        context: what comes before, one text for all inputs or one for each; to be given in any case.
        information: without it the energy is -log p(text | context) alone, the chance of the next sentence.
        between: what stands between context and text. A line break cuts tokens at the same place on both sides.

    >>> from textsearch.testing import TableCausalLM, letters
    >>> model = TableCausalLM.random(letters("ab"), seed=0)
    >>> batch = model.vocabulary.encode(["ab", "b"])
    >>> near = Coherence(model, "a", information=False, between="")
    >>> bool((near.energy(batch) == -model.score(batch, "a").log_prob).all())
    True
    """

    lm: CausalLM = DEFAULT_CAUSAL_LM
    context: str | Sequence[str] = ()
    _: KW_ONLY
    information: bool = True
    between: str = "\n"
    _prompts: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        instance("lm", self.lm, CAUSAL)
        given = text_per_input("context", self.context)
        if not all(context.strip() for context in given.values):
            raise ValueError(f"context={self.context!r} says nothing in places: leave the term out there")
        between = string("between", self.between)
        keep(self, context=given.values, between=between, information=flag("information", self.information))
        keep(self, _prompts=given.map(lambda context: context.rstrip() + between))

    @property
    def cost(self) -> Cost:
        """Two model passes."""
        return Cost.HEAVY if self.information else Cost.MODEL

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a text."""
        energy = -self.lm.score(batch, self._prompts.one_or_rows(batch)).log_prob
        return energy + self.lm.score(batch).log_prob if self.information else energy

    def check(self, batch: Batch) -> None:
        """Each input has its context."""
        self._prompts.check(batch)
