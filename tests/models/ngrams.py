"""Interpolated modified Kneser-Ney in plain Python, from the formulas and with nothing of the package; and toys."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.training import characters_of, train_ngrams
from textsearch.models.vocabulary import TokenizerVocabulary

TEXTS = [
    "the cat sat on the mat",
    "a cat ate",
    "the mat",
    "the hat sat",
    "a fat cat sat on a hat",
    "on the mat the cat sat",
    "cat",
    "a",
    "that hat",
    "no one ate the hat that the fat cat sat on",
]
BEGIN, END = -2, -1
"""What the reference writes for the two ends of a text."""

Ngram = tuple[int, ...]


class Reference:
    """p(w | h) by the recursion of Chen and Goodman (1999), over `size` tokens, `end` among them."""

    def __init__(self, rows: Sequence[Sequence[int]], order: int, size: int, cutoffs: Sequence[int]) -> None:
        self.order, self.size = order, size
        seen: list[Counter[Ngram]] = [Counter() for _ in range(order + 1)]
        for row in rows:
            whole = (BEGIN, *row, END)
            for length in range(1, order + 1):
                for start in range(len(whole) - length + 1):
                    seen[length][whole[start : start + length]] += 1
        before: list[dict[Ngram, set[int]]] = [defaultdict(set) for _ in range(order + 1)]
        for length in range(2, order + 1):
            for ngram in seen[length]:
                before[length - 1][ngram[1:]].add(ngram[0])
        self.kept = [
            {ngram for ngram, count in seen[n].items() if count > cutoffs[n - 1]} if n else set()
            for n in range(order + 1)
        ]
        self.counts: list[dict[Ngram, int]] = [{}]
        self.discounts: list[tuple[float, ...]] = [()]
        self.follows: list[dict[Ngram, list[int]]] = [{}]
        for length in range(1, order + 1):
            raw = length == order
            counts = {
                ngram: count if raw or ngram[0] == BEGIN else len(before[length][ngram])
                for ngram, count in seen[length].items()
                if ngram != (BEGIN,)
            }
            of = Counter(counts.values())
            self.counts.append(counts)
            found = (0.5, 1.0, 1.5)
            if of[1] and of[2] and of[3]:
                share = of[1] / (of[1] + 2 * of[2])
                estimated = tuple(i - (i + 1) * share * of[i + 1] / of[i] for i in (1, 2, 3))
                if all(0 < taken < i for i, taken in enumerate(estimated, 1)):
                    found = estimated  # type: ignore[assignment]
            self.discounts.append((0.0, *found))
            follows: dict[Ngram, list[int]] = defaultdict(list)
            for ngram in counts:
                follows[ngram[:-1]].append(ngram[-1])
            self.follows.append(follows)

    def probability(self, token: int, context: Ngram) -> float:
        """p(token | context), of any length."""
        context = context[len(context) - min(len(context), self.order - 1) :]
        if context and context not in self.kept[len(context)] | {(BEGIN,)}:
            return self.probability(token, context[1:])
        length = len(context) + 1
        counts, discounts = self.counts[length], self.discounts[length]
        total = handed = 0.0
        for follower in self.follows[length][context]:
            ngram = (*context, follower)
            total += counts[ngram]
            kept = length == 1 or ngram in self.kept[length]
            handed += discounts[min(counts[ngram], 3)] if kept else counts[ngram]
        lower = self.probability(token, context[1:]) if context else 1 / self.size
        if not total:
            return lower
        ngram = (*context, token)
        own = 0.0
        if ngram in counts and (length == 1 or ngram in self.kept[length]):
            own = counts[ngram] - discounts[min(counts[ngram], 3)]
        return own / total + handed / total * lower


@cache
def tokenizer() -> Any:
    """The letters of the texts and the space, each a token."""
    return characters_of(TEXTS, least=1)


def toy(order: int = 3, cutoffs: Sequence[int] = (), direction: str = "left_to_right", **settings: Any) -> NgramLM:
    """A model of the letters of `TEXTS`."""
    tables = train_ngrams(TEXTS, tokenizer(), order=order, cutoffs=cutoffs, direction=direction, **settings)
    return NgramLM(tables, TokenizerVocabulary(tokenizer(), 10_000))


def reference(order: int, cutoffs: Sequence[int], direction: str = "left_to_right") -> Reference:
    """The same by the reference."""
    rows = tokenizer()(TEXTS, add_special_tokens=False)["input_ids"]
    if direction == "right_to_left":
        rows = [row[::-1] for row in rows]
    return Reference(rows, order, len(tokenizer().get_vocab()), cutoffs)


def saved(folder: Path, lm: NgramLM) -> Path:
    """A folder with the model, as the command of `training/` writes it."""
    lm.model.save(folder)
    lm.vocabulary.tokenizer.save_pretrained(folder)
    return folder
