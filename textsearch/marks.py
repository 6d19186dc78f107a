"""Marks: which of the places where a text's frozen words could stand is the one at which the text counts.

Frozen tokens are marked places, and where words are inserted or taken out the same text may hold the frozen words at
several: "the" frozen in "the cat" is the first word of "the the cat", or, after an insertion before it, the second. A
chain moves through texts with their marks, so that text would get twice its probability. Therefore a text counts with
one marking only; with any other it is forbidden, as if its energy were +inf. The marking that counts is found so:

1. the caller's frozen words stand at home, where they stood when the chain began; if that cannot be, they and all
   others stand as far to the left as can be;
2. words that the objective froze stand where it would freeze them in this very text; if those are not the same words
   in the same order, as far to the left as can be.

Closed slots go with the marks: words with one between them stay together, and what is closed off from an end of the
text stays there. Where nothing is inserted or taken out before a mark, the caller's words are always at home, and no
text is lost. So whatever the moves, chains sample exp(-E / T) over the texts that hold the frozen words in their order,
as far as they can be reached without touching those words, and each of them once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, final

import torch
from torch import Tensor

from textsearch.batch import ANYWHERE, BEFORE, BEHIND, Batch

Word = tuple[int, ...]
"""Its tokens."""


class Freezes(Protocol):
    """An objective, as far as it is needed here."""

    def freeze(self, batch: Batch) -> Batch:
        """`batch` with what it wants kept made uneditable."""


def marked(objective: Freezes, batch: Batch) -> Batch:
    """The rows as starts of chains: what the objective freezes frozen, and every frozen word with its mark.

    >>> from textsearch.objective import FunctionObjective
    >>> from textsearch.testing import letters
    >>> start = letters("ab").encode(["aab"]).frozen(torch.tensor([[False, True, False]]))
    >>> marked(FunctionObjective(len), start).homes.tolist()
    [[-1, 1, -1]]
    """
    # of an earlier run, say: the objective is to choose afresh
    given = bare(batch).begun()
    frozen = objective.freeze(given)
    return replace(frozen, homes=frozen.homes.masked_fill(given.editable & ~frozen.editable, ANYWHERE))


def bare(batch: Batch) -> Batch:
    """The rows without what an objective has frozen, and closed, in them."""
    own = batch.homes == ANYWHERE
    return replace(
        batch,
        editable=batch.editable | own,
        closed=batch.closed.masked_fill(own, 0),
        homes=batch.homes.masked_fill(own, -1),
    )


def counts(objective: Freezes, batch: Batch) -> Tensor:
    """(B,) bool, whether the frozen words of each row stand where the text counts; runs no model.

    Rows of no chain that has begun all do.

    >>> from textsearch.objective import FunctionObjective
    >>> from textsearch.testing import letters
    >>> none = FunctionObjective(len)
    >>> start = marked(none, letters("ab").encode(["ab"]).frozen(torch.tensor([[True, False]])))
    >>> before, behind = (start.splice(*(torch.tensor([at]) for at in (slot, slot, 1)), 3) for slot in (0, 1))
    >>> one = torch.ones(1, dtype=torch.int64)
    >>> counts(none, before.with_tokens(0 * one, one)).item(), counts(none, behind.with_tokens(one, one)).item()
    (False, True)
    """
    good = torch.ones_like(batch.lengths, dtype=torch.bool)
    marks = batch.homes != -1
    if not batch.width or not bool(marks.any()):
        return good
    word = (batch.word_starts.cumsum(1) - 1).clamp(min=0)
    pieces = torch.zeros_like(batch.tokens).scatter_add(1, word, marks.to(torch.int64))
    held = (pieces.gather(1, word) > 0) & batch.present
    # nearly never: another marking needs a token like a frozen one among those that are not
    same = batch.tokens[:, :, None] == batch.tokens[:, None, :]
    rows = (same & held[:, :, None] & (batch.present & ~held)[:, None, :]).flatten(1).any(1).nonzero().squeeze(-1)
    if len(rows) == 0:
        return good
    part = batch.rows(rows)
    fresh = marked(objective, part) if bool((part.homes == ANYWHERE).any()) else part
    # where the caller's words are at home is no question of where they stand now
    fresh = replace(fresh, homes=torch.where(fresh.homes == ANYWHERE, ANYWHERE, bare(part).homes))
    counting = [_Marked.of(part, row).counts(_Marked.of(fresh, row)) for row in range(len(part))]
    return good.index_put((rows,), torch.tensor(counting, device=batch.device))


@final
@dataclass(frozen=True)
class _Marked:
    """The words of a text, and the parts of it that frozen words make up, which closed slots hold together.

    Attributes:
        words: of the whole text.
        parts: the words of each part.
        places: the number of the first word of each part.
        homes: where each part stood at first; `ANYWHERE` for what the objective froze.
        begins: whether the first part cannot leave the beginning of the text.
        ends: whether the last one cannot leave its end.
    """

    words: Sequence[Word]
    parts: Sequence[Sequence[Word]]
    places: Sequence[int]
    homes: Sequence[int]
    begins: bool
    ends: bool

    @staticmethod
    def of(batch: Batch, row: int) -> _Marked:
        """What there is of one row."""
        size = int(batch.lengths[row])
        tokens, homes = batch.tokens[row, :size].tolist(), batch.homes[row, :size].tolist()
        closed, starts = batch.closed[row, :size].tolist(), batch.word_starts[row, :size].tolist()
        spans = list(itertools.pairwise([*(place for place in range(size) if starts[place]), size]))
        shut = [bool(closed[a] & BEFORE) or (a > 0 and bool(closed[a - 1] & BEHIND)) for a, _ in spans]
        words = [tuple(tokens[a:b]) for a, b in spans]
        # of the pieces of a word some may be frozen, which keeps them all
        home = [next((home for home in homes[a:b] if home != -1), -1) for a, b in spans]
        places: list[int] = []
        parts: list[list[Word]] = []
        for place, word in enumerate(words):
            if home[place] == -1:
                continue
            joined = place > 0 and shut[place] and (home[place - 1] == ANYWHERE) == (home[place] == ANYWHERE)
            if joined and home[place - 1] != -1:
                parts[-1].append(word)
            else:
                places.append(place)
                parts.append([word])
        begins = bool(places) and places[0] == 0 and shut[0]
        ends = bool(places) and places[-1] + len(parts[-1]) == len(words) and bool(closed[size - 1] & BEHIND)
        return _Marked(words, parts, places, [home[place] for place in places], begins, ends)

    def counts(self, fresh: _Marked) -> bool:
        """Whether this is the marking at which the text counts; `fresh` is what the objective makes of the text now."""
        given = {number: home for number, home in enumerate(self.homes) if home != ANYWHERE}
        at_home = self._leftmost(given)
        if at_home is None:
            return self.places == self._leftmost({})
        if any(self.places[number] != home for number, home in given.items()):
            return False
        if fresh.parts == self.parts and fresh.homes == self.homes:
            return self.places == fresh.places
        return self.places == at_home

    def _leftmost(self, fixed: Mapping[int, int]) -> list[int] | None:
        """The first places where each part could stand behind the one before it, some at `fixed` places, if any."""
        found: list[int] = []
        least = 0
        for number, part in enumerate(self.parts):
            last = len(self.words) - len(part)
            places = range(least, last + 1)
            if number in fixed:
                places = range(max(least, fixed[number]), min(last, fixed[number]) + 1)
            if self.begins and number == 0:
                places = range(places.start, min(places.stop, 1))
            if self.ends and number == len(self.parts) - 1:
                places = range(max(places.start, last), places.stop)
            place = next((place for place in places if self.words[place : place + len(part)] == part), None)
            if place is None:
                return None
            found.append(place)
            least = place + len(part)
        return found
