"""Exchange a stretch of a text for another that is listed for it: a mixture of independent draws, one for each stretch.

Which stretches an input has, what each may read, and how likely all of it is drawn is laid down before the chain
begins, so that nothing depends on the current text but what must not be drawn, the stretch as it reads now (the
metropolized independence sampler of Liu, 1996):

    q(o | s, now) = w(o) / (W(s) - w(now))    for o other than now,  W(s) the sum of all weights of the stretch s.

A stretch that reads as nothing that is listed stays. So each stretch is a reversible move, and their mixture, with
probabilities that no move changes, is one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, final

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep
from textsearch.kinds import shown
from textsearch.per_input import PerInput
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical

_STRETCH, _READING = range(2)  # draws


@final
@dataclass(frozen=True)
class Stretch:
    """A place of a text, and what may stand there.

    Attributes:
        start: its first token.
        readings: rows of tokens, all as long as it is, each once; two of them at least.
        log_weights: of each reading.
        log_weight: of the stretch among all of its text.

    Raises:
        ValueError: fewer than two readings, one twice, readings of several lengths, or not a weight for each.
    """

    start: int
    readings: tuple[tuple[int, ...], ...]
    log_weights: tuple[float, ...]
    log_weight: float = 0.0

    def __post_init__(self) -> None:
        lengths = {len(one) for one in self.readings}
        if len(set(self.readings)) < max(2, len(self.readings)) or len(lengths) > 1 or 0 in lengths:
            raise ValueError(f"readings={shown(self.readings)}: list two at least, each once, all as long")
        if len(self.log_weights) != len(self.readings):
            raise ValueError(
                f"log_weights={shown(self.log_weights)} must be {len(self.readings)}, one for each reading"
            )


@final
@dataclass(frozen=True, eq=False)
class Exchanges:
    """Draw a stretch of the text, then what it reads; an input without stretches stays as it is.

    Attributes:
        vocabulary: the tokens of the batches.
        stretches: of each input, or one list of them for all.

    >>> from samplers import MetropolisHastings
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import letters
    >>> vocabulary = letters("abc")
    >>> moves = Exchanges(vocabulary, [[Stretch(1, ((1, 2), (3, 3)), (0.0, 0.0))]])
    >>> flat = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")
    >>> generate(flat, MetropolisHastings(moves), vocabulary.encode(["cab"]), steps=1, seed=0).texts
    ['ccc']
    """

    vocabulary: Vocabulary
    stretches: Sequence[Sequence[Stretch]]
    _inputs: PerInput[tuple[Stretch, ...]] = field(init=False, repr=False)
    _tokens: Tensor = field(init=False, repr=False)
    """(I, S, K, L) tokens of all readings, -1 beyond their ends."""
    _log_weights: Tensor = field(init=False, repr=False)
    """(I, S, K) of readings, -inf for none."""
    _places: Tensor = field(init=False, repr=False)
    """(I, S) first tokens."""
    _log_stretches: Tensor = field(init=False, repr=False)
    """(I, S) of stretches, -inf for none."""

    kinds: ClassVar = ("exchange",)

    def __post_init__(self) -> None:
        stretches = tuple(tuple(own) for own in self.stretches)
        keep(self, stretches=stretches, _inputs=PerInput("stretches", stretches))
        every = [one for own in self.stretches for one in own]
        inputs, most = len(self.stretches), max((len(own) for own in self.stretches), default=0)
        ways = max((len(one.readings) for one in every), default=0)
        longest = max((len(one.readings[0]) for one in every), default=0)
        tokens = torch.full((inputs, most, ways, longest), -1, dtype=torch.int64)
        log_weights = torch.full((inputs, most, ways), -math.inf, dtype=torch.float64)
        places = torch.zeros(inputs, most, dtype=torch.int64)
        log_stretches = torch.full((inputs, most), -math.inf, dtype=torch.float64)
        for number, own in enumerate(self.stretches):
            for rank, one in enumerate(own):
                count, size = len(one.readings), len(one.readings[0])
                tokens[number, rank, :count, :size] = torch.tensor(one.readings)
                log_weights[number, rank, :count] = torch.tensor(one.log_weights, dtype=torch.float64)
                places[number, rank], log_stretches[number, rank] = one.start, one.log_weight
        keep(self, _tokens=tokens, _log_weights=log_weights, _places=places, _log_stretches=log_stretches)

    def check(self, batch: Batch) -> None:
        """Each input has its stretches."""
        self._inputs.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One exchange a row."""
        rows, device = len(batch), batch.device
        zero = torch.zeros(rows, dtype=torch.float64, device=device)
        none = Move(batch, zero, zero - math.inf, torch.zeros_like(batch.lengths))
        if not rows or not self._places.shape[1]:
            return none
        own = self._inputs.index(batch)
        log_stretches = self._log_stretches.to(device)[own]
        able = (log_stretches > -math.inf).any(1)
        row = torch.arange(rows, device=device)
        stretch = categorical(log_stretches.masked_fill(~able[:, None], 0.0), rng.uniform(_STRETCH))
        readings, log_weights, start = (
            part.to(device)[own, stretch] for part in (self._tokens, self._log_weights, self._places)
        )
        size = (readings[:, 0] >= 0).sum(1)
        offset = torch.arange(readings.shape[2], device=device)
        at = (start[:, None] + offset).clamp(max=batch.width - 1)
        inside = offset < size[:, None]
        now = batch.tokens.gather(1, at).masked_fill(~inside, -1)
        same = (readings == now[:, None]).all(2) & (log_weights > -math.inf)
        frozen = (~batch.editable.gather(1, at) & inside).any(1)
        able = able & same.any(1) & ~frozen
        # forward leaves the current reading out, backward the new one
        others = log_weights.masked_fill(same, -math.inf)
        able = able & (others > -math.inf).any(1)
        drawn = categorical(others.masked_fill(~able[:, None], 0.0), rng.uniform(_READING))
        written = readings[row, drawn]
        back = log_weights.masked_fill(torch.nn.functional.one_hot(drawn, readings.shape[1]).bool(), -math.inf)
        log_new, log_old = log_weights[row, drawn], log_weights.masked_fill(~same, -math.inf).amax(1)
        changed = inside & able[:, None]
        index = (row[:, None].expand_as(at)[changed], at[changed])
        new = Batch(
            batch.tokens.index_put(index, written[changed]),
            batch.lengths,
            batch.editable,
            batch.inputs,
            batch.vocabulary,
            batch.closed,
            batch.homes,
        )
        log_forward = (log_new - others.logsumexp(1)).where(able, zero)
        log_backward = (log_old - back.logsumexp(1)).where(able, zero - math.inf)
        return Move(new, log_forward, log_backward, torch.zeros_like(batch.lengths))
