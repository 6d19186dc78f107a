"""Prefix resampling: cut the text at random and let a model that reads from right to left write a new beginning.

`SuffixResampling`, mirrored: the cut is uniform over the places before the first frozen token, both ends of what is
editable included, and all tokens before it are drawn one by one, the nearest to the cut first, up to the beginning of
the text. Suffixes judge a text by what it began with and prefixes by how it ends; a mixture of both, with the sum of
both models as the energy, reads a text from both ends (Zhang et al., "Asynchronous bidirectional decoding for neural
machine translation", 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import final

from samplers.proposals.suffix import SuffixResampling
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep
from textsearch.kinds import nature, shown
from textsearch.models.protocols import SuffixLM
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.proposal import Move
from textsearch.rng import Rng


@final
@dataclass(frozen=True, eq=False)
class PrefixResampling:
    """Rewrite everything before a random cut; see the module for the probabilities.

    Frozen tokens, and what stands behind one, are kept, and a text whose beginning is closed stays as it is. A move
    takes a pass a new token, and one for the way back.

    Attributes:
        lm: writes the new beginnings.
        temperature: of the tokens that it writes.
        max_length: tokens; a text that finds no beginning within it is a null move.

    >>> from samplers import MetropolisHastings
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = RightToLeftLM(TableCausalLM.random(letters("ab"), seed=0))
    >>> few_b = FunctionObjective(lambda texts: [5.0 * text.count("b") for text in texts], name="few b")
    >>> generate(few_b, MetropolisHastings(PrefixResampling(lm, max_length=4)), ["bbb"], steps=50, seed=0).best_texts
    ['']
    """

    lm: RightToLeftLM
    temperature: float = 1.0
    max_length: int = 64
    _mirrored: SuffixResampling = field(init=False, repr=False)

    def __post_init__(self) -> None:
        lm = read_backwards(self.lm)
        own = SuffixResampling(lm, temperature=self.temperature, max_length=self.max_length)
        keep(self, temperature=own.temperature, max_length=own.max_length, _mirrored=own)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model writes."""
        return self.lm.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The name of its one move."""
        return ("prefix",)

    def check(self, batch: Batch) -> None:
        """Refuse texts over `max_length`."""
        self._mirrored.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One new prefix a row."""
        move = self._mirrored.propose(batch.mirrored(), rng)
        return replace(move, batch=move.batch.mirrored())


def read_backwards(lm: RightToLeftLM) -> SuffixLM:
    """The model of reversed rows that a `RightToLeftLM` wraps.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(lm, RightToLeftLM):
        raise TypeError(
            f"lm={shown(lm)} is {nature(lm)}, not a model that reads from right to left: wrap one that was trained on "
            "reversed rows of tokens, RightToLeftLM(model); one that reads from left to right suits SuffixResampling "
            "and FromLeft"
        )
    return lm.lm
