"""The block rule of power sampling, as a baseline under its own name.

Karan and Du, "Reasoning with sampling: your base model is smarter than you think", 2025: a text is written a block of
tokens at a time from p^power, each token renormalised on its own. After each block some moves of Metropolis-Hastings
cut what there is at a place drawn evenly from its t tokens, the end counted, and write anew up to t tokens or an end:

    accept with probability min(1, p(x')^power q(x) / (p(x)^power q(x'))),    q that of writing from the cut on.

A text that has come to its end by the end of a block is finished. No move makes a text longer than it is, the cut laws
1/t and 1/t' of unlike lengths do not enter, and what the next block will say is not known to the moves of this one:
however many moves there are, the law is not p^power. `SuffixResampling` under `MetropolisHastings`, which writes every
end up to where the model ends it, is the exact move.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.one_token_lm import OfTokenLM
from samplers.populations import log_sum
from samplers.proposals.cuts import first_cuts
from samplers.unfinished import Unfinished, next_laws
from textsearch.batch import Batch
from textsearch.checks import positive, whole
from textsearch.models.protocols import TokenLM
from textsearch.objective import Objective, evaluate
from textsearch.per_input import PerInput
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info

_CUT, _ACCEPT, _TOKENS = range(3)  # draws of a move; from the third on, one for each token


@final
@dataclass(frozen=True)
class BlockPower(OfTokenLM):
    """A new text every step, written and mended block by block after Karan and Du (2025).

    Biased, see the module. Of the energy only +inf counts: a text that it forbids, and one that has no end within
    `max_length` tokens, are refused, and the text that stood there stays.

    Attributes:
        lm: writes the texts, in tokens of its own.
        prompt: what the model reads first, one for all inputs or one for each.
        power: texts are sharpened to p^(power / T); 4 in the paper.
        block: tokens that are written between two rounds of moves.
        moves: of Metropolis-Hastings after each block; 10 in the paper.
        max_length: tokens of the longest text, frozen ones counted.

    >>> from objectives import Fluency
    >>> from textsearch import generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("ab"), seed=0)
    >>> sampler = BlockPower(lm, power=2.0, block=2, moves=3, max_length=4)
    >>> generate(2.0 * Fluency(lm), sampler, [""], steps=5, seed=0).texts
    ['ba']
    """

    lm: TokenLM
    prompt: str | Sequence[str] = ""
    power: float = 4.0
    block: int = 16
    moves: int = 10
    max_length: int = 64
    _prompts: PerInput[str] = field(init=False, repr=False, compare=False)

    kinds: ClassVar = ("block rule",)
    guarantee: ClassVar = Guarantee.BIASED
    starts_anywhere: ClassVar = True

    def __post_init__(self) -> None:
        self._keep(
            power=positive("power", self.power, remedy="; 4 is usual"),
            block=whole("block", self.block, 1, unit="token"),
            moves=whole("moves", self.moves, 0, unit="move"),
        )

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """A text for every row; `temperature` may be (B,)."""
        batch = state.batch
        heat = torch.as_tensor(temperature, dtype=torch.float64, device=batch.device).expand(len(batch))
        texts = self._draw(batch, self.power / heat, rng)
        complete = texts.ended & (texts.cuts + texts.counts <= self.max_length)
        evaluation = evaluate(objective, texts.batch(), wanted=complete)
        accepted = evaluation.energy < math.inf
        log_ratio = torch.zeros_like(heat).masked_fill(~accepted, -math.inf)
        info = Info(accepted, torch.zeros_like(batch.lengths), log_ratio)
        return state.where(accepted, ChainState(texts.batch(), evaluation)), info

    def _draw(self, batch: Batch, exponents: Tensor, rng: Rng) -> Unfinished:
        """B texts; one that has not ended holds `max_length` + 1 tokens."""
        cuts = first_cuts(batch)
        limit = (self.max_length + 1 - cuts).clamp(min=0)  # tokens that a row may grow by, its end among them
        width = int(limit.max()) if len(batch) else 0
        none = torch.zeros(len(batch), width, dtype=torch.float64, device=batch.device)
        draft = _Draft(Unfinished.start(batch, cuts, width), none)
        for number, done in enumerate(range(0, width, self.block)):
            own = rng.fold(number)
            rows = (~draft.texts.ended & (limit > done)).nonzero().squeeze(-1)
            part, most = draft.rows(rows), limit[rows].clamp(max=done + self.block)
            part = self._written(part, most, exponents[rows], own.fold(0).rows(rows))
            for move in range(self.moves):
                part = self._moved(part, exponents[rows], own.fold(move + 1).rows(rows))
            draft = draft.put(rows, part)
        return draft.texts

    def _moved(self, draft: _Draft, exponents: Tensor, rng: Rng) -> _Draft:
        """Every text cut and written anew up to as many tokens, or left as it is."""
        sizes = draft.sizes
        cuts = (rng.uniform(_CUT) * sizes).long()
        new = self._written(draft.cut(cuts), sizes, exponents, rng)
        accepted = rng.uniform(_ACCEPT).log() < new.gain(cuts) - draft.gain(cuts)
        return draft.where(accepted, new)

    def _written(self, draft: _Draft, most: Tensor, exponents: Tensor, rng: Rng) -> _Draft:
        """Every text with tokens drawn one by one until it has `most` (K,) or its end."""
        prompts = self._prompts.rows(draft.texts.base)
        while len(going := (~draft.texts.ended & (draft.texts.counts < most)).nonzero().squeeze(-1)):
            place = int(draft.texts.counts[going].min())
            going = going[draft.texts.counts[going] == place]
            laws = torch.cat(
                [
                    law
                    for _, _, law in next_laws(
                        self.lm,
                        draft.texts.rows(going),
                        [prompts[i] for i in going.tolist()],
                        exponents[going],
                        self.max_length + 1,
                    )
                ]
            )
            tokens = categorical(laws, rng.rows(going).uniform(_TOKENS + place))
            draft = draft.grown(going, tokens, log_sum(laws), self.lm.eos)
        return draft


@final
@dataclass(frozen=True, eq=False)
class _Draft:
    """K texts as far as they are written.

    Attributes:
        texts: the tokens.
        log_totals: (K, W) float64, of each token behind the cut and of the end, power times log p less the
            log-probability of having drawn it: the log of what all tokens add up to there.
    """

    texts: Unfinished
    log_totals: Tensor

    @property
    def sizes(self) -> Tensor:
        """(K,) tokens behind the cut, the end among them."""
        return self.texts.counts + self.texts.ended

    def gain(self, first: Tensor) -> Tensor:
        """(K,) log p - log q of what was drawn from place `first` (K,) on."""
        place = torch.arange(self.log_totals.shape[1], device=first.device)
        inside = (place >= first[:, None]) & (place < self.sizes[:, None])
        # cumsum adds from left to right: no bit depends on the width
        return self.log_totals.where(inside, 0.0).cumsum(1)[:, -1]

    def cut(self, sizes: Tensor) -> _Draft:
        """What is left when all behind `sizes` (K,) tokens is taken off."""
        return replace(self, texts=replace(self.texts, counts=sizes, ended=torch.zeros_like(self.texts.ended)))

    def grown(self, index: Tensor, tokens: Tensor, totals: Tensor, end: int) -> _Draft:
        """The texts under `index` (J,) with a token or their end more."""
        place = (index, self.texts.counts[index])
        return _Draft(self.texts.grown(index, tokens, end), self.log_totals.index_put(place, totals))

    def rows(self, index: Tensor) -> _Draft:
        """The texts that `index` picks."""
        return _Draft(self.texts.rows(index), self.log_totals[index])

    def where(self, taken: Tensor, new: _Draft) -> _Draft:
        """Text k of `new` where `taken[k]`."""
        own, other = self.texts, new.texts
        texts = replace(
            own,
            written=other.written.where(taken[:, None], own.written),
            counts=other.counts.where(taken, own.counts),
            ended=other.ended.where(taken, own.ended),
        )
        return _Draft(texts, new.log_totals.where(taken[:, None], self.log_totals))

    def put(self, index: Tensor, new: _Draft) -> _Draft:
        """`new` in place of the texts under `index`."""
        texts = replace(
            self.texts,
            written=self.texts.written.index_copy(0, index, new.texts.written),
            counts=self.texts.counts.index_copy(0, index, new.texts.counts),
            ended=self.texts.ended.index_copy(0, index, new.texts.ended),
        )
        return _Draft(texts, self.log_totals.index_copy(0, index, new.log_totals))
