"""Whole words, in scripts written without spaces: a keyword that is cut out of another word has not been used.

To `Keywords` each Chinese character is a word, so 河流 ("river") is found in 河流域 ("river basin"). Whether a reader
finds it there is a matter of segmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import function, keep, string_lists
from textsearch.kinds import shown
from textsearch.objective import Objective

Segment = Callable[[str], Sequence[str]]
"""Cuts a text into words that joined are the text, as `textsearch.language.segmentation.chinese_words` does."""


@final
@dataclass(frozen=True)
class WholeWords(Objective):
    """How many keywords occur nowhere from the beginning of a word to the end of one.

    One that does not occur counts too. Case counts.

    Attributes:
        keywords: the keywords of each input; row r of a batch is judged by `keywords[batch.inputs[r]]`.
        segment: finds the words of a text.

    Raises:
        TypeError: keywords that are not one sequence of strings for each input.

    >>> from textsearch.testing import letters
    >>> pairs = lambda text: [text[i : i + 2] for i in range(0, len(text), 2)]
    >>> WholeWords([["ab"], ["ab", "cd"], ["ab"]], pairs).energy(letters("abcd").encode(["cdab", "cabd", ""])).tolist()
    [0.0, 2.0, 1.0]
    """

    keywords: Sequence[Sequence[str]]
    segment: Segment

    def __post_init__(self) -> None:
        keep(self, keywords=string_lists("keywords", self.keywords, "keywords", "input"))
        for number, one in enumerate(self.keywords):
            if not all(one):
                raise ValueError(f"keywords[{number}]={shown(one)} holds an empty keyword: leave it out")
        function(
            "segment",
            self.segment,
            "a function that cuts a text into words",
            "textsearch.language.segmentation.chinese_words",
        )

    @property
    def name(self) -> str:
        """Two words."""
        return "whole words"

    def energy(self, batch: Batch) -> Tensor:
        """(B,) float64, keywords that are part of other words only, or missing."""
        keys = list(zip(batch.texts(), batch.inputs.tolist(), strict=True))
        known = {key: self._missed(*key) for key in dict.fromkeys(keys)}
        return torch.tensor([known[key] for key in keys], dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its keywords."""
        inputs = int(batch.inputs.max()) + 1 if len(batch) else 0
        if inputs > len(self.keywords):
            raise ValueError(
                f"keywords has {len(self.keywords)} lists, but there are {inputs} inputs: pass one for each"
            )

    def _missed(self, text: str, number: int) -> int:
        edges = {0, *accumulate(map(len, self.segment(text)))}
        return sum(
            not any({place, place + len(keyword)} <= edges for place in _places(text, keyword))
            for keyword in self.keywords[number]
        )


def _places(text: str, part: str) -> Iterator[int]:
    """Where `part` begins in the text, overlaps included."""
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + 1)
