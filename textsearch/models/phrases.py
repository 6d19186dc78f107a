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

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.models.masking import FREE
from textsearch.models.protocols import TokenLM
from textsearch.models.reading.suffixes import with_suffixes
from textsearch.objective import Objective
from textsearch.per_input import PerInput
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

    def ends(self, row: Sequence[int], begin: int, glued: Collection[int]) -> list[int]:
        """Where its occurrences from the place `begin` on end, none of which a token of `glued` goes on with.

        >>> Phrase(((2, 3),), first=((3,),)).ends([3, 2, 3, 2, 3, 9], 0, {9})
        [1, 3]
        """
        found = {end for spelling in self.within for end in _ends(row, spelling, begin)}
        if begin == 0:
            found |= {len(spelling) for spelling in self.first if tuple(row[: len(spelling)]) == spelling}
        return sorted(end for end in found if end == len(row) or row[end] not in glued)

    def spelt(self, row: Sequence[int]) -> list[tuple[Tokens, int]]:
        """Spellings that may come next after a row, each with how many of its tokens the row ends with.

        >>> Phrase(((2, 3), (4,)), first=((3,),)).spelt([2])
        [((2, 3), 1), ((4,), 0)]
        """
        begun = [one for one in self.first if len(row) < len(one) and one[: len(row)] == tuple(row)]
        return [(one, _begun(row, one)) for one in self.within] + [(one, len(row)) for one in begun]

    @property
    def size(self) -> int:
        """Tokens of its shortest spelling."""
        return min(map(len, self.within + self.first))


@final
@dataclass(frozen=True)
class Wanted:
    """The phrases that a text must hold; one that is named twice, twice.

    Attributes:
        phrases: with their spellings.
        in_order: whether they must come in this order.
    """

    phrases: tuple[Phrase, ...]
    in_order: bool = False

    def missing(self, row: Sequence[int], glued: Collection[int] = ()) -> tuple[list[Phrase], int]:
        """The phrases that are not there, and where the last of the others ends.

        >>> a, b = Phrase(((1, 2),)), Phrase(((3,),))
        >>> Wanted((a, b, b)).missing([3, 4]) == ([a, b], 1)
        True
        >>> Wanted((a, b), in_order=True).missing([3, 1, 2, 4]) == ([b], 3)
        True
        """
        last, missing = 0, []
        named: Counter[Phrase] = Counter()
        for place, phrase in enumerate(self.phrases):
            ends = phrase.ends(row, last if self.in_order else 0, glued)[named[phrase] :]
            if not ends and self.in_order:
                return list(self.phrases[place:]), last
            if ends:
                last = max(last, ends[0])
                named[phrase] += not self.in_order
            else:
                missing.append(phrase)
        return missing, last

    def now(self, missing: Sequence[Phrase]) -> Sequence[Phrase]:
        """Those of the missing ones that may come next."""
        return missing[:1] if self.in_order else list(dict.fromkeys(missing))

    def tokens_left(self, row: Sequence[int], glued: Collection[int] = ()) -> int:
        """How many tokens of phrases a row lacks at least.

        >>> Wanted((Phrase(((1, 2),)), Phrase(((3, 4, 5), (6, 7))))).tokens_left([1, 2, 3, 4])
        1
        """
        missing, _ = self.missing(row, glued)
        sizes = sum(phrase.size for phrase in missing)
        saved = (phrase.size - len(one) + done for phrase in self.now(missing) for one, done in phrase.spelt(row))
        return sizes - max(saved, default=0)


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
        wanted: what a text must hold, for each input.
        room: tokens of the longest text.
        glued: tokens that go on with the word before them.

    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("abcd"), seed=0)
    >>> wanted = Wanted((Phrase(((1, 2, 3),)), Phrase(((4, 4),))))
    >>> led = PhraseLM(lm, PerInput("wanted", (wanted,)), room=24)
    >>> start = lm.vocabulary.encode([""] * 6)
    >>> texts, log_q, ended = led.draw_suffixes(start, torch.zeros(6, dtype=int), Rng.start(0, 6), most=24)
    >>> sum("abc" in text and "dd" in text for text in texts.texts()) >= 4
    True
    """

    lm: TokenLM
    wanted: PerInput[Wanted]
    room: int
    glued: frozenset[int] = frozenset()

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
        wanted = self.wanted.rows(batch)
        new: list[list[int]] = [[] for _ in rows]
        log_prob, ended = [0.0] * len(rows), [False] * len(rows)
        going = [i for i, row in enumerate(rows) if len(row) <= room[i]]
        place = 0
        while going:
            own, asked = [rows[i] for i in going], [prompts[i] for i in going]
            law = self._law(own, asked, [wanted[i] for i in going], temperature, max(room))
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
        wanted, sums = self.wanted.rows(batch), [0.0] * len(batch)
        places = [
            (i, [*row, self.lm.eos], place)
            for i, (row, cut) in enumerate(zip(batch.token_lists(), cuts.tolist(), strict=True))
            for place in range(cut, len(row) + 1)
        ]
        for first in range(0, len(places), _PLACES):
            part = places[first : first + _PLACES]
            own, asked = [row[:place] for _, row, place in part], [prompts[i] for i, _, _ in part]
            law = self._law(own, asked, [wanted[i] for i, _, _ in part], temperature)
            index = torch.tensor([row[place] for _, row, place in part], device=law.device)
            # one by one: the order of the sum does not depend on the batch
            for (i, _, _), value in zip(part, law.gather(1, index[:, None])[:, 0].tolist(), strict=True):
                sums[i] += value
        return torch.tensor(sums, dtype=torch.float64, device=batch.device)

    def _law(
        self,
        rows: Sequence[Sequence[int]],
        prompts: Sequence[str],
        wanted: Sequence[Wanted],
        temperature: float,
        longest: int = 0,
    ) -> Tensor:
        """(K, V) float64 log-probabilities of what comes next."""
        more = max(longest - min(map(len, rows)), 0)
        logits = self.lm.log_probs_after(rows, prompts, more) / temperature
        logits = logits.masked_fill(~self._may.to(logits.device), -torch.inf)
        leads = [self._lead(row, own) for row, own in zip(rows, wanted, strict=True)]
        at = [(k, token, nats) for k, lead in enumerate(leads) for token, nats in lead.items()]
        if at:
            index, tokens, nats = zip(*at, strict=True)
            lead = torch.tensor(nats, dtype=logits.dtype, device=logits.device)
            logits[list(index), list(tokens)] += lead
        written = [k for k, (row, own) in enumerate(zip(rows, wanted, strict=True)) if _just_written(row, own)]
        if written and self.glued:
            logits[written] += APART * self._is_glued.to(logits.device)
        return logits.log_softmax(-1)

    @cached_property
    def _may(self) -> Tensor:
        """(V,) bool, what a text may hold, and the end."""
        may = self.vocabulary.allowed.clone()
        may[self.lm.eos] = True
        return may

    @cached_property
    def _is_glued(self) -> Tensor:
        """(V,) bool."""
        glued = torch.zeros(self.vocabulary.size, dtype=torch.bool)
        glued[sorted(self.glued)] = True
        return glued

    def _lead(self, row: Sequence[int], wanted: Wanted) -> dict[int, float]:
        """Token -> nats, after the tokens of a row."""
        missing, since = wanted.missing(row, self.glued)
        if not missing:
            late = len(row) - 0.5 * self.room
            return {self.lm.eos: LATE * late} if late > 0 else {}
        lead = {self.lm.eos: EARLY}
        begin = min(FIRST + SLOPE * (len(row) - since), MOST)
        for phrase in wanted.now(missing):
            for spelling, done in phrase.spelt(row):
                nats = ON if done else begin
                lead[spelling[done]] = max(lead.get(spelling[done], 0.0), nats)
        return lead


def _just_written(row: Sequence[int], wanted: Wanted) -> bool:
    """Whether a row ends with a phrase."""
    spellings = (one for phrase in wanted.phrases for one in phrase.within + phrase.first)
    return any(tuple(row[-len(one) :]) == one for one in spellings)


_PLACES = 64  # log-probabilities of the whole vocabulary, in float64, at once


def _ends(row: Sequence[int], spelling: Tokens, begin: int) -> Iterator[int]:
    """Where the occurrences from `begin` on end.

    >>> list(_ends([1, 2, 3, 2, 3], (2, 3), 1)), list(_ends([1, 2], (2, 3), 0))
    ([3, 5], [])
    """
    size = len(spelling)
    for place in range(begin, len(row) - size + 1):
        if tuple(row[place : place + size]) == spelling:
            yield place + size


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
