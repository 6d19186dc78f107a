"""The sampler of CGMH, "constrained sentence generation by Metropolis-Hastings" (Miao et al., AAAI 2019).

Each step takes a word of the text at random and replaces it, deletes it, or inserts a word before it, one time in three
each. A word is replaced or inserted by drawing it in proportion to the probability pi of the whole text that it makes,

    g(w | gap) = pi(text with w in the gap) / Z(gap),     Z(gap) = sum of pi over the candidates for the gap,

and the candidates are the K words that a model which sees the words around the gap likes best, chosen beforehand: the
sum over the whole vocabulary would take a pass for each word. With acceptance min(1, pi(x') g(x|x') / pi(x) g(x'|x)),

    replace   1,               if the old word is a candidate for its own gap, else 0
    insert    Z(gap) / pi(x)
    delete    pi(x') / Z(gap), if the old word is a candidate for its own gap, else 0

since a text of n words has n + 1 slots, one for each way to delete a word from the text of n + 1. Keywords are kept by
the indicator in pi; the text begins as the keywords in a row.

This is the correct reading of the paper. The code published with it takes the probability of the way back from another
candidate than the old word, leaves the old word among the candidates whether or not it belongs there, and so samples
something else. Here the choice of candidates is a function of the gap alone, an old word outside them is a refusal, and
the tests of exact samplers hold. The paper prefers by the lesser of a forward and a backward language model; we have
none that reads backwards, and take the product of a causal model and of a masked one, which sees both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from samplers.proposals.sites import place_of, tokens_by_role, word_table
from textsearch.batch import Batch, Vocabulary
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Evaluation, Objective, evaluate
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info

_KIND, _PLACE, _WORD, _TEST = range(4)  # draws
_REPLACE, _INSERT, _DELETE = range(3)


@final
@dataclass(frozen=True, eq=False)
class CGMH:
    """Replace, insert or delete a word, drawn among `candidates` by the probability of the whole text.

    Exact. Costs a pass of the model, and as many energies as there are candidates. Frozen words stay; they must be at
    the end, as a full stop is.

    Attributes:
        model: chooses the candidates.
        candidates: K, words tried in each gap.
        max_length: tokens that a text may grow to.

    >>> from textsearch.testing import TableMaskedLM, check_sampler, letters
    >>> sampler = CGMH(TableMaskedLM.random(letters("abc"), seed=0), candidates=2, max_length=2)
    >>> texts = ["a", "b", "c", *(one + other for one in "abc" for other in "abc")]
    >>> check_sampler(sampler, texts, steps=6).laws[-1]
    Law(name='on the target', figure='p = 0.469', bound='p > 1e-4')
    """

    model: MaskedLM
    candidates: int
    max_length: int = 64

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ValueError(f"candidates={self.candidates} must be at least 1 word")

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.model.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The three operations."""
        return ("replace", "insert", "delete")

    @property
    def guarantee(self) -> Guarantee:
        """Exact."""
        return Guarantee.EXACT

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The batch with its energies."""
        return ChainState.start(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One operation a row, made or not."""
        batch = state.batch.widen(self.max_length)
        rows = torch.arange(len(batch), device=batch.device)
        first, editable = word_table(batch)
        count = editable.sum(1)
        kind = (rng.uniform(_KIND) * 3).floor().to(torch.int64)
        inserts = kind == _INSERT
        # words are at ranks 0 .. n - 1, the slots before them at the same, and one more behind the last
        ways = count + inserts.to(torch.int64)
        rank = (rng.uniform(_PLACE) * ways).floor().to(torch.int64)
        slot_at_end = rank >= count
        word = torch.where(slot_at_end, count, place_of(editable, rank))
        start = first.gather(1, word[:, None])[:, 0]
        stop = torch.where(inserts, start, first.gather(1, (word + 1).clamp(max=first.shape[1] - 1)[:, None])[:, 0])
        possible = (ways > 0) & (batch.lengths - (stop - start) + 1 <= self.max_length)
        start, stop = start.where(possible, 0), stop.where(possible, 0)

        now = state.evaluation.energy
        shorter = batch.splice(start, stop, torch.zeros_like(start), batch.width)
        deleted = evaluate(objective, shorter, wanted=possible & (kind == _DELETE))
        # what cannot be deleted needs no price for the way back
        ask = possible & ((kind != _DELETE) | (deleted.energy < math.inf))
        old = batch.tokens.gather(1, start[:, None])[:, 0]
        single = (stop - start == 1) | inserts
        ask = ask & single
        texts, log_weights, chosen, evaluation = self._gaps(objective, batch, start, stop, ask, temperature)
        log_z = log_weights.logsumexp(1)
        drawn = categorical(log_weights.where(ask[:, None] & log_z.isfinite()[:, None], 0.0), rng.uniform(_WORD))

        known = (chosen == old[:, None]).any(1)
        log_ratio = log_acceptance(kind, -now / temperature, -deleted.energy / temperature, log_z, known)
        log_ratio = log_ratio.masked_fill(~ask | ~log_z.isfinite(), -math.inf)
        accepted = rng.uniform(_TEST).log() < log_ratio
        pick = rows * self.candidates + drawn
        written = ChainState(texts.rows(pick), evaluation.rows(pick))
        after = written.where(kind == _DELETE, ChainState(shorter, deleted))
        return state.where(accepted, after), Info(accepted, kind, log_ratio)

    def _gaps(
        self, objective: Objective, batch: Batch, start: Tensor, stop: Tensor, ask: Tensor, temperature: float | Tensor
    ) -> tuple[Batch, Tensor, Tensor, Evaluation]:
        """Each row's texts with the candidates in its gap, (B, K) their log pi, (B, K) the candidates, the energies."""
        size = self.candidates
        gaps = batch.splice(start, stop, torch.ones_like(start), batch.width)
        asked = ask.nonzero().squeeze(-1)
        chosen = torch.zeros(len(batch), size, dtype=torch.int64, device=batch.device)
        wanted = torch.zeros(len(batch), size, dtype=torch.bool, device=batch.device)
        if len(asked):
            log_probs = self.model.log_probs(gaps, asked, start[asked]).to(torch.float64)
            begins = tokens_by_role(self.vocabulary, batch.device)[0]
            top = log_probs.masked_fill(~begins, -math.inf).topk(size)
            chosen, wanted = (
                chosen.index_copy(0, asked, top.indices),
                wanted.index_copy(0, asked, top.values.isfinite()),
            )
        texts = gaps.repeat(size).with_tokens(start.repeat_interleave(size), chosen.flatten())
        evaluation = evaluate(objective, texts, wanted=wanted.flatten())
        heat = temperature[:, None] if isinstance(temperature, Tensor) else temperature
        return texts, -evaluation.energy.view(-1, size) / heat, chosen, evaluation


def log_acceptance(kind: Tensor, own: Tensor, shorter: Tensor, log_z: Tensor, known: Tensor) -> Tensor:
    """(B,) log of the acceptance ratio of each operation.

    Args:
        kind: (B,) which one.
        own: (B,) log pi(x).
        shorter: (B,) log pi of the text with the word deleted.
        log_z: (B,) log Z of the gap.
        known: (B,) whether the old word is a candidate for its own gap.
    """
    replaced = torch.zeros_like(own)
    back = torch.where(kind == _DELETE, shorter - log_z, replaced).masked_fill(~known, -math.inf)
    return torch.where(kind == _INSERT, log_z - own, back)
