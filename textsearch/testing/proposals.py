"""The laws of proposals: a move is what its probabilities say it is.

How often a text is drawn is no law by itself: a proposal may reach one text along several paths, and gives q of the
path that it drew and of that path reversed, leaving out what both share. What must hold, whatever the paths, is that
Metropolis-Hastings with these numbers is reversible with respect to every target: here a random one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import run_of
from textsearch.kinds import PROPOSAL, instance
from textsearch.objective import evaluate
from textsearch.proposal import Proposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState
from textsearch.testing.chains import Trail, frozen, invariance, seen, significance, well_formed, well_informed
from textsearch.testing.report import Law, Report, name_of, require
from textsearch.testing.spaces import Space, TableObjective, balance, fit, some_frozen
from textsearch.testing.untouched import Watched


def check_proposal(
    proposal: Proposal, texts: Batch | Sequence[str], *, steps: int = 2, chains: int = 20_000, seed: int = 0
) -> Report:
    """Check a proposal on a small space: Metropolis-Hastings with it keeps a random target over `texts`.

    Args:
        proposal: what to check.
        texts: a few dozen that its moves connect; all other proposed texts are refused.
        steps: of each chain.
        chains: that start on the target.
        seed: of the target and the chains.

    Raises:
        LawBroken: names the law, the text or the p-value.

    >>> from samplers.proposals import Swap
    >>> from textsearch.testing import letters
    >>> print(check_proposal(Swap(letters("abc")), ["abc", "acb", "bac", "bca", "cab", "cba"]))
    Swap: 10 laws hold
      moves             64 of 64 possible  well-formed
      same again        64 rows            bit-equal
      alone             1 row              bit-equal
      batch size        32 rows            bit-equal
      order             64 rows            bit-equal
      padding           64 rows            bit-equal
      frozen tokens     72 kept            all kept
      steps that moved  35.5%              above 0.1%
      on the target     p = 0.625          p > 1e-4
      to and fro        p = 0.755          p > 1e-4
    """
    instance("proposal", proposal, PROPOSAL)
    steps, seed, chains, _ = run_of(steps=steps, seed=seed, chains=chains, temperature=1.0)
    space = Space.of(texts, proposal.vocabulary)
    proposal.check(space.batch)
    table = space.random_objective(seed)
    rng = Rng.start(seed, 64, purpose="laws of a proposal")
    start = space.rows(torch.arange(64) % len(space))
    partly = some_frozen(start, seed)
    with torch.inference_mode():
        laws = (
            _moves(proposal, start, rng),
            *invariance(proposal, lambda batch, streams: _trail(proposal, batch, streams), partly, rng),
            frozen(proposal, partly, proposal.propose(partly, rng).batch),
            *_reversible(proposal, table, steps, chains, seed),
        )
    return Report(name_of(proposal), laws)


def _trail(proposal: Proposal, batch: Batch, rng: Rng) -> Trail:
    move = proposal.propose(batch, rng)
    return seen(move.batch, log_forward=move.log_forward, log_backward=move.log_backward, kind=move.kind)


def _moves(proposal: Proposal, batch: Batch, rng: Rng) -> Law:
    """Check that moves are well-formed, do not change what was passed, and write allowed tokens only."""
    watch = Watched.of(batch=batch, rng=rng)
    move = proposal.propose(batch, rng)
    watch.require(proposal, "propose()")
    require(len(move.batch) == len(batch), "one move a row", proposal, f"{len(move.batch)} moves of {len(batch)} rows")
    well_formed(proposal, move.batch)
    well_informed(
        proposal, proposal.kinds, len(batch), move.kind, log_forward=move.log_forward, log_backward=move.log_backward
    )
    possible = move.log_backward > -math.inf
    finite = bool(move.log_forward[possible].isfinite().all())
    require(finite, "log-probabilities", proposal, "log_forward is -inf for a move that was drawn")

    def strange(part: Batch) -> Tensor:
        return (~part.vocabulary.allowed[part.tokens] & part.present).sum(1)

    wrong = possible & (strange(move.batch) > strange(batch))
    row = int(wrong.to(torch.int64).argmax())
    old, new = batch.rows([row]).texts()[0], move.batch.rows([row]).texts()[0]
    found = f"{old!r} became {new!r}, with a token that vocabulary.allowed forbids"
    require(not bool(wrong.any()), "allowed tokens", proposal, found)
    return Law("moves", f"{int(possible.sum())} of {len(batch)} possible", "well-formed")


def _reversible(proposal: Proposal, table: TableObjective, steps: int, chains: int, seed: int) -> tuple[Law, ...]:
    space, temperature = table.space, 1.0
    batch = table.draw(chains, temperature, seed)
    state = ChainState(batch, evaluate(table, batch))
    streams = Rng.start(seed, chains, purpose="target of a proposal")
    flows = []
    for step in range(steps):
        here = space.number(state.batch)
        state = metropolis_hastings(proposal, table, state, streams.at(step))
        there = space.number(state.batch)
        require(
            bool((there >= 0).all()),
            "frozen marks",
            proposal,
            "a move changed which tokens are frozen and led to a text that is not listed; list it too, if it is right",
        )
        flows.append((here, there))
    here, there = (torch.cat(part) for part in zip(*flows, strict=True))
    share = float((here != there).double().mean())
    few = f"{share:.1%} of the steps led to another of the given texts; list more of them"
    require(share > 0.001, "moves", proposal, few)
    counts = torch.bincount(space.number(state.batch), minlength=len(space))
    target = fit(counts, table.law(temperature))
    return (
        Law("steps that moved", f"{share:.1%}", "above 0.1%"),
        significance(
            proposal,
            "on the target",
            target,
            "chains that start on the target leave it; log_forward or log_backward is not that of the move drawn",
        ),
        significance(
            proposal,
            "to and fro",
            balance(here, there, len(space)),
            "more chains go from one text to another than come back; log_backward is not that of the move back",
        ),
    )


def metropolis_hastings(proposal: Proposal, table: TableObjective, state: ChainState, rng: Rng) -> ChainState:
    """One step, written out."""
    move = proposal.propose(state.batch, rng.fold(0))
    proposed = ChainState(move.batch, evaluate(table, move.batch))
    log_ratio = state.evaluation.energy - proposed.evaluation.energy + move.log_backward - move.log_forward
    return state.where(rng.fold(1).uniform(0).log() < log_ratio, proposed)
