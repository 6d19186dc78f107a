"""Whole texts from a causal model, each given up as soon as what stands there is proven to begin no text allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from samplers.proposals import FromLeft
from textsearch.batch import Batch, Vocabulary
from textsearch.beginnings import Beginnings
from textsearch.models.reading.suffixes import with_suffixes
from textsearch.objective import Objective, impossible_by
from textsearch.rng import Rng, categorical


@final
@dataclass(frozen=True, eq=False)
class FreeDraws:
    """The draws of `FromLeft`, where one that cannot be allowed any more fails at once, and costs no further pass.

    What is given up would have been forbidden, so for rejection and its like nothing changes but the cost.

    Attributes:
        lm: writes the texts, and tells what it expects next.
        prompts: what the model reads first, one for each input.
        temperature: of the tokens that it writes.
        max_length: tokens of the longest text.
        allowed: proves beginnings impossible.

    >>> from objectives import Choices
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("abc"), seed=0)
    >>> draws = FreeDraws(lm, [""], 1.0, 9, Choices(["ab", "c"]))
    >>> drawn, log_q = draws.draw(lm.vocabulary.encode([""]).repeat(40), Rng.start(0, 40))
    >>> {text for text, q in zip(drawn.texts(), log_q.tolist()) if q < math.inf} == {"ab", "c"}
    True
    """

    lm: Any
    prompts: Sequence[str]
    temperature: float
    max_length: int
    allowed: Objective

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model writes."""
        vocabulary: Vocabulary = self.lm.vocabulary
        return vocabulary

    @property
    def _whole(self) -> FromLeft:
        return FromLeft(self.lm, self.prompts, temperature=self.temperature, max_length=self.max_length)

    def check(self, batch: Batch) -> None:
        """Refuse inputs without a prompt."""
        self._whole.check(batch)

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) float64 log q of whole texts, nats."""
        return self._whole.log_prob(batch)

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        """A text for each row and (B,) float64 log q, nats; +inf for one that was given up or found no end."""
        numbers = batch.inputs.tolist()
        rows: list[list[int]] = [[] for _ in numbers]
        log_prob, failed = [0.0] * len(rows), [True] * len(rows)
        may = self.vocabulary.allowed.clone()
        may[self.lm.eos] = True
        going, place = list(range(len(rows))), 0
        while going:
            after = self.lm.log_probs_after(
                [rows[i] for i in going], [self.prompts[numbers[i]] for i in going], self.max_length - place
            )
            law = (after / self.temperature).masked_fill(~may.to(after.device), -math.inf).log_softmax(-1)
            drawn = categorical(law, rng.rows(going).uniform(place).to(law.device))
            on = []
            for i, token, value in zip(
                going, drawn.tolist(), law.gather(1, drawn[:, None])[:, 0].tolist(), strict=True
            ):
                log_prob[i] += value
                if token == self.lm.eos:
                    failed[i] = False
                elif place < self.max_length:
                    rows[i].append(token)
                    on.append(i)
            begun = Beginnings(self.vocabulary, self.lm.eos, [rows[i] for i in on], [numbers[i] for i in on])
            dead = impossible_by(self.allowed, begun) if on else None
            going = on if dead is None else [i for i, over in zip(on, dead.tolist(), strict=True) if not over]
            place += 1
        none = torch.zeros_like(batch.lengths)
        written = torch.zeros(len(rows), max(map(len, rows), default=0) + 1, dtype=torch.int64)
        for i, row in enumerate(rows):
            written[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        counts = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        log_q = torch.tensor(log_prob, dtype=torch.float64).masked_fill(torch.tensor(failed), math.inf)
        return (
            with_suffixes(batch, none, written.to(batch.device), counts.to(batch.device)),
            log_q.to(batch.device),
        )
