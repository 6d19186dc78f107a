"""Only: a term for some of the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.checks import keep, sequence, whole
from textsearch.in_time import ends_by, too_long_by, within_by
from textsearch.kinds import OBJECTIVE, instance
from textsearch.living import living_by
from textsearch.objective import Cost, Objective, allowed_by, impossible_by, next_allowed_by, outline_of
from textsearch.outline import Outline


@final
@dataclass(frozen=True)
class Only(Objective):
    """`objective` for the rows of some inputs, 0 for all others: one run may mix requests of different kinds.

    Attributes:
        objective: applied to these inputs; input `inputs[k]` of the batch is its input k.
        inputs: their numbers, in ascending order.

    Raises:
        ValueError: no inputs, or inputs that are not in ascending order.

    >>> from objectives import Keywords
    >>> from textsearch.testing import letters
    >>> batch = letters("acdgot ").encode(["a dog", "a cat", "a dog"])
    >>> Only(Keywords([["a"], ["cat"]]), inputs=(0, 2)).energy(batch).tolist()
    [0.0, 0.0, inf]
    """

    objective: Objective
    inputs: Sequence[int]

    def __post_init__(self) -> None:
        instance("objective", self.objective, OBJECTIVE)
        given = sequence("inputs", self.inputs, "numbers of inputs", "[0, 2]")
        keep(self, inputs=tuple(whole(f"inputs[{place}]", number) for place, number in enumerate(given)))
        if not self.inputs or list(self.inputs) != sorted(set(self.inputs)):
            raise ValueError(f"inputs={self.inputs} must be different numbers from 0 on, in ascending order")

    @property
    def name(self) -> str:
        """The objective's name in results."""
        return self.objective.name

    @property
    def cost(self) -> Cost:
        """The stage in which the objective is evaluated."""
        return self.objective.cost

    def energy(self, batch: Batch) -> Tensor:
        """(B,) the objective's energy of its own rows, 0 elsewhere."""
        mine = self._mine(batch)
        energy = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        return energy.index_put((mine,), self.objective.energy(self._part(batch, mine))) if len(mine) else energy

    def check(self, batch: Batch) -> None:
        """Check the objective for its own inputs."""
        mine = self._mine(batch)
        if len(mine):
            self.objective.check(self._part(batch, mine))

    def freeze(self, batch: Batch) -> Batch:
        """Freeze what the objective wants frozen in its own rows."""
        mine = self._mine(batch)
        if not len(mine):
            return batch
        part = self.objective.freeze(self._part(batch, mine))
        return replace(
            batch,
            editable=batch.editable.index_put((mine,), part.editable),
            closed=batch.closed.index_put((mine,), part.closed),
        )

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
        """(K, V) bool, what the objective allows in its own rows; elsewhere everything."""
        mine = torch.isin(batch.inputs[rows], torch.tensor(self.inputs, device=batch.device)).nonzero().squeeze(-1)
        if not len(mine):
            return None
        part = self._part(batch, rows[mine])
        own = allowed_by(self.objective, part, torch.arange(len(mine), device=batch.device), positions[mine])
        if own is None:
            return None
        every = torch.ones(len(rows), own.shape[1], dtype=torch.bool, device=own.device)
        return every.index_put((mine.to(own.device),), own)

    def allowed_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool, the objective's mask of the texts of its own inputs; elsewhere everything."""
        return self._told(beginnings, lambda own, mine: next_allowed_by(self.objective, own) if mine else None, True)

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        """(K,) bool, the objective's proofs of its own inputs."""
        return self._told(beginnings, lambda own, mine: impossible_by(self.objective, own) if mine else None, False)

    def living_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool, likewise of all tokens: see `textsearch.living`."""
        return self._told(beginnings, lambda own, _: living_by(self.objective, own), True)

    def within(self, beginnings: Beginnings, room: Sequence[int], *, proven: bool) -> Tensor | None:
        """(K, V) bool, the tokens behind which a text may end in time: see `textsearch.in_time`."""

        def ask(own: Beginnings, mine: Sequence[int]) -> Tensor | None:
            return within_by(self.objective, own, [room[place] for place in mine], proven=proven)

        return self._told(beginnings, ask, True)

    def too_long(self, beginnings: Beginnings, room: Sequence[int]) -> Tensor | None:
        """(K,) bool, the beginnings of which it is proven that no text ends in time."""

        def ask(own: Beginnings, mine: Sequence[int]) -> Tensor | None:
            return too_long_by(self.objective, own, [room[place] for place in mine])

        return self._told(beginnings, ask, False)

    def ends(self, beginnings: Beginnings) -> Tensor | None:
        """(K,) bool, the beginnings that are texts as they are."""
        return self._told(beginnings, lambda own, _: ends_by(self.objective, own), True)

    def concerns(self, number: int) -> bool:
        """Whether the input is one of `inputs` and the objective concerns it."""
        return number in self.inputs and self.objective.concerns(self.inputs.index(number))

    def outline(self, number: int) -> Outline:
        """That of the objective, for its own inputs."""
        return outline_of(self.objective, self.inputs.index(number)) if number in self.inputs else Outline()

    def _told(
        self, beginnings: Beginnings, ask: Callable[[Beginnings, Sequence[int]], Tensor | None], elsewhere: bool
    ) -> Tensor | None:
        """(K, ...) bool, what the objective says of the beginnings of its own inputs, at the places it is told.

        It is asked where there are none, too: whether anything is known must not depend on what stands beside.
        """
        own_number = {number: place for place, number in enumerate(self.inputs)}
        mine = [place for place, number in enumerate(beginnings.numbers) if number in own_number]
        rows, numbers = [beginnings.rows[at] for at in mine], [own_number[beginnings.numbers[at]] for at in mine]
        told = ask(Beginnings(beginnings.vocabulary, beginnings.end, rows, numbers), mine)
        if told is None:
            return None
        every = torch.full((len(beginnings), *told.shape[1:]), elsewhere, dtype=torch.bool, device=told.device)
        every[mine] = told
        return every

    def _mine(self, batch: Batch) -> Tensor:
        return torch.isin(batch.inputs, torch.tensor(self.inputs, device=batch.device)).nonzero().squeeze(-1)

    def _part(self, batch: Batch, mine: Tensor) -> Batch:
        """The rows `mine`, with the objective's own numbers of inputs."""
        part = batch.rows(mine)
        return replace(part, inputs=torch.searchsorted(torch.tensor(self.inputs, device=batch.device), part.inputs))
