"""What a model finds in the places of a text, told beforehand: a term that costs no pass while chains run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from torch import Tensor

from objectives.character_channel import Meant, by_place, of_edits
from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput


@final
@dataclass(frozen=True, eq=False)
class InPlace(Objective):
    """The sum over the tokens that differ from the written ones of what is told of them, in nats.

    Attributes:
        written: the texts as they were written, one row for all inputs, or row i for input i.
        nats: of each of them and each place, token -> nats; what is not there adds nothing.

    Raises:
        ValueError: there are not as many inputs or places in both.

    >>> from textsearch.testing import letters
    >>> written = letters("abc").encode(["ab"])
    >>> InPlace(written, [[{3: -2.0}, {1: 5.0}]]).energy(letters("abc").encode(["ab", "cb", "ca"])).tolist()
    [0.0, -2.0, 3.0]
    """

    written: Batch
    nats: Sequence[Sequence[Meant]]
    _inputs: PerInput[tuple[Meant, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        nats = by_place("nats", self.written, self.nats)
        keep(self, nats=nats, _inputs=PerInput("written", nats))

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "in place"

    @property
    def cost(self) -> Cost:
        """No model."""
        return Cost.CHEAP

    def check(self, batch: Batch) -> None:
        """Each input has its text."""
        self._inputs.check(batch)

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a text."""
        return of_edits(batch, self.written, self._inputs, otherwise=0.0)[0]
