"""Whole texts from a causal model that reads from right to left, drawn token by token up to the beginning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from torch import Tensor

from samplers.proposals.from_left import FromLeft
from samplers.proposals.prefix import read_backwards
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.rng import Rng


@final
@dataclass(frozen=True, eq=False)
class FromRight:
    """Write a text from its end, before the row's frozen tokens if it ends with some; log q includes the beginning.

    `FromLeft`, mirrored.

    Attributes:
        lm: writes the texts, in tokens of its own.
        temperature: of the tokens that it writes, not that of the run.
        max_length: tokens of the longest text, frozen ones counted.

    >>> from textsearch.rng import Rng
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = RightToLeftLM(TableCausalLM.random(letters("ab"), seed=0))
    >>> drawn, log_prob = FromRight(lm).draw(lm.vocabulary.encode([""] * 3), Rng.start(seed=3, chains=3))
    >>> drawn.texts(), bool((log_prob == lm.score(drawn).log_prob).all())
    (['b', '', ''], True)
    """

    lm: RightToLeftLM
    temperature: float = 1.0
    max_length: int = 64
    _mirrored: FromLeft = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = FromLeft(read_backwards(self.lm), temperature=self.temperature, max_length=self.max_length)
        keep(self, temperature=own.temperature, max_length=own.max_length, _mirrored=own)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model writes."""
        return self.lm.vocabulary

    def check(self, batch: Batch) -> None:
        """Refuse tokens frozen before others that are not, and too many of them."""
        self._mirrored.check(batch.mirrored())

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        """A new text for each row, and (B,) log q; +inf for one without a beginning, or with too many frozen tokens."""
        drawn, log_prob = self._mirrored.draw(batch.mirrored(), rng)
        return drawn.mirrored(), log_prob

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) log q of what stands before the frozen tokens; -inf over `max_length`, or with a closed beginning."""
        return self._mirrored.log_prob(batch.mirrored())
