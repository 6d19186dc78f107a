"""Beams: likely texts that hold given phrases, found from left to right, to start chains from.

Grid beam search (Hokamp and Liu, "Lexically constrained decoding for sequence generation using grid beam search", ACL
2017) with one beam shared among banks (Post and Vilar, "Fast lexically constrained decoding with dynamic beam
allocation for neural machine translation", NAACL 2018). Beginnings of texts that lack equally many tokens of phrases
are a bank, and compete with one another only. In each round a beginning is gone on with by likely tokens and by those
that begin a missing phrase or go on with one.

What differs: log p is that of a whole text, not by its length, so whatever lies below enough texts that have ended is
given up for good; a phrase counts as long as nothing goes on with its last word; and spellings are choices.

A search, no draw: chains that start from what it finds have their own law, and forget where they came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, final

import torch
from torch import Tensor

from textsearch.models.phrases import Tokens, Wanted
from textsearch.models.protocols import TokenLM

_ROWS = 128  # beginnings that are read side by side: a log-probability of each token for each, in float64


class Found(NamedTuple):
    """A text.

    Attributes:
        tokens: without the end.
        log_prob: of all and the end, nats.
    """

    tokens: Tokens
    log_prob: float


class _Beginning(NamedTuple):
    """The beginning of a text, its log p, and how many tokens of phrases it lacks."""

    tokens: Tokens
    log_prob: float
    left: int


@final
@dataclass(frozen=True, eq=False)
class PhraseBeams:
    """A search for likely texts that hold phrases.

    A pass reads one token of each of up to `width` beginnings for each input. An input is done with once no beginning
    is as likely as the last of `count` texts, or all have `room` tokens. What is found for an input does not depend on
    the others.

    Attributes:
        lm: the model.
        room: tokens of the longest text.
        width: beginnings that are kept, of all banks together.
        count: texts that are looked for.
        glued: tokens that go on with the word before them.

    >>> from textsearch.models.phrases import Phrase
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("abc"), seed=0)
    >>> found = PhraseBeams(lm, room=6, count=2).search([""], [Wanted((Phrase(((1, 2),)), Phrase(((3, 3),))))])
    >>> ["".join(" abc"[token] for token in one.tokens) for one in found[0]]
    ['ccab', 'abcc']
    """

    lm: TokenLM
    room: int
    width: int = 16
    count: int = 8
    glued: frozenset[int] = frozenset()

    def search(self, prompts: Sequence[str], wanted: Sequence[Wanted]) -> list[list[Found]]:
        """For each prompt up to `count` texts, the likeliest first; none where none was found."""
        found: list[list[Found]] = []
        size = max(1, _ROWS // self.width)
        for begin in range(0, len(prompts), size):
            found += self._search(prompts[begin : begin + size], wanted[begin : begin + size])
        return found

    @torch.no_grad()
    def _search(self, prompts: Sequence[str], wanted: Sequence[Wanted]) -> list[list[Found]]:
        may = self.lm.vocabulary.allowed.clone()
        ended: list[list[Found]] = [[] for _ in prompts]
        beams = [[_Beginning((), 0.0, own.tokens_left((), self.glued))] for own in wanted]
        for place in range(self.room + 1):
            rows = [one.tokens for beam in beams for one in beam]
            if not rows:
                break
            asked = [prompt for prompt, beam in zip(prompts, beams, strict=True) for _ in beam]
            laws = self.lm.log_probs_after(rows, asked, self.room - place)
            ends = laws[:, self.lm.eos].tolist()
            laws = laws.masked_fill(~may.to(laws.device), -torch.inf)
            laws[:, self.lm.eos] = -torch.inf
            first = 0
            for number, beam in enumerate(beams):
                stop = first + len(beam)
                own = [
                    Found(one.tokens, one.log_prob + end)
                    for one, end in zip(beam, ends[first:stop], strict=True)
                    if not one.left
                ]
                ended[number] = sorted([*ended[number], *own], key=_rank)[: self.count]
                grown = self._grown(beam, laws[first:stop], wanted[number]) if beam and place < self.room else []
                beams[number] = self._kept(grown, ended[number])
                first = stop
        return ended

    def _grown(self, beam: Sequence[_Beginning], laws: Tensor, wanted: Wanted) -> list[_Beginning]:
        """The beginnings with one token more: likely ones of all and of each, and those of phrases."""
        sums = laws + torch.tensor([one.log_prob for one in beam], dtype=laws.dtype, device=laws.device)[:, None]
        size = laws.shape[1]
        chosen = {divmod(at, size) for at in sums.flatten().topk(min(2 * self.width, sums.numel())).indices.tolist()}
        chosen |= set(enumerate(laws.argmax(1).tolist()))
        for row, one in enumerate(beam):
            missing, _ = wanted.missing(one.tokens, self.glued)
            for phrase in wanted.now(missing):
                chosen |= {(row, spelling[done]) for spelling, done in phrase.spelt(one.tokens)}
        places = sorted(chosen)
        index = torch.tensor(places, device=laws.device)
        found = []
        for (row, token), log_prob in zip(places, sums[index[:, 0], index[:, 1]].tolist(), strict=True):
            tokens = (*beam[row].tokens, token)
            left = wanted.tokens_left(tokens, self.glued)
            if log_prob > -torch.inf and len(tokens) + left <= self.room:
                found.append(_Beginning(tokens, log_prob, left))
        return found

    def _kept(self, grown: Sequence[_Beginning], ended: Sequence[Found]) -> list[_Beginning]:
        """At most `width`, shared out among the banks, of what may yet be among the likeliest."""
        least = ended[-1].log_prob if len(ended) == self.count else -torch.inf
        alive = sorted((one for one in grown if one.log_prob > least), key=attrgetter("left"))
        banks = [sorted(bank, key=_rank) for _, bank in groupby(alive, key=attrgetter("left"))]
        shares = _shares([len(bank) for bank in banks], self.width)
        return [one for bank, share in zip(banks, shares, strict=True) for one in bank[:share]]


def _rank(one: Found | _Beginning) -> tuple[float, Tokens]:
    """The likeliest first; of equals the order does not depend on how they were found."""
    return -one.log_prob, one.tokens


def _shares(sizes: Sequence[int], width: int) -> list[int]:
    """How many of each bank are kept: equally many, and those of small banks to the others, the first ones first.

    >>> _shares([9, 1, 9], 8), _shares([9, 9, 9], 2), _shares([1, 1], 8)
    ([4, 1, 3], [1, 1, 0], [1, 1])
    """
    shares = [0] * len(sizes)
    for _ in range(width):
        open_banks = [bank for bank, size in enumerate(sizes) if shares[bank] < size]
        if not open_banks:
            break
        shares[min(open_banks, key=lambda bank: shares[bank])] += 1
    return shares
