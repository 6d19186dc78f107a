"""Constrained beam search as it is in the papers: what those have lost who used it in transformers.

Grid beam search (Hokamp and Liu, "Lexically constrained decoding for sequence generation using grid beam search", ACL
2017) with dynamic beam allocation (Post and Vilar, "Fast lexically constrained decoding with dynamic beam allocation
for neural machine translation", NAACL 2018). One beam of a few hypotheses is shared among banks, one for each number of
constraint tokens that are met. A hypothesis ends only where all are met, and is put aside. As in transformers, the best
by log p over length is what the search gives, and it is over once as many as the beam holds are at least as good as the
best that goes on. Written for itself: nothing of it is in `force_words`, but the model that both read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from textsearch.models.protocols import TokenLM

Tokens = tuple[int, ...]


@final
@dataclass(frozen=True)
class Hypothesis:
    """A text, or the beginning of one.

    Attributes:
        tokens: the end not among them.
        log_prob: of all that is written, and of the end if it has ended; nats.
        met: which of the constraints are met.
        begun: the constraint that is being written, and how many tokens of it are.
        ended: whether it has.
    """

    tokens: Tokens
    log_prob: float
    met: frozenset[int] = frozenset()
    begun: tuple[int, int] | None = None
    ended: bool = False

    def score(self) -> float:
        """log p over length, the end counted."""
        return self.log_prob / (len(self.tokens) + self.ended)

    def bank(self, constraints: Sequence[Tokens]) -> int:
        """Tokens of constraints that are met."""
        return sum(len(constraints[number]) for number in self.met) + (self.begun[1] if self.begun else 0)

    def wanted(self, constraints: Sequence[Tokens]) -> list[int]:
        """Tokens that a constraint goes on with or begins with."""
        if self.begun:
            number, done = self.begun
            return [constraints[number][done]]
        return [one[0] for number, one in enumerate(constraints) if number not in self.met]

    def grown(self, token: int, log_prob: float, constraints: Sequence[Tokens]) -> Hypothesis:
        """With one token more; a phrase that is left before its end is not met.

        >>> one = Hypothesis((), 0.0).grown(5, -1.0, [(5, 6)])
        >>> one.begun, one.grown(6, -2.0, [(5, 6)]).met, one.grown(7, -2.0, [(5, 6)]).begun
        ((0, 1), frozenset({0}), None)
        """
        number, done = self.begun or (-1, 0)
        if not self.begun or constraints[number][done] != token:
            done = 0
            free = (i for i, one in enumerate(constraints) if i not in self.met and one[0] == token)
            number = next(free, -1)
        if number < 0:
            return Hypothesis((*self.tokens, token), log_prob, self.met)
        if done + 1 == len(constraints[number]):
            return Hypothesis((*self.tokens, token), log_prob, self.met | {number})
        return Hypothesis((*self.tokens, token), log_prob, self.met, (number, done + 1))


def search(
    lm: TokenLM, prompt: str, constraints: Sequence[Tokens], *, beams: int, max_length: int
) -> Hypothesis | None:
    """The best text that holds the constraints; None where none has ended.

    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("abc"), seed=0)
    >>> found = search(lm, "", [(1, 2), (3, 3)], beams=5, max_length=8)
    >>> "".join(" abc"[token] for token in found.tokens)
    'ccaabaaa'
    """
    total = sum(map(len, constraints))
    beam, ended = [Hypothesis((), 0.0)], list[Hypothesis]()
    for place in range(max_length + 1):
        laws = lm.log_probs_after([one.tokens for one in beam], [prompt] * len(beam), max_length - place)
        laws = laws.masked_fill(~_may(lm).to(laws.device), -torch.inf)
        grown = _grown(beam, laws, constraints, total, lm.eos, beams)
        ended = sorted(ended + [one for one in grown if one.ended], key=Hypothesis.score, reverse=True)[:beams]
        beam = _allocated([one for one in grown if not one.ended], constraints, total, beams)
        if not beam or (len(ended) == beams and ended[-1].score() >= max(one.score() for one in beam)):
            break
    return ended[0] if ended else None


def _may(lm: TokenLM) -> Tensor:
    may = lm.vocabulary.allowed.clone()
    may[lm.eos] = True
    return may


def _grown(
    going: Sequence[Hypothesis], laws: Tensor, constraints: Sequence[Tokens], total: int, end: int, beams: int
) -> list[Hypothesis]:
    """The best tokens of all, the best of each, and those of constraints."""
    laws = laws.clone()
    for row, one in enumerate(going):
        if one.bank(constraints) < total:
            laws[row, end] = -torch.inf
    sums = laws + torch.tensor([one.log_prob for one in going], dtype=laws.dtype, device=laws.device)[:, None]
    chosen = {divmod(at, laws.shape[1]) for at in sums.flatten().topk(min(beams, sums.numel())).indices.tolist()}
    chosen |= set(enumerate(sums.argmax(1).tolist()))
    chosen |= {(row, token) for row, one in enumerate(going) for token in one.wanted(constraints)}
    found = []
    for row, token in sorted(chosen):
        one, log_prob = going[row], float(sums[row, token])
        if log_prob == -torch.inf:
            continue
        found.append(
            replace(one, log_prob=log_prob, ended=True) if token == end else one.grown(token, log_prob, constraints)
        )
    return found


def _allocated(grown: Sequence[Hypothesis], constraints: Sequence[Tokens], total: int, beams: int) -> list[Hypothesis]:
    """An equal share for each bank, and what a bank cannot fill for the one that has met most."""
    banks: list[list[Hypothesis]] = [[] for _ in range(total + 1)]
    for one in sorted(grown, key=lambda one: (-one.log_prob, one.tokens)):
        banks[one.bank(constraints)].append(one)
    share, more = divmod(beams, total + 1)
    shares = [min(share + (bank >= total + 1 - more), len(own)) for bank, own in enumerate(banks)]
    for bank in range(total, -1, -1):
        shares[bank] += min(beams - sum(shares), len(banks[bank]) - shares[bank])
    return [one for bank, own in enumerate(banks) for one in own[: shares[bank]]]
