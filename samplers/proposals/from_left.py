"""Whole texts from a causal language model, drawn token by token up to the end (ancestral sampling)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from samplers.proposals.cuts import first_cuts
from samplers.proposals.sites import slot_open
from samplers.proposals.suffix import share_without_mask, under
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep, positive, whole
from textsearch.kinds import OBJECTIVE, SUFFIX, instance
from textsearch.models.masking import FREE
from textsearch.models.protocols import SuffixLM
from textsearch.objective import Objective
from textsearch.per_input import PerInput, text_per_input
from textsearch.rng import Rng


@final
@dataclass(frozen=True, eq=False)
class FromLeft:
    """Write a text from the left, after the row's frozen tokens if it begins with some; log q includes the end.

    At temperature 1 and over the tokens that its vocabulary allows, this is the model's own law, each token a little
    likelier where others are not allowed: q >= p(text | prompt). A text without an end has failed. A text takes a pass
    for each token to draw, and one pass for its probability.

    Attributes:
        lm: writes the texts, in tokens of its own.
        prompt: what the model reads first, one for all inputs or one for each.
        temperature: of the tokens that it writes, not that of the run. For the model's own energy 1 is best: with any
            other, the weights of two texts differ by a factor a token.
        max_length: tokens of the longest text, frozen ones counted.
        constraint: what the text must be; its `allowed_next` masks the tokens, see `textsearch.models.masking`. A text
            that the mask leaves no way on has failed.
        free: the share of texts that are drawn without the mask, so that all can be drawn; q is that of the mixture.

    >>> from textsearch.rng import Rng
    >>> from textsearch.testing import TableCausalLM, letters
    >>> model = TableCausalLM.random(letters("ab"), seed=0)
    >>> drawn, log_prob = FromLeft(model).draw(model.vocabulary.encode([""] * 3), Rng.start(seed=0, chains=3))
    >>> drawn.texts(), bool((log_prob == model.score(drawn).log_prob).all())
    (['bb', 'b', ''], True)
    """

    lm: SuffixLM
    prompt: str | Sequence[str] = ""
    temperature: float = 1.0
    max_length: int = 64
    constraint: Objective | None = None
    free: float = FREE
    _prompts: PerInput[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        instance("lm", self.lm, SUFFIX)
        if self.constraint is not None:
            instance("constraint", self.constraint, OBJECTIVE)
        given = text_per_input("prompt", self.prompt, "prompts")
        keep(
            self,
            prompt=given.values,
            _prompts=given,
            temperature=positive("temperature", self.temperature, remedy="; 1 is the model's own"),
            max_length=whole("max_length", self.max_length, 1, unit="token"),
            free=share_without_mask(self.free),
        )

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model writes."""
        return self.lm.vocabulary

    def check(self, batch: Batch) -> None:
        """Refuse tokens frozen behind others that are not, too many of them, and inputs without a prompt."""
        check_frozen_first(batch, self.max_length, "FromLeft")
        self._prompts.check(batch)

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        """A new text for each row, and (B,) log q; +inf for one without an end, or with too many frozen tokens."""
        cuts = first_cuts(batch)
        # in turn with other samplers a text may come to begin with more than it may hold
        room = (cuts <= self.max_length) & slot_open(batch, batch.lengths)
        fits = bool(room.all())
        drawn, log_prob, ended = self.lm.draw_suffixes(
            batch if fits else batch.splice(cuts * 0, cuts * ~room, cuts * 0, batch.width),
            cuts * room,
            rng,
            prompt=self._prompts.one_or_rows(batch),
            temperature=self.temperature,
            most=self.max_length,
            **under(self.constraint, self.free, self.max_length),
        )
        return drawn if fits else batch.where(room, drawn), log_prob.where(ended & room, math.inf)

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) log q of what stands behind the frozen tokens; -inf over `max_length`, or where the end is closed."""
        log_prob = torch.full((len(batch),), -math.inf, dtype=torch.float64, device=batch.device)
        fits = ((batch.lengths <= self.max_length) & slot_open(batch, batch.lengths)).nonzero().squeeze(-1)
        if len(fits):
            part = batch.rows(fits)
            log_prob[fits] = self.lm.suffix_log_probs(
                part,
                first_cuts(part),
                prompt=self._prompts.one_or_rows(part),
                temperature=self.temperature,
                **under(self.constraint, self.free, self.max_length),
            )
        return log_prob


def check_frozen_first(batch: Batch, max_length: int, name: str) -> None:
    """Refuse rows behind whose frozen tokens `name` cannot write: it keeps what a text begins with and no more."""
    if not len(batch):
        return
    cuts = first_cuts(batch)
    column = torch.arange(batch.width, device=batch.device)
    torn = (batch.editable & (column < cuts[:, None])).any(1)
    if bool(torn.any()):
        row = int(torn.nonzero()[0])
        raise ValueError(
            f"row {row}, {batch.rows([row]).texts()[0][:60]!r}, has frozen tokens behind others that are not: "
            f"{name} keeps what a text begins with and no more; freeze all before them, or use Fill"
        )
    shut = ~slot_open(batch, batch.lengths)
    if bool(shut.any()):
        row = int(shut.nonzero()[0])
        raise ValueError(
            f"row {row}, {batch.rows([row]).texts()[0][:60]!r}, has a frozen end behind which nothing may come, "
            f"and {name} writes ends; leave its last words free, or use Fill"
        )
    if int(cuts.max()) > max_length:
        raise ValueError(f"a row begins with {int(cuts.max())} frozen tokens, over max_length={max_length}; raise it")
