"""Clusters: which words may stand for which: those that may have been meant by one and the same word of the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from textsearch.language.confusions import Confusions
from textsearch.language.words import TIGHT, WordVocabulary, bare, ends_a_word, gap, glued

_ENDS = frozenset({".", "!", "?", "..."})
PUNCTUATION = frozenset({",", ".", ";", ":", "!", "?"})
"""Marks that stand without a space behind a word, where they are put in."""

LIKELY: Mapping[str, float] = {
    "name": 0.0,
    "apostrophe": 0.0,
    "spelling": 0.0,
    "suggestion": 0.0,
    "splitting": -1.0,
    "confusion": -1.0,
    "inflection": -2.0,
    "case": -2.0,
    "family": -2.5,
    "small word": -4.0,
    "look-alike": -5.0,
}
"""Nats by which a kind of mistake is likelier than another before any model has read the text."""

_RANK = 0.2
"""Nats, the second candidate of a list below the first, the third below the second."""
_CAPITAL = 5.0
"""Nats for a capital at the beginning of a sentence, against one elsewhere."""
_COMMA, _ARTICLE, _OTHER = 0.0, -1.5, -3.5
"""Nats for a comma, an article or another word that is missing."""

Weighed = dict[str, tuple[float, float]]
"""Token -> log-weight inside a sentence and at its beginning."""

_Centre = tuple[str, tuple[str, ...]]
"""A token of a source, and what is suggested for it besides what it may be mistaken for."""


@final
@dataclass(frozen=True, eq=False)
class Clusters:
    """Which words may stand for which, input by input: where v may replace w, w may replace v.

    Attributes:
        vocabulary: all words.
        members: (C, K) int64, the words that may stand for one word; -1 beyond the end.
        log_weights: (2, C, K) float64, nats, inside a sentence and at its beginning; -inf beyond the end.
        pairs: (P,) int64 sorted, input * V + word for each word of each input that others may stand for.
        homes: (P,) int64, which of the C.
        inserted: (I,) int64, the words that may be inserted and deleted.
        missing: (I,) float64 log-weights, nats.
        alike: whether all inputs share the clusters of input 0.
        sealed: (S,) int64 sorted, input * V + word for each word of each input that nothing may be put in
            front of, or glued to.

    >>> from textsearch.language.confusions import ListedConfusions
    >>> listed = ListedConfusions({"then": {"than": "confusion"}}, inserted=("a",))
    >>> clusters = Clusters.of([["more", "then"], ["then"]], listed)
    >>> clusters.vocabulary.tokens
    ('[MASK]', 'more', 'then', 'a', 'than', 'Than')
    """

    vocabulary: WordVocabulary
    members: Tensor
    log_weights: Tensor
    pairs: Tensor
    homes: Tensor
    inserted: Tensor
    missing: Tensor
    alike: bool = False
    sealed: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        # an edit that is listed twice is drawn twice as often as the way back is told to be
        rows = [("inserted", self.inserted.tolist()), *(("members", row) for row in self.members.tolist())]
        for name, numbers in rows:
            words = [number for number in numbers if number >= 0]
            if len(set(words)) < len(words):
                word = next(number for number in words if words.count(number) > 1)
                raise ValueError(
                    f"{name} has {self.vocabulary.tokens[word]!r} {words.count(word)} times; list each word once"
                )

    @staticmethod
    def of(
        rows: Sequence[Sequence[str]],
        confusions: Confusions,
        *,
        alike: bool = False,
        sealed: Sequence[Iterable[str]] = (),
        suggested: Sequence[Mapping[str, Iterable[str]]] = (),
    ) -> Clusters:
        """From the tokens of the source of each input.

        Args:
            rows: one for each input.
            confusions: what a word may have been meant to be.
            alike: whether every input gets the clusters of all.
            sealed: the tokens of each input that nothing may be put in front of, or glued to.
            suggested: for each input words, and what else each of them may have been meant to be there.
        """
        # each once, however often they are given: an insertion must have one way back
        small = list(dict.fromkeys(TIGHT + word if word in PUNCTUATION else word for word in confusions.inserted))
        centres = list(dict.fromkeys(token for row in rows for token in row))
        around: dict[_Centre, Weighed] = {(centre, ()): _around(centre, confusions) for centre in centres}
        own_rows = [[token for row in rows for token in row]] if alike else rows
        own_centres: list[list[_Centre]] = []
        for number, row in enumerate(own_rows):
            more = suggested[number] if number < len(suggested) else {}
            own_centres.append([(token, tuple(sorted({*more.get(bare(token), ())}))) for token in dict.fromkeys(row)])
            for key in own_centres[-1]:
                if key not in around:
                    around[key] = _around(key[0], confusions, key[1])
        vocabulary = WordVocabulary.of([*centres, *small, *(word for cluster in around.values() for word in cluster)])
        tables: dict[tuple[str, tuple[_Centre, ...]], int] = {}
        homes: dict[int, int] = {}
        for number, keys in enumerate(own_centres):
            # around which words of the source each word lies
            sources: dict[str, list[_Centre]] = {}
            for centre in keys:
                for word in around[centre]:
                    sources.setdefault(word, []).append(centre)
            for word, own in sources.items():
                if len(own) > 1 or len(around[own[0]]) > 1:
                    home = tables.setdefault((word, tuple(own)), len(tables))
                    homes[number * vocabulary.size + vocabulary.number[word]] = home
        others = [_others(word, [around[centre] for centre in own]) for word, own in tables]
        size = max((len(cluster) for cluster in others), default=1)
        members = torch.full((max(len(others), 1), size), -1)
        log_weights = torch.full((2, *members.shape), -torch.inf, dtype=torch.float64)
        for place, cluster in enumerate(others):
            members[place, : len(cluster)] = torch.tensor([vocabulary.number[word] for word in cluster])
            weights = torch.tensor(list(cluster.values()), dtype=torch.float64).reshape(-1, 2)
            log_weights[:, place, : len(cluster)] = weights.T
        pairs = sorted(homes)
        return Clusters(
            vocabulary,
            members,
            log_weights,
            torch.tensor(pairs, dtype=torch.int64),
            torch.tensor([homes[pair] for pair in pairs], dtype=torch.int64),
            torch.tensor([vocabulary.number[word] for word in small], dtype=torch.int64),
            torch.tensor([_missing(word) for word in small], dtype=torch.float64),
            alike,
            torch.tensor(
                sorted(
                    {
                        (0 if alike else number) * vocabulary.size + vocabulary.number[token]
                        for number, own in enumerate(sealed)
                        for token in own
                    }
                ),
                dtype=torch.int64,
            ),
        )

    def homes_of(self, inputs: Tensor, words: Tensor) -> Tensor:
        """(...) int64, which of the C belongs to `words` of `inputs` (...); -1 where nothing may stand for a word."""
        if not len(self.pairs):
            return torch.full_like(words, -1)
        wanted = (torch.zeros_like(inputs) if self.alike else inputs) * self.vocabulary.size + words
        pairs = self.pairs.to(words.device)
        at = torch.searchsorted(pairs, wanted.contiguous()).clamp(max=len(pairs) - 1)
        return torch.where(pairs[at] == wanted, self.homes.to(words.device)[at], -1)

    def open(self, before: Tensor, after: Tensor, inputs: Tensor) -> Tensor:
        """(R, I) bool, which of the inserted words may stand between the words `before` and `after` (R,), -1 for none.

        No word stands before what goes on the word before it, as in "(b", and no comma where nothing ends that it
        could follow. Before what is sealed nothing is put in, and no comma behind it: models know nothing of it. This
        looks at the neighbours alone: what may be put in may be taken out again.
        """
        tokens, device = self.vocabulary.tokens, before.device
        joined = torch.tensor([*(glued(token) for token in tokens), False], device=device)
        ends = torch.tensor([*(ends_a_word(token) for token in tokens), False], device=device)
        tight = [tokens[word].startswith(TIGHT) for word in self.inserted.tolist()]
        marks = torch.tensor(tight, dtype=torch.bool, device=device)
        shut = joined[after] | self._sealed(after, inputs)
        return ~shut[:, None] & (~marks | (ends[before] & ~self._sealed(before, inputs))[:, None])

    def _sealed(self, words: Tensor, inputs: Tensor) -> Tensor:
        """(R,) bool."""
        own = (torch.zeros_like(inputs) if self.alike else inputs) * self.vocabulary.size + words
        return torch.isin(own, self.sealed.to(words.device)) & (words >= 0)

    def ends_sentence(self, device: torch.device) -> Tensor:
        """(V,) bool, the words after which a sentence begins."""
        return torch.tensor([bare(token) in _ENDS for token in self.vocabulary.tokens], device=device)


def _around(centre: str, confusions: Confusions, suggested: Iterable[str] = ()) -> Weighed:
    """The words that `centre` may have been meant to be, itself the first, and those that are suggested besides."""
    word, before = bare(centre), gap(centre)
    found: Weighed = {centre: (0.0, 0.0)}
    meant = {other: "suggestion" for other in suggested if other != word} | dict(confusions.of(word))
    for rank, (other, kind) in enumerate(meant.items()):
        weight = LIKELY.get(kind, 0.0) - _RANK * rank
        turned = other[:1].swapcase() + other[1:]
        # a candidate may begin a sentence though the word did not, and the other way about
        both = (
            (other,)
            if kind in {"case", "name", "suggestion"}
            or (len(other) > 1 and other.isupper())
            or not (word[:1].isalpha() and other[:1].isalpha())
            else (other, turned)
        )
        for written in both:
            unlike = written[:1].isupper() != word[:1].isupper() and kind != "name" and written[:1].isalpha()
            upwards = written[:1].isupper()
            inside = weight - (_CAPITAL if unlike and upwards else 0.0)
            begins = weight - (_CAPITAL if unlike and not upwards else 0.0)
            if kind != "case" and unlike:
                inside, begins = inside - 1.0, begins - 1.0
            found.setdefault(before + written, (inside, begins))
    return found


def _others(word: str, clusters: Iterable[Weighed]) -> Weighed:
    """What may stand for the word, by the cluster that says the most for both: as likely the other way about."""
    found: Weighed = {}
    for cluster in clusters:
        inside, begins = cluster[word]
        for other, (one, two) in cluster.items():
            if other != word:
                old = found.get(other, (-torch.inf, -torch.inf))
                found[other] = max(old[0], one + inside), max(old[1], two + begins)
    return found


def _missing(token: str) -> float:
    word = bare(token)
    return _ARTICLE if word in {"a", "an", "the"} else _COMMA if word == "," else _OTHER
