"""Moves that differ from input to input: each row is moved by the proposal of its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch

from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.proposal import Move, Proposal
from textsearch.rng import Rng


@final
@dataclass(frozen=True, eq=False)
class ByInput:
    """A proposal for each input; reversible if they are, since no move changes the input of a row.

    Attributes:
        parts: proposals over one vocabulary.
        part_of: for each input the index of the part that moves its rows.

    >>> from samplers.proposals import InsertDelete, Replace
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> model = TableMaskedLM.random(letters("ab"), seed=0)
    >>> moves = ByInput([Replace(model), InsertDelete(model)], [0, 1])
    >>> batch = replace(model.vocabulary.encode(["aa", "aa"]), inputs=torch.tensor([1, 0]))
    >>> [moves.kinds[kind] for kind in moves.propose(batch, Rng.start(seed=0, chains=2)).kind.tolist()]
    ['insert', 'replace']
    """

    parts: Sequence[Proposal]
    part_of: Sequence[int]

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that all parts share."""
        return self.parts[0].vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the moves of all parts, in order."""
        return tuple(kind for part in self.parts for kind in part.kinds)

    def check(self, batch: Batch) -> None:
        """Refuse what the part of an input refuses."""
        for number, part in enumerate(self.parts):
            part.check(batch.rows(self._rows(batch, number)))

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One move a row."""
        moves, indices, offset = [], [], 0
        for number, part in enumerate(self.parts):
            index = self._rows(batch, number)
            if len(index):
                # the part of a row is known beforehand, so that all may draw the same numbers
                move = part.propose(batch.rows(index), rng.rows(index))
                moves.append(replace(move, kind=move.kind + offset))
                indices.append(index)
            offset += len(part.kinds)
        if not moves:
            return self.parts[0].propose(batch, rng)
        back = torch.cat(indices).argsort()
        return Move(
            concatenate([move.batch for move in moves]).rows(back),
            torch.cat([move.log_forward for move in moves])[back],
            torch.cat([move.log_backward for move in moves])[back],
            torch.cat([move.kind for move in moves])[back],
        )

    def _rows(self, batch: Batch, number: int) -> torch.Tensor:
        """The rows that one of the parts moves."""
        return (torch.tensor(self.part_of, device=batch.device)[batch.inputs] == number).nonzero().squeeze(-1)
