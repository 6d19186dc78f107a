"""GLEU, the score of corrected sentences: n-grams shared with a reference, less those wrongly kept from the source.

Napoles et al. (2015), in the form of Napoles et al. (2016), "GLEU without tuning". With several references one is
drawn for each sentence, the corpus is scored, and the mean is taken over 500 such draws, as the scorer of JFLEG does
(Napoles et al., 2017). For n-grams of one length n, C a hypothesis, S its source, R its reference,

    p_n = sum over the corpus of max(0, |C & R| - |C & (S \\ R)|) / number of n-grams in C

where S \\ R holds the n-grams of the source that the reference has nowhere. GLEU is the geometric mean of p_1 .. p_4,
times exp(min(0, 1 - |R| / |C|)) for brevity.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

ORDER, DRAWS = 4, 500

Tokens = Sequence[str]
Counts = NDArray[np.int64]


def gleu(sources: Sequence[str], references: Sequence[Sequence[str]], hypotheses: Sequence[str]) -> float:
    """Of tokenised lines, in per cent; `references` holds one list of lines for each annotator.

    A source of nine words left as it is, of which the reference changes the second: 8, 6, 5 and 4 n-grams are shared,
    1, 2, 2 and 2 wrongly kept.

    >>> source, reference = "a b c d e f g h i", "a x c d e f g h i"
    >>> round(gleu([source], [[reference]], [source]), 4)
    48.5492
    >>> round(100 * (7 / 9 * 4 / 8 * 3 / 7 * 2 / 6) ** 0.25, 4)
    48.5492
    >>> gleu([source], [[reference]], [reference])
    100.0
    >>> round(gleu([source], [[source]], ["a b c d e f"]), 4)  # short texts pay: exp(1 - 9 / 6)
    60.6531
    """
    return Gleu.of(sources, references, hypotheses).score(np.arange(len(sources)))


@final
@dataclass(frozen=True, eq=False)
class Gleu:
    """What the score of any choice of the sentences is computed from.

    Attributes:
        statistics: (S, R, 2 + 2 * 4) of each sentence against each reference: the lengths of hypothesis and reference,
            then for each n the n-grams that count and those there are.
        draws: (500, S) the reference of each sentence in each draw.
    """

    statistics: Counts
    draws: Counts

    @staticmethod
    def of(sources: Sequence[str], references: Sequence[Sequence[str]], hypotheses: Sequence[str]) -> Gleu:
        """From lines of tokens apart by spaces."""
        for lines in (*references, hypotheses):
            if len(lines) != len(sources):
                raise ValueError(f"{len(lines)} lines for {len(sources)} sources: give one line for each")
        if not references:
            raise ValueError("no references: give the lines of one annotator at least")
        statistics = np.array(
            [
                [_statistics(source.split(), own.split(), hypothesis.split()) for own in refs]
                for source, hypothesis, *refs in zip(sources, hypotheses, *references, strict=True)
            ],
            dtype=np.int64,
        )
        draws = np.array([_draw(number, len(sources), len(references)) for number in range(DRAWS)], dtype=np.int64)
        return Gleu(statistics, draws)

    def score(self, chosen: Counts) -> float:
        """GLEU of the sentences in `chosen`, in per cent."""
        # (S, R, F) statistics and (D, S) draws: one sum a draw
        own = self.statistics[chosen]
        drawn = self.draws[:, chosen]
        sums = sum((drawn == number) @ own[:, number] for number in range(own.shape[1]))
        return float(np.mean([_of_corpus(row) for row in np.asarray(sums)]) * 100)


def _statistics(source: Tokens, reference: Tokens, hypothesis: Tokens) -> list[int]:
    row = [len(hypothesis), len(reference)]
    for n in range(1, ORDER + 1):
        kept, wanted, written = (_ngrams(tokens, n) for tokens in (source, reference, hypothesis))
        wrong = Counter({ngram: count for ngram, count in kept.items() if ngram not in wanted})
        right = (written & wanted).total() - (written & wrong).total()
        row += [max(right, 0), max(len(hypothesis) + 1 - n, 0)]
    return row


def _ngrams(tokens: Tokens, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) + 1 - n))


def _draw(number: int, sentences: int, references: int) -> list[int]:
    """The seeds of the official scorer."""
    rng = random.Random(number * 101)
    return [rng.randint(0, references - 1) for _ in range(sentences)]


def _of_corpus(sums: NDArray[np.int64]) -> float:
    if (sums == 0).any():
        return 0.0
    written, wanted, *pairs = sums.tolist()
    logs = [np.log(right / total) for right, total in zip(pairs[::2], pairs[1::2], strict=True)]
    return float(np.exp(min(0.0, 1 - wanted / written) + np.mean(logs)))
