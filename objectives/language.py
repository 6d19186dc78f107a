"""What hard constraints share that say which texts are allowed: grammars, schemas, patterns, lists of choices.

The truth is a parser of the whole text; it alone decides what has energy 0 and what +inf. What writes from the left
asks two more things. A proof that no text of the language begins so: it must follow from the truth, and may say
nothing. And a hint which tokens may come next, which may be wrong both ways.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import torch
from torch import Tensor

from objectives.nearest_end import NearestEnd
from objectives.reading import Reading
from objectives.text_features import zero_or_inf
from textsearch.batch import Batch
from textsearch.beginnings import Beginnings, characters
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput
from textsearch.watching import tell


class Mask(Protocol):
    """Tells which tokens may come next."""

    def allowed(self, beginnings: Beginnings, places: Sequence[int]) -> Tensor | None:
        """(len(places), V) bool, of those beginnings; None where nothing is known."""


class Language(Protocol):
    """The texts that one value of a constraint allows."""

    def accepts(self, text: str) -> bool:
        """Whether a text belongs to it: the truth."""

    def is_dead(self, beginning: str, rest: bytes) -> bool:
        """Whether it is proven that no text of the language begins so; False says nothing.

        Args:
            beginning: whole characters.
            rest: the first bytes of one more, or none.
        """

    @property
    def masks(self) -> Mask | None:
        """The mask for it, by an engine; None where there is none."""

    @property
    def reading(self) -> Reading | None:
        """What proves which tokens may follow; None where there is nothing but `is_dead`."""

    @property
    def near(self) -> NearestEnd | None:
        """What tells how far the end of a text is; None where that is not known."""


@final
@dataclass(frozen=True, eq=False)
class Judged:
    """What a watcher is told of texts that a parser has judged; see `textsearch.watching`.

    Attributes:
        objective: whose parser it is; its mask may think otherwise.
        batch: the texts.
        energy: (B,) 0 for those that are accepted, +inf for the others.
    """

    objective: LanguageObjective
    batch: Batch
    energy: Tensor


class LanguageObjective(Objective):
    """Energy 0 for the texts of a language, +inf for all others; a language for all inputs or one for each."""

    @property
    @abstractmethod
    def languages(self) -> PerInput[Any]:
        """The languages."""

    @property
    def cost(self) -> Cost:
        """A test of the text alone."""
        return Cost.HARD

    @property
    def lower_bound(self) -> float:
        """Zero."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 for the texts of the language, +inf for the others."""
        found = zero_or_inf(batch, lambda text, number: bool(self.languages.of(number).accepts(text)))
        tell(Judged(self, batch, found))
        return found

    def check(self, batch: Batch) -> None:
        """Each input has its language."""
        self.languages.check(batch)

    def allowed_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool, by the mask engine, of any token where it knows nothing; None if it knows nothing at all."""
        groups: dict[int, list[int]] = {}
        for place, number in enumerate(beginnings.numbers):
            groups.setdefault(0 if self.languages.shared else number, []).append(place)
        found: Tensor | None = None
        for number, places in groups.items():
            masks = self.languages.of(number).masks
            own = None if masks is None else masks.allowed(beginnings, places)
            if own is not None:
                if found is None:
                    found = torch.ones(len(beginnings), beginnings.vocabulary.size, dtype=torch.bool)
                found[places] = own
        return found

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        """(K,) bool, the beginnings that are proven to be those of no text; None without `token_bytes`."""
        if beginnings.written is None:
            return None
        asked = list(zip(beginnings.written, beginnings.numbers, strict=True))
        dead = {key: self._is_dead(*key) for key in dict.fromkeys(asked)}
        return torch.tensor([dead[key] for key in asked], dtype=torch.bool)

    def living_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool; False proves that no text goes on so: see `textsearch.living`."""
        written, vocabulary = beginnings.written, beginnings.vocabulary
        readings = [self.languages.of(number).reading for number in beginnings.numbers]
        if written is None or not any(own.reading for own in self.languages.values):
            return None
        found = np.ones((len(beginnings), vocabulary.size), dtype=np.bool_)
        for row, reading, own in zip(found, readings, written, strict=True):
            if reading is not None:
                row[:] = reading.living(vocabulary, beginnings.end, own)
        return torch.from_numpy(found)

    def within(self, beginnings: Beginnings, room: Sequence[int], *, proven: bool) -> Tensor | None:
        """(K, V) bool, the tokens behind which a text may end in time: see `textsearch.in_time`."""
        ends = [self.languages.of(number).near for number in beginnings.numbers]
        # whether anything is known depends on all inputs: a beginning gets the same answer whatever stands beside it
        if beginnings.written is None or not any(own.near for own in self.languages.values):
            return None
        found = np.ones((len(beginnings), beginnings.vocabulary.size), dtype=np.bool_)
        for row, near, own, left in zip(found, ends, beginnings.written, room, strict=True):
            if near is not None:
                row[:] = near.within(beginnings.vocabulary, beginnings.end, own, left, proven=proven)
        return torch.from_numpy(found)

    def ends(self, beginnings: Beginnings) -> Tensor | None:
        """(K,) bool, the beginnings that are texts of the language as they are: see `textsearch.in_time`."""
        if beginnings.written is None:
            return None
        begun = zip(map(characters, beginnings.written), beginnings.numbers, strict=True)
        found = [
            own is not None and not own[1] and bool(self.languages.of(number).accepts(own[0])) for own, number in begun
        ]
        return torch.tensor(found, dtype=torch.bool)

    def too_long(self, beginnings: Beginnings, room: Sequence[int]) -> Tensor | None:
        """(K,) bool, the beginnings of which it is proven that no text ends in time: see `textsearch.in_time`."""
        ends = [self.languages.of(number).near for number in beginnings.numbers]
        if beginnings.written is None or not any(own.near for own in self.languages.values):
            return None
        each = zip(ends, beginnings.written, room, strict=True)
        found = [near is not None and near.is_too_long(beginnings.vocabulary, own, left) for near, own, left in each]
        return torch.tensor(found, dtype=torch.bool)

    def _is_dead(self, written: bytes, number: int) -> bool:
        found = characters(written)
        return found is None or bool(self.languages.of(number).is_dead(*found))
