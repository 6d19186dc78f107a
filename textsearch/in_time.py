"""Texts that end in time: what an objective tells of beginnings where a text holds at most so many tokens.

A mask lets a model write into a repetition that has no end, and a text without an end is none. So an objective may have
three methods more. `within(beginnings, room, proven=...)` gives (K, V) bool, the tokens, the end among them, behind
which a text may still end before beginning k has `room[k]` tokens more, the end not counted; None where nothing is
known. With `proven` False proves that each text which goes on so is forbidden or longer, as in `textsearch.living`;
without it is a hint, as `Objective.allowed_next` is. `too_long(beginnings, room)` gives (K,) bool, True a proof that
each text which begins so is forbidden or longer; None where nothing can be proven. `ends(beginnings)` gives (K,) bool,
whether a beginning is a text as it is, so that the end may follow; None where nothing is known. Each gives the same
answer whenever it is asked.

How much room is left is seen from a beginning itself, so what is drawn under such a mask has one probability, whether
it is worked out while it is written or afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_
from threading import RLock
from typing import Any, final
from weakref import WeakKeyDictionary, ref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.beginnings import Beginnings
from textsearch.living import living_by
from textsearch.neighbours import neighbourly
from textsearch.objective import Cost, Objective, impossible_by, next_allowed_by
from textsearch.spelling import canonical

FEW = 128, 4
"""Tokens that may come next; of no more than these it is asked what may follow them, and of theirs likewise."""

_KEPT = 2_000  # masks of one objective, of V bits each
_LOCK = RLock()


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

        The end is allowed of whole texts alone. Where few tokens are left, those that nothing of the kind may follow
        are left out, too. Of an objective that knows of no ends it is the mask as it is.
        """
        keys = [
            (self.max_length, beginnings.end, *pair)
            for pair in zip(beginnings.numbers, map(tuple, beginnings.rows), strict=True)
        ]
        memory = _memory(self.objective, beginnings.vocabulary)
        found = {key: mask for key in set(keys) if (mask := memory.get(key)) is not None}
        new = {key: place for place, key in enumerate(keys) if key not in found}
        if new:
            asked = _some(beginnings, list(new.values()))
            told, within = next_allowed_by(self.objective, asked), self._within(asked, False)
            if within is None:  # of no beginning, so that nothing is remembered
                number = {key: place for place, key in enumerate(new)}
                return told if told is None else told[[number[key] for key in keys]]
            masks = self._ahead(asked, self._spelt(asked, told, within), FEW)
            found |= zip(new, np.packbits(masks.numpy(), axis=1), strict=True)
            with _LOCK:  # another thread may put in, too
                memory |= found
                while len(memory) > _KEPT:
                    memory.pop(next(iter(memory)))
        bits = np.unpackbits(np.stack([found[key] for key in keys]), axis=1, count=beginnings.vocabulary.size)
        return torch.from_numpy(bits.view(np.bool_))

    def _spelt(self, beginnings: Beginnings, told: Tensor | None, within: Tensor) -> Tensor:
        """(K, V) bool, without looking ahead: what is allowed, in time and spelt so; the end of whole texts alone."""
        mask = neighbourly(beginnings, within if told is None else within & told.cpu())
        places = mask[:, beginnings.end].nonzero().squeeze(-1).tolist()
        if not len(places):
            return mask
        ends = _some(beginnings, places)
        whole = ends_by(self.objective, ends)
        spelt = canonical(replace(Batch.of(ends.rows, ends.vocabulary), inputs=torch.tensor(ends.numbers)))
        mask[places, beginnings.end] = spelt if whole is None else spelt & whole
        return mask

    def _ahead(self, beginnings: Beginnings, mask: Tensor, few: Sequence[int]) -> Tensor:
        """Without the tokens that nothing may follow, where no more than `few[0]` are left; of these likewise."""
        pairs = mask.logical_and((mask.sum(1) <= few[0])[:, None]).nonzero().tolist()
        on = [(place, token) for place, token in pairs if token != beginnings.end]
        rows, numbers = [[*beginnings.rows[at], token] for at, token in on], [beginnings.numbers[at] for at, _ in on]
        longer = Beginnings(beginnings.vocabulary, beginnings.end, rows, numbers)
        within = self._within(longer, False) if on else None
        if within is not None:
            after = self._spelt(longer, next_allowed_by(self.objective, longer), within)
            after = self._ahead(longer, after, few[1:]) if few[1:] else after
            mask[tuple(torch.tensor(on).T)] = after.any(1)
        return mask

    def living_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool; False proves that no text goes on so and ends in time: see `textsearch.living`."""
        return _joined(and_, (living_by(self.objective, beginnings), self._within(beginnings, True)))

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        """(K,) bool; True proves that no text begins so and ends in time."""
        told = too_long_by(self.objective, beginnings, self._room(beginnings))
        return _joined(or_, (impossible_by(self.objective, beginnings), told))

    def _within(self, beginnings: Beginnings, proven: bool) -> Tensor | None:
        return within_by(self.objective, beginnings, self._room(beginnings), proven=proven)

    def _room(self, beginnings: Beginnings) -> Sequence[int]:
        return [self.max_length - len(row) for row in beginnings.rows]


def within_by(objective: Objective, beginnings: Beginnings, room: Sequence[int], *, proven: bool) -> Tensor | None:
    """(K, V) bool, `within` of an objective, or of all terms of a sum; None where nothing is known."""
    return _joined(and_, (term.within(beginnings, room, proven=proven) for term in _terms(objective, "within")))


def too_long_by(objective: Objective, beginnings: Beginnings, room: Sequence[int]) -> Tensor | None:
    """(K,) bool, `too_long` of an objective, or of any term of a sum; None where nothing can be proven."""
    return _joined(or_, (term.too_long(beginnings, room) for term in _terms(objective, "too_long")))


def ends_by(objective: Objective, beginnings: Beginnings) -> Tensor | None:
    """(K,) bool, `ends` of an objective, or of all terms of a sum; None where nothing is known."""
    return _joined(and_, (term.ends(beginnings) for term in _terms(objective, "ends")))


def _terms(objective: Objective, method: str) -> Sequence[Any]:
    """Those that have a method."""
    return [term for _, term in objective.parts if hasattr(term, method)]


def _joined(how: Callable[[Tensor, Tensor], Tensor], told: Iterable[Tensor | None]) -> Tensor | None:
    """What is known, together; None where nothing is."""
    known = [one for one in told if one is not None]
    return reduce(how, known) if known else None


def _some(beginnings: Beginnings, places: Sequence[int]) -> Beginnings:
    rows, numbers = [beginnings.rows[at] for at in places], [beginnings.numbers[at] for at in places]
    return Beginnings(beginnings.vocabulary, beginnings.end, rows, numbers)


Key = tuple[Any, ...]
Memory = dict[Key, NDArray[np.uint8]]
_MEMORIES: dict[int, tuple[ref[Objective], WeakKeyDictionary[Vocabulary, Memory]]] = {}


def _memory(objective: Objective, vocabulary: Vocabulary) -> Memory:
    """The masks that were worked out of an objective, which need not be one that can be compared."""
    with _LOCK:
        number = id(objective)
        known = _MEMORIES.get(number)
        if known is None or known[0]() is not objective:
            try:
                gone = ref(objective, lambda _: _MEMORIES.pop(number, None))
            except TypeError:  # of one with __slots__ it could not be seen whether it is gone
                return {}
            known = _MEMORIES[number] = gone, WeakKeyDictionary()
        return known[1].setdefault(vocabulary, {})
