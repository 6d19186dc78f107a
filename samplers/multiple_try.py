"""Multiple-try Metropolis (Liu, Liang and Wong, 2000) with locally balanced weights (Gagnon, Maire and Zanella, 2023).

From x, K moves are drawn; one of them, to y, is picked in proportion to its weight; from y, K - 1 reference moves are
drawn, and the way back to x is the K-th. With r(x, y) the ratio that Metropolis-Hastings would look at,

    w(x, y) = sqrt r(x, y),    r(x, y) = p(y) q(x|y) / p(x) q(y|x),    p = exp(-E / T),
    accept with min(1, sum of w over the K moves from x / sum of w over the K moves from y).

Why this is exact: picked and accepted, a move to y flows at p(x) q(y|x) w(x, y) min(1 / W, 1 / W*), with W and W* the
two sums, which a move back exchanges; and p(x) q(y|x) w(x, y) = sqrt(p(x) q(y|x) p(y) q(x|y)) is the same both ways.

A proposal that can reach one text along several paths (orders of filling, numbers of pieces) gives q of the path that
it drew, and of that path reversed. The above holds path by path: the K-th reference is the drawn path reversed, whose
weight is 1 / w, and paths that have no way back have weight 0. A factor of q that a move shares with its reverse, such
as the law of the order, cancels in r.

In the paper's form w = p(y) q(x|y) l(x, y), the symmetric function is l = 1 / sqrt(p(x) p(y) q(y|x) q(x|y)). The plain
ratio r would not do as a weight: p(x) q(y|x) r(x, y) = p(y) q(x|y) is not the same both ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.one_proposal import MoveSampler
from samplers.proposals.usual import EDITS
from textsearch.batch import Batch
from textsearch.checks import MAX_CHAINS, keep, whole
from textsearch.objective import Evaluation, Objective, evaluate
from textsearch.proposal import Move, Proposal, propose
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Info, Weighed
from textsearch.watching import tell

_PICK, _ACCEPT = range(2)  # draws


@final
@dataclass(frozen=True)
class MultipleTry(MoveSampler[ChainState]):
    """Draw several moves, pick a good one, and take it with the probability that makes up for the choice.

    Exact: leaves exp(-E / T) invariant. A step makes 2 K - 1 moves a row, K in one batch and K - 1 in a second one, so
    it suits devices that compute many energies in the time of one. Where no move is possible the text stays.

    Attributes:
        proposal: draws the moves and gives log q both ways; by default the usual edits, `Edits`.
        tries: K, moves to choose from.

    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MultipleTry(Replace(TableMaskedLM.random(letters("ab"), seed=0)), tries=4)
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, sampler, ["aaa"], steps=30, seed=0).best_texts
    ['bbb']
    """

    proposal: Proposal = EDITS
    tries: int = 4

    starts_anywhere: ClassVar = False

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, tries=whole("tries", self.tries, 2, MAX_CHAINS, remedy="; with one try, use MetropolisHastings"))

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies, which must be finite."""
        self.proposal.check(batch)
        return ChainState.start(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One move picked among `tries` a row, taken or not; `log_ratio` is that of the two sums of weights."""
        batch, tries, rows = state.batch, self.tries, torch.arange(len(state.batch), device=state.batch.device)
        heat = torch.as_tensor(temperature, dtype=torch.float64, device=batch.device).expand(len(batch))
        moves, evaluations, log_weights = self._draw(objective, state, tries, rng.fold(0), heat)

        possible = (log_weights > -math.inf).any(1)
        choice = categorical(log_weights.where(possible[:, None], 0.0), rng.fold(2).uniform(_PICK))
        picked = rows * tries + choice
        kind = moves.kind[picked]
        proposed = ChainState(
            batch.where(possible, moves.batch.rows(picked)),
            state.evaluation.where(possible, evaluations.rows(picked)),
        )

        _, _, log_references = self._draw(objective, proposed, tries - 1, rng.fold(1), heat)
        # the way back: the drawn path reversed, not another path between the same texts
        log_back = _log_weight(proposed.evaluation.energy, state.evaluation.energy, heat)
        log_back = log_back + 0.5 * (moves.log_forward - moves.log_backward)[picked]
        log_references = torch.cat([log_references, log_back[:, None]], 1)
        log_ratio = log_weights.logsumexp(1) - log_references.logsumexp(1)
        log_ratio = log_ratio.masked_fill(~possible, -math.inf)
        accepted = possible & (rng.fold(2).uniform(_ACCEPT).log() < log_ratio)
        return state.where(accepted, proposed), Info(accepted, kind, log_ratio)

    def _draw(
        self, objective: Objective, state: ChainState, count: int, rng: Rng, heat: Tensor
    ) -> tuple[Move, Evaluation, Tensor]:
        """`count` moves of every row, side by side, with their energies; and their log-weights, (B, count)."""
        many = state.batch.repeat(count)
        source = torch.arange(len(state.batch), device=many.device).repeat_interleave(count)
        current = state.evaluation.rows(source)
        move = propose(self.proposal, many, rng.split(count))
        same = move.batch.same_text(many)
        possible = move.log_backward > -math.inf
        evaluation = evaluate(objective, move.batch, wanted=possible & ~same).where(same, current)
        tell(Weighed(many, current, move, evaluation, count))
        possible = possible & (evaluation.energy < math.inf)
        log_weight = _log_weight(current.energy, evaluation.energy, heat[source])
        log_weight = log_weight + 0.5 * (move.log_backward - move.log_forward)
        return move, evaluation, log_weight.where(possible, -math.inf).reshape(-1, count)


def _log_weight(here: Tensor, there: Tensor, heat: Tensor) -> Tensor:
    """(B,) half the log of p(there) / p(here): the energies' share of the weight."""
    # the energy of `here` cancels in the choice; with 0 in place of +inf, a forbidden text gives no nan
    return 0.5 * (here.nan_to_num(posinf=0.0) - there) / heat
