"""A language small enough to list, with a mask and proofs that may be wrong in all the ways that masks are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.objective import Cost, Objective

Row = tuple[int, ...]
Step = tuple[Row, int]
"""A beginning, and a token that may follow it."""


@final
@dataclass(frozen=True, eq=False)
class Hinted(Objective):
    """Forbids all texts but some.

    Attributes:
        language: the rows of tokens that are texts.
        size: V.
        end: the token that ends a text.
        hidden: steps of the language that the mask forbids: it is too narrow there.
        astray: steps that lead to no text, yet the mask allows them: it is too wide there.
        proves: whether it proves what lies outside of the language.
        in_rows: whether it also proves it of all tokens at once, but for those in `astray`.
        asked: beginnings that it was asked for, one after another.
    """

    language: frozenset[Row]
    size: int
    end: int = 0
    hidden: frozenset[Step] = frozenset()
    astray: frozenset[Step] = frozenset()
    proves: bool = True
    in_rows: bool = False
    _asked: list[Row] = field(default_factory=list)

    @property
    def asked(self) -> list[Row]:
        return self._asked

    @property
    def cost(self) -> Cost:
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        good = [tuple(row) in self.language for row in batch.token_lists()]
        return torch.tensor([0.0 if one else math.inf for one in good], dtype=torch.float64, device=batch.device)

    def follow(self, before: Row) -> set[int]:
        """What the mask allows after a beginning."""
        truth = {(*row, self.end)[len(before)] for row in self.language if row[: len(before)] == before}
        truth -= {token for start, token in self.hidden if start == before}
        return truth | {token for start, token in self.astray if start == before}

    def allowed_next(self, beginnings: Beginnings) -> Tensor:
        rows = list(map(tuple, beginnings.rows))
        self._asked.extend(rows)
        number = {row: at for at, row in enumerate(dict.fromkeys(rows))}
        mask = torch.zeros(len(number), self.size, dtype=torch.bool)
        for row, at in number.items():
            mask[at, list(self.follow(row))] = True
        return mask[[number[row] for row in rows]]

    def living_next(self, beginnings: Beginnings) -> Tensor | None:
        if not self.in_rows:
            return None
        living = torch.zeros(len(beginnings), self.size, dtype=torch.bool)
        for place, row in enumerate(map(tuple, beginnings.rows)):
            living[place, [token for token in range(self.size) if self.leads(row, token)]] = True
        return living

    def leads(self, before: Row, token: int) -> bool:
        """Whether a text goes on so, or it is not proven that none does."""
        return (before, token) in self.astray or any(
            (*row, self.end)[: len(before) + 1] == (*before, token) for row in self.language
        )

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        if not self.proves:
            return None
        return torch.tensor(
            [not any(text[: len(row)] == tuple(row) for text in self.language) for row in beginnings.rows]
        )


def rows_of(size: int, longest: int, holds: Callable[[Row], bool]) -> frozenset[Row]:
    """All rows of up to `longest` of the tokens 1 .. `size` - 1 that `holds` is true of."""
    every = (row for length in range(longest + 1) for row in itertools.product(range(1, size), repeat=length))
    return frozenset(row for row in every if holds(row))
