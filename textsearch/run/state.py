"""The state of a run, a value, and the one step that everything which runs chains takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Info, Sampler, State

S = TypeVar("S", bound=State)


@final
@dataclass(frozen=True, eq=False)
class RunState(Generic[S]):
    """B chains after some steps: all that the next step needs, and what is told of those before it.

    Rows can be picked, put together, moved and written down by `textsearch.tree`.

    Attributes:
        rng: the random numbers of each chain, by the numbers of the chain and of its input; `rng.total` steps are
            those that the run was made with.
        steps: (B,) int64, steps that each chain has taken.
        chains: the state of the sampler.
        best: the texts of the lowest energy that each chain has met, and their energies; of chains that are one state
            together, the texts of its lowest joint energy.
        lowest: (B,) float64, that energy, nats.
        best_steps: (B,) int64, the steps after which each was met first, 0 for the start.
        moves: (B, 4, kinds) float64: moves proposed and accepted, tokens changed, squared changes of the energy.
    """

    rng: Rng
    steps: Tensor
    chains: S
    best: ChainState
    lowest: Tensor
    best_steps: Tensor
    moves: Tensor

    @staticmethod
    def start(sampler: Sampler[S], objective: Objective, batch: Batch, rng: Rng) -> RunState[S]:
        """Before the first step."""
        return RunState.of(sampler.init(objective, batch), len(sampler.kinds), rng)

    @staticmethod
    def of(chains: S, kinds: int, rng: Rng, steps: int = 0) -> RunState[S]:
        """Chains that were brought here by others, counted as having taken so many steps."""
        batch = chains.batch
        taken = torch.full_like(batch.lengths, steps)
        moves = torch.zeros(len(batch), 4, kinds, dtype=torch.float64, device=batch.device)
        return RunState(rng, taken, chains, ChainState(batch, chains.evaluation), standing(chains), taken, moves)

    @property
    def batch(self) -> Batch:
        """The texts of the chains."""
        return self.chains.batch

    @property
    def energies(self) -> Tensor:
        """(B,) float64 of the texts of the chains, nats."""
        return self.chains.evaluation.energy

    @property
    def acceptance(self) -> float:
        """Share of all proposals taken; nan before the first."""
        proposed, accepted = self.moves[:, :2].sum((0, 2))
        return float(accepted / proposed)

    def then(self, chains: S, info: Info) -> RunState[S]:
        """One step on."""
        before, after = self.chains.evaluation, chains.evaluation
        now = standing(chains)
        better = now < self.lowest
        jump = (after.energy - before.energy).square()
        each = torch.stack(
            [
                torch.ones_like(jump),
                info.accepted.to(torch.float64),
                chains.batch.changed(self.chains.batch).to(torch.float64),
                # to or from a forbidden text, which only search methods visit, there is no distance
                jump.where(jump.isfinite(), 0.0),
            ],
            1,
        )
        steps = self.steps + 1
        return RunState(
            self.rng,
            steps,
            chains,
            self.best.where(better, ChainState(chains.batch, after)),
            torch.where(better, now, self.lowest),
            steps.where(better, self.best_steps),
            self.moves.scatter_add(2, info.kind[:, None, None].expand(-1, 4, 1), each[..., None]),
        )


def standing(chains: State) -> Tensor:
    """(B,) nats, what the best texts are told by: the `joint_energy` of a state that has one, else the energies."""
    joint: Tensor | None = getattr(chains, "joint_energy", None)
    return chains.evaluation.energy if joint is None else joint


def step(
    objective: Objective,
    sampler: Sampler[S],
    run: RunState[S],
    temperature: float | Tensor = 1.0,
    *,
    common: int | None = None,
) -> tuple[RunState[S], Info]:
    """One step of every chain.

    Args:
        objective: the energy.
        sampler: the kernel.
        run: the chains.
        temperature: of the target; of each chain where (B,).
        common: how many steps all chains have taken, if that is the same number and known: samplers that go by the one
            step of all their chains ask for it, and nobody has to wait for a device to tell.

    Raises:
        StepsApartError: the sampler goes by the one step of all its chains, and there is none.
    """
    rng = run.rng.at(run.steps if common is None else common, total=run.rng.total)
    chains, info = sampler.step(objective, run.chains, rng, temperature)
    return run.then(chains, info), info
