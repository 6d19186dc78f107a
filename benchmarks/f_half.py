"""F0.5 of corrected sentences by ERRANT (Bryant et al., 2017): edits found by alignment, counted by place and text.

A hypothesis and each reference are aligned with the source, and what differs is cut into edits. An edit of the
hypothesis that the reference has too is right; precision counts twice as much as recall. Of several references the one
that serves a sentence best counts, by its own F0.5, then by fewer edits that are not shared.

    pip install errant, and a spaCy pipeline for English such as en_core_web_sm

Both are optional: they are imported when asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Edit = tuple[int, int, str]
"""Where the words of the source begin and end that are replaced, and by what."""


def edits_by_errant(pipeline: str = "en_core_web_sm") -> Callable[[str, str], set[Edit]]:
    """What finds the edits between two tokenised sentences.

    Args:
        pipeline: of spaCy, installed by that name or in that folder.

    Raises:
        ImportError: errant is not installed.
        OSError: there is no such pipeline.
    """
    errant, spacy = (importlib.import_module(name) for name in ("errant", "spacy"))
    annotator = errant.load("en", spacy.load(pipeline, disable=["ner"]))
    parsed: dict[str, Any] = {}

    def edits(source: str, text: str) -> set[Edit]:
        for line in (source, text):
            if line not in parsed:
                parsed[line] = annotator.parse(line)
        found = annotator.annotate(parsed[source], parsed[text])
        # "noop" and "UNK" are marks of sentences and of edits that a person could not make
        return {(edit.o_start, edit.o_end, edit.c_str) for edit in found if edit.type not in {"noop", "UNK"}}

    return edits


@final
@dataclass(frozen=True, eq=False)
class FHalf:
    """What the score of any choice of the sentences is computed from.

    Attributes:
        counts: (S, 3) edits that are right, wrong and missed, against the best reference of each sentence.
    """

    counts: NDArray[np.int64]

    @staticmethod
    def of(
        edits: Callable[[str, str], set[Edit]],
        sources: Sequence[str],
        references: Sequence[Sequence[str]],
        hypotheses: Sequence[str],
    ) -> FHalf:
        """From lines of tokens apart by spaces."""
        rows = []
        for source, text, *refs in zip(sources, hypotheses, *references, strict=True):
            own = edits(source, text)
            each = [_counts(own, edits(source, ref)) for ref in refs]
            rows.append(max(each, key=lambda row: (f_half(*row), row[0], -row[1], -row[2])))
        return FHalf(np.array(rows, dtype=np.int64).reshape(-1, 3))

    def score(self, chosen: NDArray[np.int64]) -> float:
        """F0.5 of the sentences in `chosen`, in per cent."""
        return 100 * f_half(*self.counts[chosen].sum(0).tolist())


def _counts(own: set[Edit], wanted: set[Edit]) -> tuple[int, int, int]:
    return len(own & wanted), len(own - wanted), len(wanted - own)


def f_half(right: int, wrong: int, missed: int) -> float:
    """1.25 p r / (0.25 p + r); 1 where there is nothing to be done and nothing was.

    >>> f_half(0, 0, 0), f_half(0, 1, 0), f_half(1, 0, 0), round(f_half(1, 1, 3), 4)
    (1.0, 0.0, 1.0, 0.4167)
    """
    return 1.25 * right / (1.25 * right + wrong + 0.25 * missed) if right + wrong + missed else 1.0
