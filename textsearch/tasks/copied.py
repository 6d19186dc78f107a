"""How much of a text stands in others word for word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

from objectives.keywords import words
from textsearch import Generations
from textsearch.waiting import note


@final
class Copies:
    """Texts in which runs of words are looked for; a Chinese character is a word, marks are none.

    >>> told = Copies(["The old dog sleeps on the sofa.", "春天的公园里有很多孩子。"])
    >>> told.longest("An old dog sleeps here."), told.longest("春天的学校里有很多学生！"), told.longest("no")
    ((3, 5), (4, 11), (0, 1))
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = "\n".join(f" {' '.join(_words(text))} " for text in texts)

    def longest(self, text: str) -> tuple[int, int]:
        """Words of the longest run of a text that stands in one of the texts, and words that it has."""
        own = _words(text)
        longest = start = 0
        for stop in range(1, len(own) + 1):
            # a run that ends here and is longer than the longest so far, or none
            while stop - start > longest and f" {' '.join(own[start:stop])} " not in self._texts:
                start += 1
            longest = max(longest, stop - start)
        return longest, len(own)


def _words(text: str) -> list[str]:
    return [word for word in words(text) if any(letter.isalnum() for letter in word)]


def told_of_copies(result: Generations, sentences: Sequence[str], progress: bool) -> Generations:
    """The result as it is; a note says how much of its best texts stands in the sentences word for word."""
    if sentences and len(result):
        copies = Copies(sentences)
        runs = [(*copies.longest(text), text) for text in dict.fromkeys(result.best_texts)]
        run, size, text = max(runs, key=lambda one: one[0] / max(one[1], 1))
        share = sum(run / max(size, 1) for run, size, _ in runs) / len(runs)
        note(
            f"of a text {share:.0%} stands in one of {len(sentences):,} sentences word for word, in one run; most in "
            f"{text} ({run} of {size} words)",
            progress,
        )
    return result
