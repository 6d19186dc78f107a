"""Draws: each chain draws whole texts until one is taken, and rests; chains without luck go on by another sampler.

A draw that was taken is a draw from the target, independent of all others and of how long it took, so a chain that
rests from then on holds one, and whoever stops the run, and when, changes nothing of its law. Chains that go on start
from a forbidden text: the first draw that is allowed takes its place, and moves lead from there to the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from samplers.adaptive_rejection import LOG_ENVELOPE
from samplers.composites.wrapped import promised
from samplers.rejection import ATTEMPTS
from textsearch import tree
from textsearch.batch import Batch, Vocabulary
from textsearch.models.usage import charged_to
from textsearch.objective import Evaluation, Objective, evaluate
from textsearch.result import Generations
from textsearch.rng import Rng
from textsearch.run.loop import Progress
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.tasks.mask_counts import KINDS, MaskCounts
from textsearch.watching import overheard

INDEPENDENT = "independent"
"""What is recorded of each chain: whether it holds an independent draw."""

MOVED = "moved"
"""What is recorded of each chain: whether a text that is allowed has taken the place of its start."""

TRIED = "tried"
"""What is recorded of each chain: how many draws all chains of its input have tried."""

REST = "rest"
"""The kind of the steps of chains that rest."""


@final
@dataclass(frozen=True, eq=False)
class DrawingState:
    """Chains, and which of them hold an independent draw.

    Attributes:
        chain: the texts of the chains with their energies.
        resting: (B,) bool, whether a chain holds an independent draw.
        moved: (B,) bool, whether a chain has left the text that it started from.
        tried: (B,) int64, independent draws that a chain has tried.
        envelope: (B,) float64, log of the mass that these were drawn from, nats.
        masks: (B, 3) int64, texts for a chain's input on which mask and parser were compared; see `mask_counts`.
    """

    chain: ChainState
    resting: Tensor
    moved: Tensor
    tried: Tensor
    envelope: Tensor
    masks: Tensor

    @property
    def batch(self) -> Batch:
        """The texts of the chains."""
        return self.chain.batch

    @property
    def evaluation(self) -> Evaluation:
        """Their energies."""
        return self.chain.evaluation


@final
@dataclass(frozen=True)
class Drawing:
    """A draw for each chain: by `first` in the first steps, or else by `then`, from wherever the chain stands.

    Attributes:
        first: takes independent draws from the target, such as `AdaptiveRejection`; None for no tries.
        tries: steps of `first`.
        then: moves towards the target the chains that still have no draw; its state is texts and energies only. None
            to leave them without.
        end: the token that ends a text: where mask and parser disagree is counted then.

    >>> from samplers import MetropolisHastings, Rejection
    >>> from samplers.proposals import FromLeft, SuffixResampling
    >>> from objectives import Fluency
    >>> from textsearch import generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("ab"), seed=0)
    >>> sampler = Drawing(Rejection(FromLeft(lm), 0.0), 3, MetropolisHastings(SuffixResampling(lm)))
    >>> result = generate(Fluency(lm), sampler, [""], steps=9, seed=0, chains=4)
    >>> bool(result.recorded["independent"][-1].all())
    True
    """

    first: Sampler[Any] | None
    tries: int
    then: Sampler[ChainState] | None
    end: int | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the samplers."""
        return self._parts[0].vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the moves of both, and of rest."""
        return (*(kind for part in self._parts for kind in part.kinds), REST)

    @property
    def guarantee(self) -> Guarantee:
        """Exact if both are, else biased; what one alone promises stands."""
        return promised(self._parts) if len(self._parts) > 1 else self._parts[0].guarantee

    @property
    def _parts(self) -> list[Sampler[Any]]:
        return [part for part in (self.first, self.then) if part is not None]

    def init(self, objective: Objective, batch: Batch) -> DrawingState:
        """The texts with their energies, which may be +inf: what is forbidden gives way to what is allowed."""
        none = torch.zeros_like(batch.lengths)
        nobody = torch.zeros(len(batch), dtype=torch.bool, device=batch.device)
        return DrawingState(
            ChainState(batch, evaluate(objective, batch)),
            nobody,
            nobody,
            none,
            none.to(torch.float64),
            torch.zeros(len(batch), len(KINDS), dtype=torch.int64, device=batch.device),
        )

    def step(
        self, objective: Objective, state: DrawingState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[DrawingState, Info]:
        """A try, or a move, of each chain that does not rest."""
        drawing = self.first is not None and rng.step < self.tries
        sampler = self.first if drawing else self.then
        going = (~state.resting).nonzero().squeeze(-1)
        accepted = torch.zeros_like(state.resting)
        kind = torch.full_like(state.batch.lengths, len(self.kinds) - 1)
        log_ratio = torch.full((len(accepted),), -torch.inf, dtype=torch.float64, device=accepted.device)
        chain, tried, envelope, masks = state.chain, state.tried.clone(), state.envelope.clone(), state.masks
        recorded: dict[str, Tensor] = {}
        if sampler is not None and len(going):
            heat = temperature[going] if isinstance(temperature, Tensor) and temperature.ndim else temperature
            with charged_to("/".join(dict.fromkeys(sampler.kinds))), self._listening() as listener:
                part, info = sampler.step(objective, chain.rows(going), rng.rows(going), heat)
            if listener is not None:
                masks = masks + listener.counts(chain.batch)
            if self.first is None:
                recorded |= info.recorded  # of all chains, since none rests
            accepted[going] = info.accepted
            if drawing:
                tried[going] += info.recorded.get(ATTEMPTS, torch.ones_like(going))
                envelope[going] = info.recorded.get(LOG_ENVELOPE, torch.zeros_like(envelope[going]))
            kind[going] = info.kind + (0 if drawing or self.first is None else len(self.first.kinds))
            log_ratio[going] = info.log_ratio
            chain = tree.put(chain, going, part)
        resting = state.resting | accepted if drawing else state.resting
        # a start that is allowed is a text like others, once a chain has had a move to leave it
        moved = state.moved | accepted | (~resting & (not drawing) & (chain.evaluation.energy < torch.inf))
        after = DrawingState(chain, resting, moved, tried, envelope, masks)
        recorded |= {
            INDEPENDENT: resting,
            MOVED: after.moved,
            TRIED: _by_input(chain.batch, tried),
            LOG_ENVELOPE: envelope,
        }
        if self.end is not None:
            recorded |= dict(zip(KINDS, masks.unbind(1), strict=True))
        return after, Info(accepted, kind, log_ratio, recorded)

    @contextmanager
    def _listening(self) -> Iterator[MaskCounts | None]:
        """Gathers the texts that are judged within the block, if they are to be counted."""
        if self.end is None:
            yield None
            return
        listener = MaskCounts(self.end)
        with overheard(listener.hear):
            yield listener


def _by_input(batch: Batch, counts: Tensor) -> Tensor:
    """(B,) for each row the sum of `counts` (B,) over the rows of its input."""
    sums = torch.zeros(int(batch.inputs.max()) + 1 if len(batch) else 0, dtype=counts.dtype, device=counts.device)
    return sums.index_add(0, batch.inputs, counts)[batch.inputs]


def all_rest(progress: Progress) -> bool:
    """A rule for stopping: every chain holds an independent draw."""
    state = progress.state
    return isinstance(state, DrawingState) and bool(state.resting.all())


def only(result: Generations, rows: Sequence[int]) -> Generations:
    """The result of some of the chains."""
    place = np.asarray(rows, dtype=np.int64)
    count = len(result)

    def tables(given: Mapping[str, Any], axis: int) -> dict[str, Any]:
        return {
            name: each.take(place, axis) if each.ndim > axis and each.shape[axis] == count else each
            for name, each in given.items()
        }

    index = torch.from_numpy(place)
    return replace(
        result,
        texts=[result.texts[row] for row in rows],
        energies=result.energies[place],
        best_texts=[result.best_texts[row] for row in rows],
        best_energies=result.best_energies[place],
        terms=tables(result.terms, 0),
        best_terms=tables(result.best_terms, 0),
        inputs=result.inputs[place],
        trace=result.trace[:, place],
        term_traces=tables(result.term_traces, 1),
        length_trace=result.length_trace[:, place],
        recorded=tables(result.recorded, 1),
        samples=[[texts[row] for row in rows] for texts in result.samples],
        batch=result.batch.rows(index),
        best_batch=result.best_batch.rows(index),
    )
