"""Masked decoding: what engines for structured output do, token by token, as a baseline under its own name.

What a constraint forbids next is left out, the rest is renormalised, and a token is drawn (Scholak et al., "PICARD",
EMNLP 2021; Willard and Louf, "Efficient guided generation for large language models", 2023). Each token is right given
those before it and none is right given what must follow: the text x comes with probability

    q(x) = prod_t p(x_t | x_<t) / p(allowed | x_<t),    not p(x) / p(language),

so beginnings that lead to few texts, or to unlikely ones, come too often (Park et al., "Grammar-aligned decoding",
NeurIPS 2024). `FromLeft(lm, constraint=...)` draws in the same way and knows q: with `ImportanceSampling`,
`IteratedResampling` or `Rejection` the very same draws are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, final

from torch import Tensor

from samplers import independent_draws
from samplers.proposals.from_left import FromLeft
from samplers.proposals.sites import masks
from samplers.rejection import DRAW_LOG_WEIGHTS
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep
from textsearch.kinds import OBJECTIVE, instance
from textsearch.models.protocols import SuffixLM
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info


@final
@dataclass(frozen=True)
class MaskedDecoding:
    """Write a text under the mask of a constraint, and keep it whatever it weighs.

    Biased: the law is that of the mask, see the module. Of the energy only +inf counts: a text that it forbids, one
    that the mask leaves no way on, and one without an end are refused, and the text that stood there stays. What each
    draw weighs under exp(-E / T) is recorded: `tvd_and_acceptance` tells from it how far off the law is.

    Attributes:
        lm: writes the texts.
        constraint: its `allowed_next` masks the tokens.
        prompt: what the model reads first, one for all inputs or one for each.
        temperature: of the tokens that it writes.
        max_length: tokens.

    >>> from samplers import accepted_texts
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> few_a = FunctionObjective(lambda texts: [1.0 * text.count("a") for text in texts], name="few a")
    >>> sampler = MaskedDecoding(TableCausalLM.random(letters("ab"), seed=0), few_a, max_length=4)
    >>> [texts] = accepted_texts(generate(few_a, sampler, [""], steps=5, seed=0, thin=1))
    >>> 0 < len(texts) <= 5
    True
    """

    lm: SuffixLM
    constraint: Objective
    prompt: str | Sequence[str] = ""
    temperature: float = 1.0
    max_length: int = 64
    _proposal: FromLeft = field(init=False, repr=False, compare=False)

    kinds: ClassVar = ("masked decoding",)
    guarantee: ClassVar = Guarantee.BIASED
    starts_anywhere: ClassVar = True

    def __post_init__(self) -> None:
        instance("constraint", self.constraint, OBJECTIVE)
        proposal = FromLeft(self.lm, self.prompt, self.temperature, self.max_length, self.constraint, free=0.0)
        keep(self, prompt=proposal.prompt, temperature=proposal.temperature, max_length=proposal.max_length)
        keep(self, _proposal=proposal)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model writes."""
        return self.lm.vocabulary

    def check(self, batch: Batch) -> None:
        """Raise a `ValueError` for a row whose end cannot be written anew; runs no model."""
        self._proposal.check(batch)

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies, which may be +inf."""
        self.check(batch)
        return ChainState(batch, evaluate(objective, batch, wanted=~masks(batch).any(1)))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """A text for every row."""
        drawn, log_weights = independent_draws.draw_weighted(
            self._proposal, objective, state.batch, rng.fold(0), temperature
        )
        accepted = log_weights > -math.inf
        kind = state.batch.lengths * 0
        return state.where(accepted, drawn), Info(accepted, kind, log_weights, {DRAW_LOG_WEIGHTS: log_weights})
