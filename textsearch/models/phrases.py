"""A causal model that is led to write given phrases: how forced words come to stand where the model finds them likely.

A proposal for chains that go on from text to text, as a twisted law is for particles (Guarniero et al., "The iterated
auxiliary particle filter", 2017). From left to right, each token has the probability

    q(v | x_<t)  proportional to  p(v | x_<t)^(1 / temperature) * exp(lead(v, x_<t))

where `lead` is positive for the first token of a phrase that is missing, the more the longer it is waited for, and for
the token that goes on with one; negative for the end while a phrase is missing, and for what would go on with the last
word of a phrase; and positive for the end when the text is about to run out of room. No token is ruled out. What the
lead does is priced exactly, so that Metropolis-Hastings takes it out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.models.masking import FREE
from textsearch.models.protocols import TokenLM
from textsearch.models.reading.suffixes import with_suffixes
from textsearch.objective import Objective
from textsearch.rng import Rng, categorical

Tokens = tuple[int, ...]


@final
@dataclass(frozen=True)
class Phrase:
    """A phrase that a text must hold, as tokens.

    Attributes:
        within: its spellings within a text, any of which will do.
        first: its spellings at the beginning of a text.
    """

    within: tuple[Tokens, ...]
    first: tuple[Tokens, ...] = ()


FIRST, SLOPE, MOST = 2.0, 0.3, 14.0
"""Nats for the first token of a missing phrase, at once and for each token that it is waited for; and no more."""

ON = 8.0
"""Nats for the token that goes on with a phrase."""

EARLY = -12.0
"""Nats for the end while a phrase is missing."""

APART = -8.0
"""Nats for a token that would go on with the last word of a phrase that has just been written."""

LATE = 1.0
"""Nats for the end, for each token beyond half of the room."""


@final
@dataclass(frozen=True, eq=False)
class PhraseLM:
    """A model that writes from left to right and is led to write phrases.

    Attributes:
        lm: the model.
        phrases: what a text must hold.
        in_order: whether they must come in this order.
        room: tokens of the longest text.
        glued: (V,) bool, tokens that go on with the word before them; None if no phrase is one of words.

    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("abcd"), seed=0)
    >>> led = PhraseLM(lm, (Phrase(((1, 2, 3),)), Phrase(((4, 4),))), in_order=False, room=24)
    >>> start = lm.vocabulary.encode([""] * 6)
    >>> texts, log_q, ended = led.draw_suffixes(start, torch.zeros(6, dtype=int), Rng.start(0, 6), most=24)
    >>> sum("abc" in text and "dd" in text for text in texts.texts()) >= 4
    True
    """

    lm: TokenLM
    phrases: tuple[Phrase, ...]
    in_order: bool
    room: int
    glued: Tensor | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.lm.vocabulary

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
        free: float = FREE,
    ) -> tuple[Batch, Tensor, Tensor]:
        """As `SuffixLM.draw_suffixes`, led; what leads takes the place of a mask."""
        _refuse_mask(constraint)
        prompts = [prompt] * len(batch) if isinstance(prompt, str) else list(prompt)
        room = [most] * len(batch) if isinstance(most, int) else list(most)
        rows = [row[:cut] for row, cut in zip(batch.token_lists(), cuts.tolist(), strict=True)]
        new: list[list[int]] = [[] for _ in rows]
        log_prob, ended = [0.0] * len(rows), [False] * len(rows)
        going = [i for i, row in enumerate(rows) if len(row) <= room[i]]
        place = 0
        while going:
            law = self._law([rows[i] for i in going], [prompts[i] for i in going], temperature, max(room))
            drawn = categorical(law, rng.rows(going).uniform(place).to(law.device))
            values = law.gather(1, drawn[:, None])[:, 0].tolist()
            on = []
            for i, token, value in zip(going, drawn.tolist(), values, strict=True):
                if token == self.lm.eos:
                    log_prob[i] += value
                    ended[i] = True
                elif len(rows[i]) < room[i]:
                    log_prob[i] += value
                    rows[i].append(token)
                    new[i].append(token)
                    on.append(i)
            going, place = on, place + 1
        written = torch.zeros(len(rows), max(map(len, new), default=0) + 1, dtype=torch.int64)
        for i, row in enumerate(new):
            written[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        counts = torch.tensor([len(row) for row in new], dtype=torch.int64)
        device = batch.device
        return (
            with_suffixes(batch, cuts, written.to(device), counts.to(device)),
            torch.tensor(log_prob, dtype=torch.float64, device=device),
            torch.tensor(ended, dtype=torch.bool, device=device),
        )

    def suffix_log_probs(
        self,
        batch: Batch,
        cuts: Tensor,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        constraint: Objective | None = None,
        free: float = FREE,
    ) -> Tensor:
        """As `SuffixLM.suffix_log_probs`, led."""
        _refuse_mask(constraint)
        prompts = [prompt] * len(batch) if isinstance(prompt, str) else list(prompt)
        sums = [0.0] * len(batch)
        places = [
            (i, [*row, self.lm.eos], place)
            for i, (row, cut) in enumerate(zip(batch.token_lists(), cuts.tolist(), strict=True))
            for place in range(cut, len(row) + 1)
        ]
        for first in range(0, len(places), _PLACES):
            part = places[first : first + _PLACES]
            law = self._law([row[:place] for _, row, place in part], [prompts[i] for i, _, _ in part], temperature)
            index = torch.tensor([row[place] for _, row, place in part], device=law.device)
            # one by one: the order of the sum does not depend on the batch
            for (i, _, _), value in zip(part, law.gather(1, index[:, None])[:, 0].tolist(), strict=True):
                sums[i] += value
        return torch.tensor(sums, dtype=torch.float64, device=batch.device)

    def _law(
        self, rows: Sequence[Sequence[int]], prompts: Sequence[str], temperature: float, longest: int = 0
    ) -> Tensor:
        """(K, V) float64 log-probabilities of what comes next."""
        more = max(longest - min(map(len, rows)), 0)
        logits = self.lm.log_probs_after(rows, prompts, more) / temperature
        may = self.vocabulary.allowed.clone()
        may[self.lm.eos] = True
        logits = logits.masked_fill(~may.to(logits.device), -torch.inf)
        leads = [self._lead(row) for row in rows]
        at = [(k, token, nats) for k, lead in enumerate(leads) for token, nats in lead.items()]
        if at:
            index, tokens, nats = zip(*at, strict=True)
            more_likely = torch.zeros_like(logits)
            more_likely[list(index), list(tokens)] = torch.tensor(nats, dtype=logits.dtype, device=logits.device)
            logits = logits + more_likely
        if self.glued is not None:
            done = torch.tensor([self._just_written(row) for row in rows], device=logits.device)
            logits = logits + APART * (done[:, None] & self.glued.to(logits.device))
        return logits.log_softmax(-1)

    def _just_written(self, row: Sequence[int]) -> bool:
        """Whether a row ends with a phrase."""
        spellings = [one for phrase in self.phrases for one in phrase.within + phrase.first]
        return any(tuple(row[-len(one) :]) == one for one in spellings)

    def _lead(self, row: Sequence[int]) -> dict[int, float]:
        """Token -> nats, after the tokens of a row."""
        missing, waited = self._missing(row)
        if not missing:
            late = len(row) - 0.5 * self.room
            return {self.lm.eos: LATE * late} if late > 0 else {}
        lead = {self.lm.eos: EARLY}
        begin = min(FIRST + SLOPE * waited, MOST)
        for phrase in missing:
            # at the beginning of a text nothing stands before it
            spellings = phrase.within + (phrase.first if len(row) < max(map(len, phrase.first), default=0) else ())
            for spelling in spellings:
                done = _begun(row, spelling)
                if spelling in phrase.within or done == len(row):
                    nats = ON if done else begin
                    lead[spelling[done]] = max(lead.get(spelling[done], 0.0), nats)
        return lead

    def _missing(self, row: Sequence[int]) -> tuple[list[Phrase], int]:
        """The phrases that may come next, and for how many tokens they have been waited for."""
        ends, since, missing = 0, 0, []
        for phrase in self.phrases:
            found = min(
                (end for spelling in phrase.within + phrase.first if (end := _end(row, spelling, ends))), default=0
            )
            if not found:
                if self.in_order:
                    return [phrase], len(row) - since
                missing.append(phrase)
                continue
            since = max(since, found)
            ends = found if self.in_order else 0
        return missing, len(row) - since


_PLACES = 64  # log-probabilities of the whole vocabulary, in float64, at once


def _end(row: Sequence[int], spelling: Tokens, begin: int) -> int:
    """Where the first occurrence from `begin` on ends; 0 where there is none.

    >>> _end([1, 2, 3, 2, 3], (2, 3), 2), _end([1, 2], (2, 3), 0)
    (5, 0)
    """
    size = len(spelling)
    for place in range(begin, len(row) - size + 1):
        if tuple(row[place : place + size]) == spelling:
            return place + size
    return 0


def _begun(row: Sequence[int], spelling: Tokens) -> int:
    """How many tokens of a spelling the row ends with, fewer than all.

    >>> _begun([1, 2, 2], (2, 2, 3)), _begun([1], (2, 3))
    (2, 0)
    """
    for size in range(min(len(spelling) - 1, len(row)), 0, -1):
        if tuple(row[-size:]) == spelling[:size]:
            return size
    return 0


def _refuse_mask(constraint: Objective | None) -> None:
    if constraint is not None:
        raise ValueError(f"constraint={constraint.name!r}: a model that is led takes no mask; leave it to the energy")
