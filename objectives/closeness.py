"""Closeness: how far a text has moved from its source, as a weighted edit distance (Wagner and Fischer, 1974)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep, positive, string
from textsearch.kinds import BATCH, shown
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, number_per_input, text_per_input

EditCost = Callable[[str | None, str | None], float]
"""Nats for an old token and a new one; None stands for nothing, so (None, new) is an insertion."""


@final
@dataclass(frozen=True)
class Closeness(Objective):
    """The lowest total cost, in nats, of edits of single tokens that turn the source into the text.

    Under exp(-E) an edit pays if it lowers the rest of the energy by more than it costs. A different cost for each pair
    of words makes this a noisy channel, -log p(source | text) up to a constant (Kernighan et al., 1990).

    Attributes:
        sources: the texts to stay close to, or a batch of them: one for all inputs or one for each, row r is compared
            with source `batch.inputs[r]`. Texts are encoded with the vocabulary of the batch that is judged.
        edit: nats for one inserted, deleted or replaced token, or a function of the old and the new token, as the
            vocabulary writes them; what it says of two tokens must not change.
        scale: times the whole, one number for all inputs or one for each: below 1 where something else judges edits
            too.
        label: the term's name in results.

    Raises:
        ValueError: no sources, or an edit cost or a scale that is no positive number.

    >>> from textsearch.testing import letters
    >>> Closeness(["abc"], 2.0).energy(letters("abc").encode(["abc", "bc", "cba", ""])).tolist()
    [0.0, 2.0, 4.0, 6.0]
    """

    sources: str | Sequence[str] | Batch
    edit: float | EditCost = 1.0
    scale: float | Sequence[float] = 1.0
    label: str = "closeness"
    _rows: PerInput[int] = field(init=False, repr=False, compare=False)
    _scales: PerInput[float] = field(init=False, repr=False, compare=False)
    _costs: dict[tuple[str | None, str | None], float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not BATCH.of(self.sources):
            keep(self, sources=text_per_input("sources", self.sources).values)
        keep(self, _rows=PerInput("sources", tuple(range(len(self.sources)))))
        scales = number_per_input("scale", self.scale, positive)
        keep(self, label=string("label", self.label))
        keep(self, scale=scales.values[0] if scales.shared else scales.values, _scales=scales)
        if isinstance(self.edit, type):
            raise TypeError(f"edit={shown(self.edit)} is a class: make one, {shown(self.edit)}(...)")
        if not callable(self.edit):
            keep(
                self, edit=positive("edit", self.edit, "number of nats", ", or a function of the old and the new token")
            )

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    @property
    def cost(self) -> Cost:
        """No model pass."""
        return Cost.CHEAP

    def check(self, batch: Batch) -> None:
        """Refuse an input without a source."""
        self._rows.check(batch)
        self._scales.check(batch)
        self._encoded(batch)

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        sources = self._encoded(batch)
        own = sources.rows(self._rows.index(batch).cpu())
        old, new = own.tokens, batch.tokens.cpu()
        n, m = own.lengths, batch.lengths.cpu()
        rows, height, width = len(batch), old.shape[1], new.shape[1]
        replace = self._table(own, old[:, :, None].expand(-1, -1, width), new[:, None].expand(-1, height, -1))
        delete = self._table(own, old, torch.full_like(old, -1)) if height else torch.zeros(rows, 0)
        insert = self._table(own, torch.full_like(new, -1), new) if width else torch.zeros(rows, 0)

        # distance[b, i, j] of the first i old and the first j new tokens, one anti-diagonal i + j at a time
        distance = torch.full((rows, height + 1, width + 1), math.inf, dtype=torch.float64)
        distance[:, 0, 0] = 0.0
        for diagonal in range(1, height + width + 1):
            i = torch.arange(max(0, diagonal - width), min(height, diagonal) + 1)
            j = diagonal - i
            best = torch.full((rows, len(i)), math.inf, dtype=torch.float64)
            down, right = i > 0, j > 0
            both = down & right
            best[:, down] = distance[:, i[down] - 1, j[down]] + delete[:, i[down] - 1]
            best[:, right] = torch.minimum(
                best[:, right], distance[:, i[right], j[right] - 1] + insert[:, j[right] - 1]
            )
            best[:, both] = torch.minimum(
                best[:, both], distance[:, i[both] - 1, j[both] - 1] + replace[:, i[both] - 1, j[both] - 1]
            )
            distance[:, i, j] = best
        scale = torch.tensor(self._scales.rows(batch), dtype=torch.float64)
        return (scale * distance[torch.arange(rows), n, m]).to(batch.device)

    def _encoded(self, batch: Batch) -> Batch:
        return self.sources if isinstance(self.sources, Batch) else batch.vocabulary.encode(self.sources)

    def _table(self, batch: Batch, old: Tensor, new: Tensor) -> Tensor:
        """Costs of pairs of ids, -1 for none; each pair of words is asked for once."""
        if not callable(self.edit):
            return torch.where(old == new, 0.0, float(self.edit)).to(torch.float64)
        size = batch.vocabulary.size + 1
        pairs, place = torch.unique((old + 1) * size + new + 1, return_inverse=True)
        ids = torch.stack([pairs // size - 1, pairs % size - 1])
        words = self._words(batch, ids)
        values = [self._ask(words[one], words[other]) for one, other in ids.T.tolist()]
        return torch.tensor(values, dtype=torch.float64)[place]

    def _words(self, batch: Batch, ids: Tensor) -> dict[int, str | None]:
        """What each id stands for; None for -1."""
        known = [number for number in torch.unique(ids).tolist() if number >= 0]
        texts = Batch.of([[number] for number in known], batch.vocabulary).texts()
        return {-1: None, **dict(zip(known, texts, strict=True))}

    def _ask(self, old: str | None, new: str | None) -> float:
        assert callable(self.edit)
        if old == new:
            return 0.0
        if (old, new) not in self._costs:
            value = float(self.edit(old, new))
            if not value >= 0:
                raise ValueError(f"edit({old!r}, {new!r}) = {value}: an edit costs at least 0 nats")
            self._costs[old, new] = value
        return self._costs[old, new]
