"""Path-auxiliary proposals (Sun, Dai, Xia and Ramamurthy, 2022): several informed changes in one move.

A path from x changes R sites, drawn one after another without replacement from the locally balanced weights, all of
them taken at x: with w_i(x) = sum over v of g(r_iv(x)),

    q(path | x) = prod_t g(r_{i_t v_t}(x)) / sum over sites i not in {i_1 .. i_(t-1)} of w_i(x).

The path itself is the auxiliary variable: the way back from y is the same path walked backwards, i_R first, which puts
back the old tokens, with ratios taken at y. Two passes for R changes, where R locally balanced steps take 2 R.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from samplers.one_masked_lm import OfMaskedLM
from samplers.proposals.informed import Balance, Changes, barker, check_power, draw_column, log_total, moves
from textsearch.batch import Batch
from textsearch.checks import function, keep, whole
from textsearch.models.protocols import MaskedLM
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical

_SITE, _VALUE = range(2)  # draws


@final
@dataclass(frozen=True, eq=False)
class PathAuxiliary(OfMaskedLM):
    """Change R tokens at once, each drawn as `LocallyBalanced` draws its one; all of them where there are fewer.

    A step is two passes of the model over a row, whatever R. The changes do not see one another, so R is a trade:
    longer paths go further and are taken less often. Every site of the path gets another token: R is exact, so mix with
    another R, or use at least three values a site, to reach every text.

    Attributes:
        mlm: gives the ratios, from the text as it stands.
        sites: R, tokens to change.
        balance: log g, `barker` or `square_root`.
        power: of the ratios; below 1 sites and values are more alike.

    >>> from samplers import MetropolisHastings
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(PathAuxiliary(TableMaskedLM.random(letters("abc"), seed=0), sites=2))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, sampler, ["aaa"], steps=50, seed=0).best_energies.tolist()
    [0.0]
    """

    mlm: MaskedLM
    sites: int = 2
    balance: Balance = barker
    power: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        function("balance", self.balance, "a balancing function", "barker or square_root")
        sites = whole("sites", self.sites, 1, unit="token", remedy=" to change")
        keep(self, power=check_power(self.power), sites=sites)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The name of its one move, with the number of tokens that it changes."""
        return (f"path of {self.sites}",)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One path a row; rows without sites stay."""
        return moves(batch, rng, self._draw)

    def _draw(self, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
        here = Changes.of(self.mlm, batch, self.balance, self.power)
        path, used = self._path(here.log_sites, rng)
        log_values = here.at(path)
        values = categorical(log_values.flatten(0, 1), rng.uniform(_VALUE, self.sites).flatten()).reshape(path.shape)
        log_forward = _log_path(here.log_sites, path, used, log_values.gather(2, values[..., None])[..., 0])
        del here, log_values  # before there is a second table

        tokens = batch.tokens
        for t in range(self.sites):
            written = tokens.scatter(1, path[:, t, None], values[:, t, None])
            tokens = written.where(used[:, t, None], tokens)
        there = Changes.of(self.mlm, replace(batch, tokens=tokens), self.balance, self.power)
        last_first = (used.sum(1, keepdim=True) - 1 - torch.arange(self.sites, device=batch.device)).clamp(min=0)
        back = path.gather(1, last_first)
        old = batch.tokens.gather(1, back)
        log_backward = _log_path(there.log_sites, back, used, there.at(back).gather(2, old[..., None])[..., 0])
        return tokens, log_forward, log_backward

    def _path(self, log_sites: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """(B, R) sites one after another, and (B, R) bool, False beyond the last site that a row has."""
        uniforms = rng.uniform(_SITE, self.sites)
        used = torch.arange(self.sites, device=log_sites.device) < (log_sites > -math.inf).sum(1, keepdim=True)
        path = []
        for uniform in uniforms.unbind(1):
            # a row whose sites are used up draws what it will not use
            path.append(draw_column(log_sites, uniform))
            log_sites = log_sites.scatter(1, path[-1][:, None], -math.inf)
        return torch.stack(path, 1), used


def _log_path(log_sites: Tensor, path: Tensor, used: Tensor, log_values: Tensor) -> Tensor:
    """(B,) log q of changes of log-weights `log_values` (B, R), one after another, from the weights (B, N) of sites."""
    log_prob = torch.zeros_like(log_sites[:, 0])
    for t in range(path.shape[1]):
        log_prob = log_prob + (log_values[:, t] - log_total(log_sites)).where(used[:, t], 0.0)
        log_sites = log_sites.scatter(1, path[:, t, None], -math.inf)
    return log_prob
