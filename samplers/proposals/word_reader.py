"""A masked model of pieces that reads texts of whole words."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep, whole
from textsearch.kinds import MASKED, instance
from textsearch.language.words import WordVocabulary, join
from textsearch.models.protocols import MaskedLM

_REMEMBERED = 50_000  # answers
_ROWS = 256  # read at a time
_LEAST = -1e3
"""Nats, the least log-probability that a model can give a piece here."""

Pieces = tuple[int, ...]
Key = tuple[int, Pieces, Pieces, Pieces]
"""What is asked: the input, the words before and after the place, and the candidates."""


@final
@dataclass(frozen=True, eq=False)
class WordReader:
    """What a masked model says of words in a place; a question asked before is not asked again.

    A word that the model has no pieces for is read as a mask. A model may answer by the input that a text belongs to,
    as one does that reads a prompt for each: what it is asked about keeps the input that it was of.

    Attributes:
        mlm: of pieces.
        vocabulary: of words.
        window: words that are read on either side of a place.

    >>> from textsearch.testing import TableMaskedLM, letters
    >>> words = WordVocabulary.of(["a", "b", "ab"])
    >>> reader = WordReader(TableMaskedLM.random(letters("ab"), seed=0), words, window=3)
    >>> batch, one = words.batch([["ab", "a"], ["b"]]), torch.tensor([0, 1])
    >>> reader.suits(batch, one, one, torch.tensor([[1, 2], [3, -1]])).isfinite().tolist()
    [[True, True], [True, False]]
    """

    mlm: MaskedLM
    vocabulary: WordVocabulary
    window: int
    _suits: OrderedDict[Key, Tensor] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        instance("mlm", self.mlm, MASKED)
        keep(self, window=whole("window", self.window, unit="words"))

    @cached_property
    def pieces(self) -> list[Pieces]:
        """The model's tokens for each word."""
        found: list[Pieces] = []
        for token in self.vocabulary.tokens:
            try:
                found.append(tuple(self.mlm.vocabulary.encode([join([token]).strip()]).token_lists()[0]))
            except ValueError:
                found.append(())
        return [pieces or (self.mlm.vocabulary.mask_id,) for pieces in found]

    def suits(self, batch: Batch, start: Tensor, stop: Tensor, candidates: Tensor) -> Tensor:
        """(B, K) float64, log-probability in nats of each word of `candidates` (B, K) between `start` and `stop` (B,).

        What stands between is not looked at: as many masks are read as the candidate has pieces. -inf for a candidate
        of -1.
        """
        keys: list[Key] = []
        places = zip(
            batch.inputs.tolist(), batch.token_lists(), start.tolist(), stop.tolist(), candidates.tolist(), strict=True
        )
        for number, row, first, last, words in places:
            left, right = tuple(row[max(first - self.window, 0) : first]), tuple(row[last : last + self.window])
            keys.append((number, left, right, tuple(word for word in words if word >= 0)))
        fresh = [key for key in dict.fromkeys(keys) if key[3] and key not in self._suits]
        for at in range(0, len(fresh), _ROWS // 2):
            self._ask(fresh[at : at + _ROWS // 2])
        out = torch.full(candidates.shape, -torch.inf, dtype=torch.float64)
        for number, key in enumerate(keys):
            if key[3]:
                out[number, : len(key[3])] = self._suits[key]
        while len(self._suits) > _REMEMBERED:
            self._suits.popitem(last=False)
        return out.to(batch.device)

    def _ask(self, keys: Sequence[Key]) -> None:
        texts: list[list[int]] = []
        inputs: list[int] = []
        asked: list[tuple[int, int, int]] = []
        sizes: list[int] = []
        for number, before, after, words in keys:
            left = [piece for word in before for piece in self.pieces[word]]
            right = [piece for word in after for piece in self.pieces[word]]
            numbers: dict[int, int] = {}
            for count in dict.fromkeys(len(self.pieces[word]) for word in words):
                numbers[count] = len(texts)
                inputs.append(number)
                texts.append([*left, *[self.mlm.vocabulary.mask_id] * count, *right])
            for word in words:
                own = self.pieces[word]
                asked += [(numbers[len(own)], len(left) + place, piece) for place, piece in enumerate(own)]
                sizes.append(len(own))
        sums = torch.stack([part.sum() for part in torch.split(self._log_probs(texts, inputs, asked), sizes)])
        for key, values in zip(keys, torch.split(sums, [len(key[3]) for key in keys]), strict=True):
            self._suits[key] = values

    def _log_probs(
        self, texts: Sequence[Sequence[int]], inputs: Sequence[int], asked: Sequence[tuple[int, int, int]]
    ) -> Tensor:
        """(K,) float64 log-probability of each (text, place, piece); each place is asked of the model once."""
        places = {place: number for number, place in enumerate(dict.fromkeys((text, at) for text, at, _ in asked))}
        rows, columns = torch.tensor(list(places)).unbind(1)
        # rows of a new batch would be numbered as inputs of their own
        batch = replace(Batch.of(texts, self.mlm.vocabulary), inputs=torch.tensor(inputs))
        log_probs = self.mlm.log_probs(batch, rows, columns)
        where = torch.tensor([places[text, at] for text, at, _ in asked])
        pieces = torch.tensor([piece for _, _, piece in asked])
        return log_probs[where, pieces].to(torch.float64).clamp(min=_LEAST).cpu()
