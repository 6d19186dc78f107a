"""Where a text is cut whose end is to be written anew: laws p(m | x) over its places, as a mask sees them.

Anaya Gonzalez et al., "Constrained sampling for language models should be easy: an MCMC perspective", NeurIPS 2025, cut
evenly, at the beginning (restart), or where the model hesitates. With c the number of places behind the last frozen
token, both ends of what is editable included, and H_m the entropy of what the model writes after the first m tokens:

    uniform    p(m | x) = 1 / c
    restart    p(m | x) = 1 for the first place: an independent draw of all that is editable
    entropy    p(m | x) = 0.9 H_m / sum H + 0.1 / c,    1 / c where the sum is 0

The law depends on the text, on its length at least: a move needs p(m | x) and, for the way back, p(m | x').
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.models.masking import masked, next_laws
from textsearch.models.protocols import TokenLM
from textsearch.objective import Objective

UNIFORM, RESTART, ENTROPY = "uniform", "restart", "entropy"

_EVEN = 0.1  # of the cuts by entropy, so that each place has some
_PLACES = 64  # log-probabilities of the whole vocabulary, in float64, at once
_TEXTS = 5000  # whose entropies are remembered


def first_cuts(batch: Batch) -> Tensor:
    """(B,) int64 how many tokens there are up to the last frozen one: the first place that a text may be cut at."""
    column = torch.arange(1, batch.width + 1, device=batch.device)
    frozen = (~batch.editable & batch.present) * column
    return torch.nn.functional.pad(frozen, (0, 1)).amax(1)


def log_cut_probs(law: str, batch: Batch, entropies: Tensor | None = None) -> Tensor:
    """(B, N + 1) float64 log p(m | x) of cutting row b behind its first m tokens; `entropies` are (B, N + 1).

    >>> from textsearch.testing import letters
    >>> batch = letters("ab").encode(["ab"])
    >>> log_cut_probs("uniform", batch).exp(), log_cut_probs("restart", batch).exp()
    (tensor([[0.3333, 0.3333, 0.3333]], dtype=torch.float64), tensor([[1., 0., 0.]], dtype=torch.float64))
    >>> log_cut_probs("entropy", batch, torch.tensor([[0.0, 1.0, 3.0]])).exp()
    tensor([[0.0333, 0.2583, 0.7083]], dtype=torch.float64)
    """
    first = first_cuts(batch)
    place = torch.arange(batch.width + 1, device=batch.device)
    open_ = (place >= first[:, None]) & (place <= batch.lengths[:, None])
    if law == RESTART:
        return torch.zeros_like(open_, dtype=torch.float64).masked_fill(place != first[:, None], -torch.inf)
    even = -(batch.lengths - first + 1).to(torch.float64).log()[:, None]
    if law == ENTROPY:
        assert entropies is not None
        weights = entropies.to(torch.float64).where(open_, 0.0)
        # from left to right: padding changes no bit
        total = weights.cumsum(1)[:, -1:]
        share = (weights / total).where(total > 0, even.exp())
        even = ((1 - _EVEN) * share + _EVEN * even.exp()).log()
    return even.where(open_, -torch.inf)


@final
@dataclass(frozen=True, eq=False)
class Entropies:
    """H of what a model writes next after each beginning of a text, nats; remembered for the last texts.

    Attributes:
        lm: the model.
        temperature: of the tokens that it writes.
        constraint: masks them, if there is one.
    """

    lm: TokenLM
    temperature: float
    constraint: Objective | None
    _known: OrderedDict[tuple[str, int, tuple[int, ...]], list[float]] = field(default_factory=OrderedDict, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Entropies, (self.lm, self.temperature, self.constraint)

    def of(self, batch: Batch, prompts: Sequence[str]) -> Tensor:
        """(B, N + 1) float64, 0 behind the end of a row. A model that remembers what it has read reads nothing anew."""
        keys = [
            (prompt, number, tuple(row))
            for prompt, number, row in zip(prompts, batch.inputs.tolist(), batch.token_lists(), strict=True)
        ]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
        new = [key for key in dict.fromkeys(keys) if key not in found]
        found |= zip(new, self._worked_out(new), strict=True)
        with self._lock:
            self._known.update(found)
            while len(self._known) > _TEXTS:
                self._known.popitem(last=False)
        out = torch.zeros(len(batch), batch.width + 1, dtype=torch.float64)
        for row, key in enumerate(keys):
            out[row, : len(found[key])] = torch.tensor(found[key], dtype=torch.float64)
        return out.to(batch.device)

    def _worked_out(self, keys: Sequence[tuple[str, int, tuple[int, ...]]]) -> list[list[float]]:
        asked = [(prompt, number, row[:size]) for prompt, number, row in keys for size in range(len(row) + 1)]
        values: list[float] = []
        for first in range(0, len(asked), _PLACES):
            prompts, numbers, rows = zip(*asked[first : first + _PLACES], strict=True)
            law = next_laws(self.lm, rows, prompts, self.temperature)
            if self.constraint is not None:
                law = masked(law, self.constraint, Beginnings(self.lm.vocabulary, self.lm.eos, rows, numbers))
            # a cumulative sum adds each row up in one order, whatever the number of rows
            values += torch.special.entr(law.exp()).cumsum(-1)[:, -1].tolist()
        places = iter(values)
        return [[next(places) for _ in range(len(row) + 1)] for _, _, row in keys]
