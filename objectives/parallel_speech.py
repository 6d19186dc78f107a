"""Parallel parts of speech: in a couplet a noun stands below a noun, and a verb below a verb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.text_features import words_per_input
from textsearch.batch import Batch
from textsearch.checks import function, keep
from textsearch.language.couplets import speech as chinese_speech
from textsearch.objective import Objective
from textsearch.per_input import PerInput

Speech = Callable[[str], Sequence[str]]
"""The part of speech at each place of a text."""


@final
@dataclass(frozen=True)
class ParallelSpeech(Objective):
    """How many places of a text have another part of speech than those of a given line; a place too many is one.

    Attributes:
        line: to compare with, one for all inputs or one for each.
        speech: finds the parts of speech of a text; by default of each Chinese character, see
            `textsearch.language.couplets`.

    Raises:
        ImportError: jieba is not installed, and `speech` is not given.

    >>> from textsearch.testing import letters
    >>> batch = letters("abxy").encode(["xa", "xy", "axb", ""])
    >>> ParallelSpeech("ya", lambda text: [str(one < "m") for one in text]).energy(batch).tolist()
    [0.0, 1.0, 3.0, 2.0]
    """

    line: str | Sequence[str]
    speech: Speech = chinese_speech
    _told: PerInput[tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        function("speech", self.speech, "a function that tells the part of speech at each place of a text", "list")
        given = words_per_input("line", self.line)
        keep(self, line=given.values, _told=given.map(lambda line: tuple(self.speech(line))))

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "parallel speech"

    def energy(self, batch: Batch) -> Tensor:
        """(B,) float64, places that are not parallel."""
        keys = list(zip(batch.texts(), batch.inputs.tolist(), strict=True))
        known = {key: self._apart(*key) for key in dict.fromkeys(keys)}
        return torch.tensor([known[key] for key in keys], dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its line."""
        self._told.check(batch)

    def _apart(self, text: str, number: int) -> int:
        first, second = self._told.of(number), self.speech(text)
        differ = sum(one != other for one, other in zip(first, second, strict=False))
        return differ + abs(len(first) - len(second))
