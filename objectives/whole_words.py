"""Whole words, in scripts written without spaces: a keyword that is cut out of another word has not been used.

To `Keywords` each Chinese character is a word, so 河流 ("river") is found in 河流域 ("river basin"). Whether a reader
finds it there is a matter of segmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import function, keep, string
from textsearch.objective import Objective
from textsearch.per_input import PerInput, list_per_input

Segment = Callable[[str], Sequence[str]]
"""Cuts a text into words that joined are the text, as `textsearch.language.segmentation.chinese_words` does."""


@final
@dataclass(frozen=True)
class WholeWords(Objective):
    """How many keywords occur nowhere from the beginning of a word to the end of one.

    One that does not occur counts too. Case counts.

    Attributes:
        keywords: one list of keywords for all inputs, or one for each: row r is judged by `keywords[batch.inputs[r]]`.
        segment: finds the words of a text.

    Raises:
        TypeError: keywords that are a string, or not made of strings.

    >>> from textsearch.testing import letters
    >>> pairs = lambda text: [text[i : i + 2] for i in range(0, len(text), 2)]
    >>> WholeWords([["ab"], ["ab", "cd"], ["ab"]], pairs).energy(letters("abcd").encode(["cdab", "cabd", ""])).tolist()
    [0.0, 2.0, 1.0]
    """

    keywords: Sequence[str] | Sequence[Sequence[str]]
    segment: Segment
    _keywords: PerInput[tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = list_per_input("keywords", self.keywords, _keyword, "keywords", none=True)
        keep(self, keywords=given.values, _keywords=given)
        function(
            "segment",
            self.segment,
            "a function that cuts a text into words",
            "textsearch.language.segmentation.chinese_words",
        )

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "whole words"

    def energy(self, batch: Batch) -> Tensor:
        """(B,) float64, keywords that are part of other words only, or missing."""
        keys = list(zip(batch.texts(), batch.inputs.tolist(), strict=True))
        known = {key: self._missed(*key) for key in dict.fromkeys(keys)}
        return torch.tensor([known[key] for key in keys], dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its keywords."""
        self._keywords.check(batch)

    def _missed(self, text: str, number: int) -> int:
        edges = {0, *accumulate(map(len, self.segment(text)))}
        return sum(
            not any({place, place + len(keyword)} <= edges for place in _places(text, keyword))
            for keyword in self._keywords.of(number)
        )


def _keyword(name: str, value: str) -> str:
    if not string(name, value):
        raise ValueError(f"{name} is empty: leave it out")
    return value


def _places(text: str, part: str) -> Iterator[int]:
    """Where `part` begins in the text, overlaps included."""
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + 1)
