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
from textsearch.kinds import BATCH, instance
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput

Meant = Mapping[int, float]
"""Token that may have been meant -> nats."""


@final
@dataclass(frozen=True, eq=False)
class CharacterChannel(Objective):
    """-log p(written | meant), in nats: a price for each token that differs from the written one.

    A text of another length, or with a token that the written one is no mistake for, has energy +inf.

    Attributes:
        written: the texts as they were written, one row for all inputs, or row i for input i.
        meant: of each of them and each place, what may have been meant there, and its price.

    Raises:
        ValueError: there are not as many inputs or places in both, or a price below 0.

    >>> from textsearch.testing import letters
    >>> written = letters("abc").encode(["aba"])
    >>> channel = CharacterChannel(written, [[{3: 3.0}, {}, {3: 3.0}]])
    >>> channel.energy(letters("abc").encode(["aba", "cba", "cbc", "aaa", "ab"])).tolist()
    [0.0, 3.0, 6.0, inf, inf]
    """

    written: Batch
    meant: Sequence[Sequence[Meant]]
    _inputs: PerInput[tuple[Meant, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        meant = by_place("meant", self.written, self.meant)
        for row in meant:
            for place in row:
                for token, price in place.items():
                    if not 0 <= price < math.inf:
                        raise ValueError(f"the price of token {token} is {price}; it must be at least 0 nats")
        keep(self, meant=meant, _inputs=PerInput("written", meant))

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
        nats, same = of_edits(batch, self.written, self._inputs, otherwise=math.inf)
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
) -> tuple[Tensor, Tensor]:
    """The sum over the tokens that differ from the written ones, and whether the lengths are the same.

    Args:
        batch: B texts.
        written: of each input, or one row for all.
        meant: of each of them and each place, token -> nats.
        otherwise: nats of a token that is not there.

    Returns:
        (B,) float64 nats, and (B,) bool.
    """
    width = max(batch.width, written.width)
    texts = meant.index(batch)
    own, before = batch.widen(width), written.to(batch.device).widen(width).rows(texts)
    rows, places = ((own.tokens != before.tokens) & own.present & before.present).nonzero(as_tuple=True)
    edits = zip(rows.tolist(), texts[rows].tolist(), places.tolist(), own.tokens[rows, places].tolist(), strict=True)
    sums = [0.0] * len(batch)
    for row, text, place, token in edits:
        sums[row] += meant.values[text][place].get(token, otherwise)
    nats = torch.tensor(sums, dtype=torch.float64, device=batch.device)
    return nats, own.lengths == before.lengths
