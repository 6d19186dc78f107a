"""Choices: the whole text is one of a list."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from objectives.language import LanguageObjective
from textsearch.batch import Batch, Vocabulary
from textsearch.beginnings import Beginnings, TokenBytes
from textsearch.checks import keep, string
from textsearch.kinds import shown
from textsearch.per_input import PerInput, list_per_input
from textsearch.spelling import spelt

Row = tuple[int, ...]


@final
@dataclass(frozen=True)
class Choices(LanguageObjective):
    """The whole text is one of a list, character by character: energy 0, or +inf where it is not.

    The truth is equality of strings. `allowed_next` is exact and needs no mask engine: it follows the canonical tokens
    of the choices. `impossible` proves a beginning dead that no choice begins with.

    Attributes:
        choices: a list of texts for all inputs, or one list for each.

    Raises:
        ValueError: an empty list, or, from `check`, a list of which the vocabulary can write nothing.

    >>> from textsearch.testing import letters
    >>> choices, vocabulary = Choices(["ab", "c"]), letters("abc")
    >>> choices.energy(vocabulary.encode(["ab", "a", "c"])).tolist()
    [0.0, inf, 0.0]
    >>> begun = Beginnings(vocabulary, end=0, rows=[[1], [1, 2], [2]], numbers=[0, 0, 0])
    >>> choices.allowed_next(begun)[:2].int().tolist(), choices.impossible(begun).tolist()
    ([[0, 0, 1, 0], [1, 0, 0, 0]], [False, False, True])
    """

    choices: Sequence[str] | Sequence[Sequence[str]]
    _languages: PerInput[OneOf] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = list_per_input("choices", self.choices, string, "texts")
        keep(self, choices=given.values, _languages=given.map(lambda own: OneOf(tuple(dict.fromkeys(own)))))

    @property
    def languages(self) -> PerInput[OneOf]:
        """Those of the lists."""
        return self._languages

    def check(self, batch: Batch) -> None:
        """Each input has its list, of which the vocabulary can write something."""
        self._languages.check(batch)
        if not isinstance(batch.vocabulary, TokenBytes):
            return
        for number in batch.inputs.unique().tolist():
            own = self._languages.of(number)
            if not own.rows(batch.vocabulary):
                raise ValueError(
                    f"choices={shown(list(own.choices))}: the vocabulary of the model can write none of them and read "
                    "it back; write them with other characters, or use another model"
                )

    def allowed_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool, the tokens with which a canonical row of a choice goes on; None without `token_bytes`."""
        vocabulary = beginnings.vocabulary
        if not isinstance(vocabulary, TokenBytes):
            return None
        found = torch.zeros(len(beginnings), vocabulary.size, dtype=torch.bool)
        for place, (row, number) in enumerate(zip(beginnings.rows, beginnings.numbers, strict=True)):
            following = self._languages.of(number).rows(vocabulary).get(tuple(row), ())
            found[place, [beginnings.end if token is None else token for token in following]] = True
        return found


@final
class OneOf:
    """A list of texts, none of them twice."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices
        self._texts = frozenset(choices)
        self._sorted = sorted(text.encode(errors="surrogatepass") for text in choices)
        self._rows: WeakKeyDictionary[Vocabulary, Mapping[Row, set[int | None]]] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return OneOf, (self.choices,)

    def accepts(self, text: str) -> bool:
        """Whether it is one of them."""
        return text in self._texts

    def is_dead(self, beginning: str, rest: bytes) -> bool:
        """Whether none begins so."""
        begun = beginning.encode() + rest
        place = bisect_left(self._sorted, begun)
        return place == len(self._sorted) or not self._sorted[place].startswith(begun)

    def rows(self, vocabulary: Vocabulary) -> Mapping[Row, set[int | None]]:
        """Each beginning of the canonical row of a text -> the tokens that may follow, None where the text may end."""
        found = self._rows.get(vocabulary)
        if found is None:
            found = self._rows[vocabulary] = self._following(vocabulary)
        return found

    def _following(self, vocabulary: Vocabulary) -> Mapping[Row, set[int | None]]:
        found: dict[Row, set[int | None]] = {}
        for text, row in zip(self.choices, spelt(vocabulary, self.choices), strict=True):
            if row is None or Batch.of([row], vocabulary).texts() != [text]:
                continue
            for size, token in enumerate([*row, None]):
                found.setdefault(tuple(row[:size]), set()).add(token)
        return found
