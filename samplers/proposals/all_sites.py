"""All sites at once: the discrete Langevin proposal (Zhang, Liu and Liu, 2022) with a masked model's ratios.

The Langevin proposal of a continuous space, half a gradient and a Gaussian step, splits into one factor for each
coordinate; so does its discrete form. Each site i is resampled independently, all from one pass at x:

    q_i(v | x)  proportional to  exp(log r_iv(x) / 2 - [v != x_i] / (2 step_size)),    q(y | x) = prod_i q_i(y_i | x),

with r raised to a power if wanted. A Metropolis-Hastings step (DMALA) makes up for what the sites do not see of one
another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.one_masked_lm import OfMaskedLM
from samplers.proposals.informed import changeable, check_power, log_ratios, moves, unfit
from textsearch.batch import Batch
from textsearch.checks import keep, positive
from textsearch.models.protocols import MaskedLM
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical

_VALUE = 0  # draw


@final
@dataclass(frozen=True, eq=False)
class AllSites(OfMaskedLM):
    """Resample every token at once; the smaller the step size, the more of them keep their value.

    A step is two passes of the model over a row, at x and at y. A draw that changes nothing is a move as well, and is
    always accepted.

    Attributes:
        mlm: gives the ratios, from the text as it stands.
        step_size: a change costs 1 / (2 step_size) nats, whatever it changes. The unlikely tokens of a vocabulary of
            30,000 add up: 0.07 changed about one token of a sentence, 0.1 five (0.1 at power 2: one).
        power: of the ratios; above 1, fewer of the many unlikely tokens of a large vocabulary are drawn.

    >>> from samplers import MetropolisHastings
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(AllSites(TableMaskedLM.random(letters("abc"), seed=0), step_size=1.0))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, sampler, ["aaa"], steps=50, seed=0).best_energies.tolist()
    [0.0]
    """

    mlm: MaskedLM
    step_size: float
    power: float = 1.0

    kinds: ClassVar = ("all sites",)

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(
            self,
            power=check_power(self.power),
            step_size=positive("step_size", self.step_size, remedy="; the larger, the more tokens change"),
        )

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """Resample all sites of each row; rows without sites stay."""
        return moves(batch, rng, self._draw)

    def _draw(self, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns = changeable(batch).nonzero().unbind(1)
        log_law = self._law(batch, rows, columns)
        # a longer draw begins with a shorter one, so a column's number does not depend on the width
        values = categorical(log_law, rng.uniform(_VALUE, batch.width)[rows, columns])
        log_forward = self._sum(batch, rows, columns, log_law.gather(1, values[:, None])[:, 0])
        del log_law  # before there is a second table

        new = replace(batch, tokens=batch.tokens.index_put((rows, columns), values))
        log_law = self._law(new, rows, columns)
        log_backward = self._sum(batch, rows, columns, log_law.gather(1, batch.tokens[rows, columns, None])[:, 0])
        return new.tokens, log_forward, log_backward

    def _law(self, batch: Batch, rows: Tensor, columns: Tensor) -> Tensor:
        """(K, V) log q_i(v | x) at the sites."""
        ratios = log_ratios(self.mlm, batch, rows, columns)
        log_weights = 0.5 * self.power * ratios - 0.5 / self.step_size
        log_weights = log_weights.masked_fill(unfit(self.mlm, batch, rows, columns), -math.inf)
        stay = batch.tokens[rows, columns, None]
        return log_weights.scatter(1, stay, 0.0).log_softmax(1)

    def _sum(self, batch: Batch, rows: Tensor, columns: Tensor, log_probs: Tensor) -> Tensor:
        """(B,) the sum over a row's sites of (K,) log-probabilities."""
        total = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        table = torch.zeros(batch.tokens.shape, dtype=torch.float64, device=batch.device)
        # one column at a time: the order of the sum, and so its last bit, does not depend on the padding
        for column in table.index_put((rows, columns), log_probs.double()).unbind(1):
            total = total + column
        return total
