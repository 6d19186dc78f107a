"""A noisy channel over tokens: what it costs that one was written where another was meant.

Kernighan, Church and Gale ("A spelling correction program based on a noisy channel model", 1990): with log p(text) the
energy of a correction, up to a constant, is -log p(meant) - log p(written | meant). Here tokens are exchanged one for
one, as in Chinese, where a token is a character.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.kinds import BATCH, instance, shown
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput

Meant = Mapping[int, float]
"""Token that may have been meant -> nats."""


@final
@dataclass(frozen=True, eq=False)
class CharacterChannel(Objective):
    """-log p(written | meant), in nats: a price for each token that differs from the written one.

    A text of another length, or with a token that the written one is no mistake for, has energy +inf. How many mistakes
    a text has may have a price of its own: they need not be independent of each other.

    Attributes:
        written: the texts as they were written, one row for all inputs, or row i for input i.
        meant: of each of them and each place, what may have been meant there, and its price.
        mistakes: of each of them, the price of 0, 1, ... tokens that differ, up to all of them; empty is nothing.

    Raises:
        ValueError: there are not as many inputs or places in all, or a price below 0.

    >>> from textsearch.testing import letters
    >>> written = letters("abc").encode(["aba"])
    >>> channel = CharacterChannel(written, [[{3: 3.0}, {}, {3: 3.0}]])
    >>> channel.energy(letters("abc").encode(["aba", "cba", "cbc", "aaa", "ab"])).tolist()
    [0.0, 3.0, 6.0, inf, inf]
    """

    written: Batch
    meant: Sequence[Sequence[Meant]]
    mistakes: Sequence[Sequence[float]] = ()
    _inputs: PerInput[tuple[Meant, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        meant = by_place("meant", self.written, self.meant)
        mistakes = tuple(tuple(own) for own in self.mistakes)
        if mistakes and [len(own) for own in mistakes] != [len(own) + 1 for own in meant]:
            raise ValueError(f"mistakes={shown(mistakes)}: list for each text the prices of 0 to all of its places")
        if any(not 0 <= price < math.inf for own in mistakes for price in own):
            raise ValueError(f"mistakes={shown(mistakes)}: prices must be at least 0 nats")
        for row in meant:
            for place in row:
                for token, price in place.items():
                    if not 0 <= price < math.inf:
                        raise ValueError(f"the price of token {token} is {price}; it must be at least 0 nats")
        keep(self, meant=meant, mistakes=mistakes, _inputs=PerInput("written", meant))

    @property
    def cost(self) -> Cost:
        """No model."""
        return Cost.CHEAP

    @property
    def lower_bound(self) -> float:
        """Nothing costs less than nothing."""
        return 0.0

    def check(self, batch: Batch) -> None:
        """Each input has its text."""
        self._inputs.check(batch)

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a text."""
        nats, same, counts = of_edits(batch, self.written, self._inputs, otherwise=math.inf)
        if self.mistakes:
            texts = self._inputs.index(batch).tolist()
            own = [self.mistakes[text][count] for text, count in zip(texts, counts, strict=True)]
            nats = nats + torch.tensor(own, dtype=torch.float64, device=batch.device)
        return nats.masked_fill(~same, math.inf)


def by_place(name: str, written: Batch, given: Sequence[Sequence[Meant]]) -> tuple[tuple[Meant, ...], ...]:
    """What is told of each place of each written text.

    Raises:
        ValueError: there are not as many inputs or places in both.
    """
    instance("written", written, BATCH)
    sizes, lengths = [len(row) for row in given], written.lengths.tolist()
    if sizes != lengths:
        raise ValueError(f"{name} has rows of {sizes[:5]} places, and the written texts have {lengths[:5]}: one each")
    return tuple(tuple(row) for row in given)


def of_edits(
    batch: Batch, written: Batch, meant: PerInput[tuple[Meant, ...]], otherwise: float
) -> tuple[Tensor, Tensor, list[int]]:
    """The sum over the tokens that differ from the written ones, whether the lengths are the same, how many differ.

    Args:
        batch: B texts.
        written: of each input, or one row for all.
        meant: of each of them and each place, token -> nats.
        otherwise: nats of a token that is not there.

    Returns:
        (B,) float64 nats, (B,) bool, and B counts.
    """
    width = max(batch.width, written.width)
    texts = meant.index(batch)
    own, before = batch.widen(width), written.to(batch.device).widen(width).rows(texts)
    rows, places = ((own.tokens != before.tokens) & own.present & before.present).nonzero(as_tuple=True)
    edits = zip(rows.tolist(), texts[rows].tolist(), places.tolist(), own.tokens[rows, places].tolist(), strict=True)
    sums, counts = [0.0] * len(batch), [0] * len(batch)
    for row, text, place, token in edits:
        sums[row] += meant.values[text][place].get(token, otherwise)
        counts[row] += 1
    nats = torch.tensor(sums, dtype=torch.float64, device=batch.device)
    return nats, own.lengths == before.lengths, counts
