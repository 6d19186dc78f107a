"""Texts that end in time: what an objective tells of beginnings where a text holds at most so many tokens.

A mask lets a model write into a repetition that has no end, and a text without an end is none. So an objective may have
two methods more. `within(beginnings, room, proven=...)` gives (K, V) bool, the tokens, the end among them, behind which
a text may still end before beginning k has `room[k]` tokens more, the end not counted; None where nothing is known.
With `proven` False proves that each text which goes on so is forbidden or longer, as in `textsearch.living`; without
it is a hint, as `Objective.allowed_next` is. `too_long(beginnings, room)` gives (K,) bool, True a proof that each text
which begins so is forbidden or longer; None where nothing can be proven. Each gives the
same answer whenever it is asked.

How much room is left is seen from a beginning itself, so what is drawn under such a mask has one probability, whether
it is worked out while it is written or afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.living import living_by
from textsearch.neighbours import neighbourly
from textsearch.objective import Cost, Objective, impossible_by, next_allowed_by

FEW = 16
"""Tokens that may come next; of no more than these it is asked what may follow them."""


@final
@dataclass(frozen=True)
class InTime(Objective):
    """An objective that lets no text grow over `max_length` tokens while it is written; energies are as they were.

    What writes texts asks this one what may come next, and the objective itself what a whole text is worth.

    Attributes:
        objective: what a text must be.
        max_length: tokens, the end not counted.

    >>> from objectives import Pattern
    >>> from textsearch.testing import ByteVocabulary
    >>> pieces = ByteVocabulary((b"_", b"a", b"aa", b"b"))
    >>> language = InTime(Pattern("a*b", full=True), 2)
    >>> language.allowed_next(Beginnings(pieces, 0, [[], [1], [1, 3]], [0, 0, 0])).int().tolist()
    [[0, 1, 1, 1], [0, 0, 0, 1], [1, 0, 0, 0]]
    >>> language.impossible(Beginnings(pieces, 0, [[2], [2, 1]], [0, 0])).tolist()
    [False, True]
    """

    objective: Objective
    max_length: int

    @property
    def name(self) -> str:
        """That of the objective."""
        return self.objective.name

    @property
    def cost(self) -> Cost:
        """That of the objective."""
        return self.objective.cost

    @property
    def lower_bound(self) -> float:
        """That of the objective."""
        return self.objective.lower_bound

    def energy(self, batch: Batch) -> Tensor:
        """(B,) that of the objective, whatever the length."""
        return self.objective.energy(batch)

    def allowed_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool, what the mask of the objective allows, may end in time and is spelt as its tokenizer spells it.

        Where few tokens are left, those that nothing of the kind may follow are left out, too. Of an objective that
        knows of no ends it is the mask as it is.
        """
        told, within = next_allowed_by(self.objective, beginnings), self._within(beginnings, False)
        if within is None:
            return told
        mask = neighbourly(beginnings, within if told is None else within & told.cpu())
        pairs = mask.logical_and((mask.sum(1) <= FEW)[:, None]).nonzero().tolist()
        on = [(place, token) for place, token in pairs if token != beginnings.end]
        rows, numbers = [[*beginnings.rows[at], token] for at, token in on], [beginnings.numbers[at] for at, _ in on]
        longer = Beginnings(beginnings.vocabulary, beginnings.end, rows, numbers)
        after = next_allowed_by(self.objective, longer) if on else None
        if after is not None:
            mask[tuple(torch.tensor(on).T)] = neighbourly(longer, after.cpu()).any(1)
        return mask

    def living_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool; False proves that no text goes on so and ends in time: see `textsearch.living`."""
        return _both(living_by(self.objective, beginnings), self._within(beginnings, True))

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        """(K,) bool; True proves that no text begins so and ends in time."""
        room = self._room(beginnings)
        told = [term.too_long(beginnings, room) for _, term in self.objective.parts if hasattr(term, "too_long")]
        known = [one for one in (impossible_by(self.objective, beginnings), *told) if one is not None]
        return reduce(or_, known) if known else None

    def _within(self, beginnings: Beginnings, proven: bool) -> Tensor | None:
        room = self._room(beginnings)
        terms = [term for _, term in self.objective.parts if hasattr(term, "within")]
        return reduce(_both, (term.within(beginnings, room, proven=proven) for term in terms), None)

    def _room(self, beginnings: Beginnings) -> Sequence[int]:
        return [self.max_length - len(row) for row in beginnings.rows]


def _both(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """What both allow; None where neither says anything."""
    return one if other is None else other if one is None else and_(one, other)
