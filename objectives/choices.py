"""Choices: the whole text is one of a list."""

from __future__ import annotations

import math
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
    of the choices, and so does `allowed`, for edits of a masked model. `impossible` proves a beginning dead that no
    choice begins with, or in other tokens than the canonical ones, which count for no text.

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
        """Each input has its list, of which the vocabulary can write something.

        Raises:
            ValueError: the vocabulary can write none of the texts of an input.
        """
        self._languages.check(batch)
        if not isinstance(batch.vocabulary, TokenBytes):
            return
        for number in sorted(set(batch.inputs.tolist())):
            own = self._languages.of(number)
            if not own.rows(batch.vocabulary):
                raise ValueError(
                    f"choices={shown(list(own.choices))}: the vocabulary of the model can write none of them and read "
                    "it back; write them with other characters, or use another model"
                )

    def fewest_tokens(self, vocabulary: Vocabulary) -> int:
        """Of the shortest text that may be written; 0 where that is not known."""
        if not isinstance(vocabulary, TokenBytes):
            return 0
        return min(own.fewest_tokens(vocabulary) for own in self._languages.values)

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

    def living_next(self, beginnings: Beginnings) -> Tensor | None:
        """As `allowed_next`, which leaves out nothing that counts: see `textsearch.living`."""
        return self.allowed_next(beginnings)

    def within(self, beginnings: Beginnings, room: Sequence[int], *, proven: bool) -> Tensor | None:
        """(K, V) bool, as `allowed_next`, of choices that are not too long; a proof: see `textsearch.in_time`."""
        vocabulary = beginnings.vocabulary
        if not isinstance(vocabulary, TokenBytes):
            return None
        found = torch.zeros(len(beginnings), vocabulary.size, dtype=torch.bool)
        for place, (row, number) in enumerate(zip(beginnings.rows, beginnings.numbers, strict=True)):
            own, begun = self._languages.of(number), tuple(row)
            for token in own.rows(vocabulary).get(begun, ()):
                if token is None:
                    found[place, beginnings.end] = True
                else:
                    found[place, token] = own.lacking(vocabulary, (*begun, token)) < room[place]
        return found

    def too_long(self, beginnings: Beginnings, room: Sequence[int]) -> Tensor | None:
        """(K,) bool, the beginnings of no choice that is short enough."""
        vocabulary = beginnings.vocabulary
        if not isinstance(vocabulary, TokenBytes):
            return None
        each = zip(beginnings.rows, beginnings.numbers, room, strict=True)
        found = [self._languages.of(number).lacking(vocabulary, tuple(row)) > left for row, number, left in each]
        return torch.tensor(found, dtype=torch.bool)

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        """(K,) bool, the beginnings of no choice's canonical row; None without `token_bytes`."""
        found = super().impossible(beginnings)
        if found is None:
            return None
        each = zip(beginnings.rows, beginnings.numbers, strict=True)
        rows = [tuple(row) in self._languages.of(number).rows(beginnings.vocabulary) for row, number in each]
        return found | ~torch.tensor(rows, dtype=torch.bool)

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) bool, the tokens that make a row one of a choice, whatever other masks stand for; exact."""
        vocabulary = batch.vocabulary
        found = torch.zeros(len(rows), vocabulary.size, dtype=torch.bool, device=batch.device)
        numbers, lengths = batch.inputs[rows], batch.lengths[rows]
        for number, length in {*zip(numbers.tolist(), lengths.tolist(), strict=True)}:
            own = self._languages.of(number).of_length(vocabulary, length).to(batch.device)
            asked = ((numbers == number) & (lengths == length)).nonzero().squeeze(-1)
            tokens, here = batch.tokens[rows[asked], :length], positions[asked]
            column = torch.arange(length, device=batch.device)
            open_ = (column == here[:, None]) | (tokens == vocabulary.mask_id)
            place, choice = ((tokens[:, None] == own) | open_[:, None]).all(2).nonzero(as_tuple=True)
            found[asked[place], own[choice, here[place]]] = True
        return found


@final
class OneOf:
    """A list of texts, none of them twice."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices
        self._texts = frozenset(choices)
        self._sorted = sorted(text.encode(errors="surrogatepass") for text in choices)
        self._rows: WeakKeyDictionary[Vocabulary, Mapping[Row, set[int | None]]] = WeakKeyDictionary()
        self._lacking: WeakKeyDictionary[Vocabulary, Mapping[Row, int]] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return OneOf, (self.choices,)

    @property
    def masks(self) -> None:
        """None: the canonical rows are known."""

    @property
    def reading(self) -> None:
        """None, for the same reason."""

    @property
    def near(self) -> None:
        """None, since rows of tokens tell all."""

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

    def fewest_tokens(self, vocabulary: Vocabulary) -> int:
        """Of the shortest text."""
        return min((len(row) for row, following in self.rows(vocabulary).items() if None in following), default=0)

    def lacking(self, vocabulary: Vocabulary, begun: Row) -> float:
        """Tokens that the shortest choice which begins so has more; inf where none does."""
        found = self._lacking.get(vocabulary)
        if found is None:
            rows = self.rows(vocabulary)
            lacking: dict[Row, int] = {}
            for row in (row for row, following in rows.items() if None in following):
                for size in range(len(row) + 1):
                    lacking[row[:size]] = min(lacking.get(row[:size], len(row)), len(row) - size)
            found = self._lacking[vocabulary] = lacking
        return found.get(begun, math.inf)

    def of_length(self, vocabulary: Vocabulary, length: int) -> Tensor:
        """(R, length) int64, the canonical rows of so many tokens."""
        rows = [row for row, following in self.rows(vocabulary).items() if None in following and len(row) == length]
        return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), length)

    def _following(self, vocabulary: Vocabulary) -> Mapping[Row, set[int | None]]:
        found: dict[Row, set[int | None]] = {}
        for text, row in zip(self.choices, spelt(vocabulary, self.choices), strict=True):
            if row is None or Batch.of([row], vocabulary).texts() != [text]:
                continue
            for size, token in enumerate([*row, None]):
                found.setdefault(tuple(row[:size]), set()).add(token)
        return found
