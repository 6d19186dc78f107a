"""Locally balanced proposals (Zanella, 2020) for texts, the ratios from one pass of a masked language model.

Of all changes of one token, at any site i to any value v, one is drawn in proportion to g of its ratio,

    Q(i, v | x) = g(r_iv(x)) / Z(x),    Z(x) = sum over sites i and values v of g(r_iv(x)),

with g(t) = t / (1 + t) or sqrt(t), which obey g(t) = t g(1/t): where r is the target's own ratio, Z(x) / Z(y) is all
that is left of the acceptance ratio. Grathwohl et al. (2021) put an estimate from one pass in place of r, as here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from samplers.one_masked_lm import OfMaskedLM
from samplers.proposals.informed import Balance, Changes, barker, check_power, draw_column, log_total, moves
from textsearch.batch import Batch
from textsearch.checks import function, keep
from textsearch.models.protocols import MaskedLM
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical

_SITE, _VALUE = range(2)  # draws


@final
@dataclass(frozen=True, eq=False)
class LocallyBalanced(OfMaskedLM):
    """Change one token, the site and its new value drawn together: first where the text is weak.

    A step is two passes of the model over a row, at x for Q(. | x) and at y for the way back, whatever the number of
    sites. Words keep their number of pieces and texts their length; mix with moves that change them.

    What the model thinks of a text must be about what the target does, and it must know to judge a token that it sees:
    a site that the model would change and the target would not is tried again and again. A `GuidedMaskedLM` with the
    causal model of the energy does better than a masked model that was trained on masks alone.

    Attributes:
        mlm: gives the ratios, from the text as it stands.
        balance: log g, `barker` or `square_root`.
        power: of the ratios; below 1 sites and values are more alike.

    >>> from samplers import MetropolisHastings
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(LocallyBalanced(TableMaskedLM.random(letters("abc"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, sampler, ["aaa"], steps=50, seed=0).best_energies.tolist()
    [0.0]
    """

    mlm: MaskedLM
    balance: Balance = barker
    power: float = 1.0

    kinds: ClassVar = ("locally balanced",)

    def __post_init__(self) -> None:
        super().__post_init__()
        function("balance", self.balance, "a balancing function", "barker or square_root")
        keep(self, power=check_power(self.power))

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One change a row; rows without sites stay."""
        return moves(batch, rng, self._draw)

    def _draw(self, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
        here = Changes.of(self.mlm, batch, self.balance, self.power)
        site = draw_column(here.log_sites, rng.uniform(_SITE))
        log_values = here.at(site)
        value = categorical(log_values, rng.uniform(_VALUE))
        log_forward = log_values.gather(1, value[:, None])[:, 0] - log_total(here.log_sites)
        del here  # before there is a second table

        new = batch.with_tokens(site, value)
        there = Changes.of(self.mlm, new, self.balance, self.power)
        old = batch.tokens.gather(1, site[:, None])
        log_backward = there.at(site).gather(1, old)[:, 0] - log_total(there.log_sites)
        return new.tokens, log_forward, log_backward
