"""Informed proposals without shortcuts, whose parts can be broken one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from samplers.proposals import barker
from samplers.proposals.informed import Balance
from tests.samplers.informed_toys import SeeingMaskedLM
from textsearch.batch import Batch, Vocabulary
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical
from textsearch.testing import TableMaskedLM


def reversed_path(path: Tensor) -> Tensor:
    """The honest way back."""
    return path.flip(1)


def same_order(path: Tensor) -> Tensor:
    return path


def from_left_to_right(path: Tensor) -> Tensor:
    return path.sort(1).values


@dataclass(frozen=True, eq=False)
class PlainPath:
    """Paths without shortcuts, for words of one piece and no frozen tokens, whose parts can be broken one at a time.

    Attributes:
        back: the order in which the way back undoes the changes.
        at_y: whether the way back is priced with what the model says of y, or of x.
        totals: whether the sums over all changes that were open, Z, count.
    """

    model: SeeingMaskedLM
    count: int
    balance: Balance = barker
    back: Callable[[Tensor], Tensor] = reversed_path
    at_y: bool = True
    totals: bool = True
    kinds: tuple[str, ...] = ("plain",)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.model.vocabulary

    def check(self, batch: Batch) -> None: ...

    def propose(self, batch: Batch, rng: Rng) -> Move:
        read = every_conditional(self.model, batch)
        weights = self.weights(read, batch.tokens)
        left, tokens, path = weights, batch.tokens, []
        for number in range(self.count):
            drawn = categorical(left.flatten(1), rng.uniform(number))
            path.append(drawn // self.vocabulary.size)
            tokens = tokens.scatter(1, path[-1][:, None], drawn[:, None] % self.vocabulary.size)
            left = self.without(left, path[-1])
        new = replace(batch, tokens=tokens)
        order = torch.stack(path, 1)
        weights_there = self.weights(every_conditional(self.model, new) if self.at_y else read, tokens)
        forward = self.price(weights, order, new)
        backward = self.price(weights_there, self.back(order), batch)
        return Move(new, forward, backward, torch.zeros_like(batch.lengths))

    def weights(self, log_probs: Tensor, tokens: Tensor) -> Tensor:
        """(B, N, V)."""
        weights = self.balance(log_probs - log_probs.gather(2, tokens[..., None]))
        weights = weights.masked_fill(~self.vocabulary.allowed, -math.inf)
        return weights.scatter(2, tokens[..., None], -math.inf)

    def without(self, weights: Tensor, site: Tensor) -> Tensor:
        return weights.scatter(1, site[:, None, None].expand(-1, 1, weights.shape[2]), -math.inf)

    def price(self, weights: Tensor, order: Tensor, end: Batch) -> Tensor:
        log_prob, rows = torch.zeros(len(weights), dtype=torch.float64), torch.arange(len(weights))
        for site in order.unbind(1):
            log_prob += weights[rows, site, end.tokens[rows, site]]
            if self.totals:
                log_prob -= weights.flatten(1).logsumexp(1)
            weights = self.without(weights, site)
        return log_prob


@dataclass(frozen=True, eq=False)
class PlainAllSites:
    """All sites at once without shortcuts, whose parts can be broken one at a time."""

    model: SeeingMaskedLM
    step_size: float
    at_y: bool = True
    totals: bool = True
    kinds: tuple[str, ...] = ("plain",)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.model.vocabulary

    def check(self, batch: Batch) -> None: ...

    def propose(self, batch: Batch, rng: Rng) -> Move:
        read = every_conditional(self.model, batch)
        law = self.law(read, batch.tokens)
        drawn = [categorical(law[:, site], rng.uniform(site)) for site in range(batch.width)]
        new = replace(batch, tokens=torch.stack(drawn, 1))
        law_there = self.law(every_conditional(self.model, new) if self.at_y else read, new.tokens)
        forward = law.gather(2, new.tokens[..., None]).sum((1, 2))
        backward = law_there.gather(2, batch.tokens[..., None]).sum((1, 2))
        return Move(new, forward, backward, torch.zeros_like(batch.lengths))

    def law(self, log_probs: Tensor, tokens: Tensor) -> Tensor:
        """(B, N, V)."""
        stays = torch.nn.functional.one_hot(tokens, self.vocabulary.size)
        weights = (log_probs - log_probs.gather(2, tokens[..., None])) / 2 - (1 - stays) / (2 * self.step_size)
        weights = weights.masked_fill(~self.vocabulary.allowed, -math.inf)
        return weights.log_softmax(2) if self.totals else weights


@dataclass(frozen=True, eq=False)
class PlainGibbs:
    """Metropolised Gibbs without shortcuts, for words of one piece and no frozen tokens, that can be broken.

    Attributes:
        totals: whether the sums over sites, Z, count.
        at_y: whether the way back is priced with the doubts at y, or at x.
    """

    model: TableMaskedLM
    totals: bool = True
    at_y: bool = True
    kinds: tuple[str, ...] = ("plain",)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.model.vocabulary

    def check(self, batch: Batch) -> None: ...

    def propose(self, batch: Batch, rng: Rng) -> Move:
        law, doubts = self.read(batch)
        site = categorical(doubts.log(), rng.uniform(0))
        own = law[torch.arange(len(batch)), site]
        old = batch.tokens.gather(1, site[:, None])
        value = categorical(own.scatter(1, old, -math.inf), rng.uniform(1))[:, None]
        new = batch.with_tokens(site, value[:, 0])
        there = self.read(new)[1] if self.at_y else doubts
        forward, backward = self.price(own, doubts, site, old, value), self.price(own, there, site, value, old)
        return Move(new, forward, backward, torch.zeros_like(batch.lengths))

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, N, V) log-probabilities of what is allowed, and (B, N) 1 - c."""
        log_probs = every_conditional(self.model, batch)
        doubts = 1 - log_probs.gather(2, batch.tokens[..., None])[..., 0].exp()
        return log_probs.masked_fill(~self.vocabulary.allowed, -math.inf), doubts

    def price(self, law: Tensor, doubts: Tensor, site: Tensor, old: Tensor, value: Tensor) -> Tensor:
        others = law.scatter(1, old, -math.inf).log_softmax(1)
        log_site = doubts.log().gather(1, site[:, None]) - (doubts.sum(1, keepdim=True).log() if self.totals else 0.0)
        return (log_site + others.gather(1, value))[:, 0]


def every_conditional(model: SeeingMaskedLM | TableMaskedLM, batch: Batch) -> Tensor:
    """(B, N, V)."""
    rows = torch.arange(len(batch))
    return torch.stack([model.log_probs(batch, rows, torch.full_like(rows, at)) for at in range(batch.width)], 1)
