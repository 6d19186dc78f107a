"""The usual edits of a text, for whoever names none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from samplers.proposals.spans import SpanEdit
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep
from textsearch.models.defaults import DEFAULT_MASKED_LM
from textsearch.models.protocols import MaskedLM
from textsearch.proposal import Move
from textsearch.rng import Rng

TABLE = {(1, 1): 0.48, (0, 1): 0.13, (1, 0): 0.13, (2, 2): 0.12, (1, 2): 0.07, (2, 1): 0.07}
"""How often so many adjacent words are replaced by so many."""


@final
@dataclass(frozen=True)
class Edits:
    """Words replaced, written in, taken out, and pairs written anew, all proposed by one masked language model.

    One `SpanEdit`, so that all chains share each pass of the model, whatever their moves.

    Attributes:
        mlm: writes the new words; by default the one that comes with textsearch, which loads when a run begins.
        max_length: tokens; a move that would go beyond it is a null move.

    >>> Edits() == Edits(), Edits().kinds
    (True, ('replace', 'insert', 'delete', 'infill 2', 'rewrite 1 to 2', 'rewrite 2 to 1'))
    """

    mlm: MaskedLM = DEFAULT_MASKED_LM
    max_length: int = 64
    _moves: SpanEdit = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        moves = SpanEdit(self.mlm, TABLE, max_length=self.max_length)
        keep(self, max_length=moves.max_length, _moves=moves)

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.mlm.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """One for each kind of edit."""
        return self._moves.kinds

    def check(self, batch: Batch) -> None:
        """Refuse texts over `max_length`."""
        self._moves.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One edit a row."""
        return self._moves.propose(batch, rng)


EDITS = Edits()
