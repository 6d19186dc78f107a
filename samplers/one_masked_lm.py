"""What samplers and proposals that are made of one masked language model share."""

from __future__ import annotations

from abc import ABC

from textsearch.batch import Batch, Vocabulary
from textsearch.kinds import MASKED, instance
from textsearch.models.protocols import MaskedLM


class OfMaskedLM(ABC):
    """A sampler or a proposal that writes the tokens of its masked language model, and can edit any text.

    Attributes:
        mlm: a field of the dataclass that derives from this.
    """

    mlm: MaskedLM

    def __post_init__(self) -> None:
        instance("mlm", self.mlm, MASKED)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the masked model reads and writes."""
        return self.mlm.vocabulary

    def check(self, batch: Batch) -> None:  # noqa: B027 most can do something with any text
        """Raise a `ValueError` for a text that could not be edited or drawn; by default any can. Runs no model."""
