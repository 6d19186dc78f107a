"""Descend: from a text to the best of its likeliest edits, for as long as one lowers the energy.

Local search by best improvement, as iterated conditional modes are (Besag, 1986), over the edits of a proposal. A chain
draws the likeliest edits again and again, and many a good one that is not among them never; here each of so many is
looked at once, and all texts are read together.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from textsearch.batch import Batch, concatenate
from textsearch.objective import Limit, Objective, evaluate

EDITS = 24
"""Edits of a text that are looked at each time."""

MOST = 6
"""Edits that are made of a text at most."""


class Ranking(Protocol):
    """Knows the likeliest edits of texts."""

    def likeliest(self, batch: Batch, count: int) -> tuple[Batch, Tensor]:
        """The texts that `count` edits of each row lead to, the likeliest first, and (R,) the row of each."""


def descended(objective: Objective, batch: Batch, moves: Ranking, count: int = EDITS, most: int = MOST) -> Batch:
    """The texts, each moved to the best of its `count` likeliest edits until none is better or `most` were made.

    Args:
        objective: the energy, nats.
        batch: B texts.
        moves: ranks their edits.
        count: edits that are looked at each time.
        most: edits of a text at most.
    """
    energies = evaluate(objective, batch).energy
    going = torch.arange(len(batch), device=batch.device)
    for _ in range(most):
        if not len(going):
            break
        near, owner = moves.likeliest(batch.rows(going), count)
        if not len(near):
            break
        own = going[owner]
        found = evaluate(objective, near, limit=Limit(energies[own], batch.rows(own))).energy
        lowest = torch.full_like(energies, torch.inf).scatter_reduce(0, own, found, "amin")
        lower = (lowest < energies).nonzero()[:, 0]
        # of equals the first, which is the likeliest
        places = torch.arange(len(near), device=batch.device)
        best = found == lowest[own]
        first = torch.full_like(lowest, len(near), dtype=torch.int64).scatter_reduce(0, own[best], places[best], "amin")
        index = torch.arange(len(batch), device=batch.device)
        index[lower] = len(batch) + first[lower]
        batch, energies = concatenate([batch, near]).rows(index), torch.minimum(lowest, energies)
        going = lower
    return batch
