"""Scores of sentences against references by their n-grams: BLEU, CIDEr-D, coverage of keywords.

BLEU (Papineni et al., 2002) is sacrebleu's corpus BLEU (Post, 2018), case folded, since half the references of
CommonGen have no capitals. CIDEr-D is that of Vedantam, Zitnick and Parikh, "CIDEr: consensus-based image description
evaluation", 2015, with words as they stand (no stems) and the document frequencies of the references given: scores of
two reports agree only where their references are the same. Words are those of `objectives.keywords.words`, marks of
punctuation left out, instead of the Penn Treebank tokenizer of the published figures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import sacrebleu
from numpy.typing import NDArray

from benchmarks.intervals import Figure
from objectives import Keywords
from objectives.keywords import words
from textsearch.batch import Vocabulary

Gram = tuple[str, ...]

_ORDERS = (1, 2, 3, 4)
_SIGMA = 6.0  # words, of CIDEr-D's penalty for another length


def corpus_bleu(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Figure:
    """BLEU of the chosen texts against all references of each, in per cent.

    >>> import numpy as np
    >>> round(corpus_bleu(["A dog runs in the park."], [["a dog runs in the park.", "Dogs run."]])(np.array([0])))
    100
    """
    most = max(map(len, references))
    # sacrebleu wants as many references of each text: the last is repeated, which changes no clipped count
    streams = [[own[min(number, len(own) - 1)] for own in references] for number in range(most)]

    def figure(chosen: NDArray[np.int64]) -> float:
        hypotheses = [texts[i] for i in chosen]
        return float(
            sacrebleu.corpus_bleu(hypotheses, [[own[i] for i in chosen] for own in streams], lowercase=True).score
        )

    return figure


def cider_d(texts: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """(I,) CIDEr-D of each text against its references, 0 to 10.

    With weights g(w) = count(w) log(I / df(w)), df(w) being the number of the I items whose references hold the n-gram
    w, and l the number of words,

        CIDEr-D_n(c, S) = 10 / |S| sum_(s in S) exp(-(l(c) - l(s))^2 / (2 sigma^2)) min(g_c, g_s) . g_s / (|g_c| |g_s|)

    and the score is the mean over n = 1, 2, 3, 4, with sigma = 6.

    >>> references = [["a dog runs in the park"], ["two men eat soup"]]
    >>> cider_d(["A dog runs in the park.", "A cat sleeps."], references).tolist()
    [10.0, 0.0]
    """
    counted = [[_counts(text) for text in own] for own in references]
    held = Counter(gram for own in counted for gram in set().union(*own))
    scores = np.zeros(len(texts))
    for item, (text, own) in enumerate(zip(texts, counted, strict=True)):
        mine = _counts(text)
        scores[item] = np.mean([_likeness(mine, other, held, len(references)) for other in own])
    return 10.0 * scores


def _counts(text: str) -> Counter[Gram]:
    """How often each n-gram of 1 to 4 words occurs."""
    row = [word for word in words(text) if any(map(str.isalnum, word))]
    return Counter(tuple(row[i : i + n]) for n in _ORDERS for i in range(len(row) - n + 1))


def _likeness(one: Counter[Gram], other: Counter[Gram], held: Counter[Gram], items: int) -> float:
    """The mean over n of the clipped cosines, with the penalty for another length."""
    cosines = []
    for n in _ORDERS:
        a, b = (
            {gram: count * math.log(items / max(held[gram], 1)) for gram, count in counts.items() if len(gram) == n}
            for counts in (one, other)
        )
        norm = math.hypot(*a.values()) * math.hypot(*b.values())
        dot = sum(min(a[gram], b[gram]) * b[gram] for gram in a.keys() & b.keys())
        cosines.append(dot / norm if norm else 0.0)
    sizes = [sum(count for gram, count in counts.items() if len(gram) == 1) for counts in (one, other)]
    return float(np.mean(cosines)) * math.exp(-((sizes[0] - sizes[1]) ** 2) / (2 * _SIGMA**2))


def held_keywords(
    text: str, keywords: Sequence[str], vocabulary: Vocabulary, *, inflections: bool = True
) -> tuple[int, int]:
    """How many of the keywords the text holds, in any order and each at a place of its own, of how many.

    >>> from textsearch.testing import letters
    >>> held_keywords("a cat, a dog", ["dogs", "cat", "cats"], letters("acdgostn, "))
    (2, 3)
    """
    batch = vocabulary.encode([text])
    held: list[str] = []
    # sets of words that find places of their own form a matroid: taking each that still fits finds the most
    for word in keywords:
        if bool(Keywords([*held, word], inflections=inflections).energy(batch) == 0):
            held.append(word)
    return len(held), len(keywords)
