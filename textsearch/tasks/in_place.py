"""What a masked model finds in the places of a text, each read with all the others as they were written.

One reading of the written text, a row for each place: a term of an energy that costs no pass while chains run. Where
several characters in a row are wrong, each is judged beside the other wrong ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.character_channel import Meant
from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.language.characters import CharacterVocabulary
from textsearch.models.protocols import MaskedLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.objective import Objective
from textsearch.per_input import PerInput

WINDOW = 32
"""Characters of a text that are read around a place."""

_ROWS = 256  # in one call


@final
@dataclass(frozen=True, eq=False)
class InPlace(Objective):
    """The sum over the tokens that differ from the written ones of log m(written) - log m(token), in nats.

    Attributes:
        written: the texts as they were written, row i for input i.
        nats: of each of them and each place, token -> log m(written) - log m(token); what is not there adds nothing.

    >>> from textsearch.testing import letters
    >>> written = letters("abc").encode(["ab"])
    >>> InPlace(written, [[{3: -2.0}, {1: 5.0}]]).energy(letters("abc").encode(["ab", "cb", "ca"])).tolist()
    [0.0, -2.0, 3.0]
    """

    written: Batch
    nats: Sequence[Sequence[Meant]]
    _inputs: PerInput[tuple[Meant, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        nats = tuple(tuple(row) for row in self.nats)
        keep(self, nats=nats, _inputs=PerInput("written", nats))

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "in place"

    def check(self, batch: Batch) -> None:
        """Each input has its text."""
        self._inputs.check(batch)

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a text, of texts as long as what was written."""
        width = max(batch.width, self.written.width)
        texts, own = self._inputs.index(batch), batch.widen(width)
        written = self.written.to(batch.device).widen(width).rows(texts)
        rows, places = ((own.tokens != written.tokens) & own.present & written.present).nonzero(as_tuple=True)
        out = torch.zeros(len(batch), dtype=torch.float64)
        edits = zip(
            rows.tolist(), texts[rows].tolist(), places.tolist(), own.tokens[rows, places].tolist(), strict=True
        )
        for row, text, place, token in edits:
            out[row] += self.nats[text][place].get(token, 0.0)
        return out.to(batch.device)


def in_place(mlm: MaskedLM, written: Batch, meant: Sequence[Sequence[Meant]]) -> InPlace:
    """What a masked model of characters finds where something else may have been meant.

    A written character that the model does not know is not judged; another one that it does not know counts as the
    least likely of its place.

    Raises:
        ValueError: the masked model does not read single characters.
    """
    vocabulary = mlm.vocabulary
    if not isinstance(vocabulary, TokenizerVocabulary):
        raise ValueError(
            "masked= has no tokenizer of single characters: take one such as bert-base-chinese, or leave it out"
        )
    own = written.vocabulary
    assert isinstance(own, CharacterVocabulary)
    number = {piece: token for token, piece in enumerate(vocabulary.pieces) if len(piece) == 1}
    theirs = [number.get(one, -1) for one in own.characters]
    unknown = vocabulary.tokenizer.unk_token_id
    sought = [
        (row, place)
        for row, (tokens, places) in enumerate(zip(written.token_lists(), meant, strict=True))
        for place, others in enumerate(places)
        if others and theirs[tokens[place]] >= 0
    ]
    if not sought and any(map(any, meant)):
        raise ValueError(
            "the masked model knows none of the characters as a token: take one with one character a token, such as "
            "bert-base-chinese, or leave it out"
        )
    size = min(WINDOW, vocabulary.longest)
    found: list[list[dict[int, float]]] = [[{} for _ in places] for places in meant]
    texts = written.token_lists()
    for first in range(0, len(sought), _ROWS):
        part, rows, at = sought[first : first + _ROWS], list[list[int]](), list[int]()
        for row, place in part:
            begin = max(0, min(place - size // 2, len(texts[row]) - size))
            read = [theirs[token] for token in texts[row][begin : begin + size]]
            read = [unknown if token < 0 else token for token in read]
            read[place - begin] = vocabulary.mask_id
            rows.append(read)
            at.append(place - begin)
        log_probs = mlm.log_probs(Batch.of(rows, vocabulary), torch.arange(len(part)), torch.tensor(at))
        for (row, place), law in zip(part, log_probs, strict=True):
            others = list(meant[row][place])
            told = [float(law[theirs[token]]) if theirs[token] >= 0 else math.inf for token in others]
            least = min((nats for nats in told if nats < math.inf), default=-math.inf)
            here = float(law[theirs[texts[row][place]]])
            least = min(least, here)
            found[row][place] = {
                token: here - (nats if nats < math.inf else least) for token, nats in zip(others, told, strict=True)
            }
    return InPlace(written, found)
