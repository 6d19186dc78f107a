"""What the tests of objectives share: a vocabulary of words and pieces, and texts in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import regex
import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.objective import Objective


@final
@dataclass(frozen=True, eq=False)
class PieceVocabulary:
    """Lower-case words and "##" pieces, split as WordPiece splits them: the longest piece first, else "[UNK]"."""

    pieces: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.pieces)

    @property
    def mask_id(self) -> int:
        return 0

    @property
    def allowed(self) -> Tensor:
        return torch.tensor([not piece.startswith("[") for piece in self.pieces])

    @property
    def continues(self) -> Tensor:
        return torch.tensor([piece.startswith("##") for piece in self.pieces])

    def encode(self, texts: Sequence[str]) -> Batch:
        return Batch.of([[token for word in self._split(text) for token in self._tokens(word)] for text in texts], self)

    def decode(self, batch: Batch) -> list[str]:
        texts = []
        for row in batch.token_lists():
            text = " ".join(self.pieces[token] for token in row).replace(" ##", "")
            texts.append(regex.sub(r" ([,.!])|(?<=\w) (['-]) (?=\w)", r"\1\2", text))
        return texts

    def _split(self, text: str) -> list[str]:
        return [str(word) for word in regex.findall(r"[\p{L}\p{N}]+|\S", text.lower())]

    def _tokens(self, word: str) -> list[int]:
        tokens = []
        rest = word
        while rest:
            sizes = [n for n in range(len(rest), 0, -1) if ("##" if rest != word else "") + rest[:n] in self.pieces]
            if not sizes:
                return [self.pieces.index("[UNK]")]
            tokens.append(self.pieces.index(("##" if rest != word else "") + rest[: sizes[0]]))
            rest = rest[sizes[0] :]
        return tokens


_WORDS = "[MASK] [UNK] a the dog cat hot bun run ran clap at on sat old well known don t s and ' - , . !"
_PIECES = "##s ##alog ##og ##ping ##ped ##ning ##ted"
ENGLISH = PieceVocabulary((*_WORDS.split(" "), *_PIECES.split(" ")))

TEXTS = [
    "the dog sat",
    "The cat ran, and the old dog sat on a hot dog.",
    "catalog",
    "",
    "hot dogs! hot dogs!",
    "don't clap",
    "the dog sat",
    "well-known hot dog bun",
]


def energies(objective: Objective, texts: Sequence[str] = TEXTS) -> list[float]:
    """The energies of English texts."""
    return energy_list(objective, ENGLISH.encode(texts))


def energy_list(objective: Objective, batch: Batch) -> list[float]:
    """The energies of a batch, checked for their shape and type."""
    energy = objective.energy(batch)
    assert energy.shape == (len(batch),)
    assert energy.dtype == torch.float64
    assert not energy.isnan().any()
    return [float(value) for value in energy]
