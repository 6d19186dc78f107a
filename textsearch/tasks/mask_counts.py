"""On how many texts the mask of a constraint and its parser disagree; the parser is right.

A mask only proposes, so where it is wrong a run takes longer and its law is the same. But how often it is wrong tells
why a run was slow, and what a program would miss that relies on the mask alone.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from objectives.language import Judged
from objectives.mask_engine import mask_writes
from textsearch.batch import Batch

JUDGED = "judged"
"""What is recorded of each chain: of how many texts for its input the parser has judged and a mask has an opinion."""

NARROW = "mask too narrow"
"""What is recorded of each chain: how many of them the parser accepts and the mask forbids."""

WIDE = "mask too wide"
"""What is recorded of each chain: how many of them the parser refuses and the mask allows."""

KINDS = (JUDGED, NARROW, WIDE)


@final
class MaskCounts:
    """Hears what parsers say of whole texts, and asks the masks; each text counts once.

    Args:
        end: the token that ends a text.
    """

    def __init__(self, end: int) -> None:
        self._end = end
        self._heard: list[Judged] = []

    def hear(self, thing: object) -> None:
        """What `textsearch.watching` tells."""
        if isinstance(thing, Judged):
            self._heard.append(thing)

    def counts(self, batch: Batch) -> Tensor:
        """(B, 3) int64, of the input of each row of a batch: how many texts were `KINDS`."""
        found: dict[int, list[int]] = {}
        seen: set[tuple[int, ...]] = set()
        for heard in self._heard:
            texts, fine = heard.batch, (heard.energy < torch.inf).tolist()
            for row, number, accepted in zip(texts.token_lists(), texts.inputs.tolist(), fine, strict=True):
                if (key := (id(heard.objective), number, *row)) in seen:
                    continue
                seen.add(key)
                written = mask_writes(heard.objective, texts.vocabulary, self._end, row, number)
                own = found.setdefault(number, [0, 0, 0])
                own[0] += written is not None
                own[1] += written is False and accepted
                own[2] += written is True and not accepted
        table = [found.get(number, [0, 0, 0]) for number in batch.inputs.tolist()]
        return torch.tensor(table, dtype=torch.int64, device=batch.device).view(-1, len(KINDS))
