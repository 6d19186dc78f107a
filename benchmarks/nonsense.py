"""Does an n-gram model tell nonsense from text? And what does a lookup cost?

    python -m benchmarks.nonsense folder heldout.txt

`folder` is one that `training/ngram.py` wrote. Of each held-out text, nats a character as it stands, and of what
is made of it: its characters in another order, its words (of a text without spaces: pairs of characters), one
word in four replaced by one of another text, and characters at random. Told is the area under the ROC curve, how often
a text costs less than a piece of nonsense does (Hanley and McNeil, 1982), with 95 % intervals by the bootstrap over
texts; and the seconds of a thousand texts, and of a thousand laws of the next token.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata

from benchmarks.intervals import interval, shown
from textsearch.batch import Batch
from textsearch.models import ngram_lm
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.training import lines_of

MOST = 1000  # texts


def pieces(text: str) -> list[str]:
    """The words of a text, or pairs of characters where it has no spaces."""
    return text.split(" ") if " " in text else [text[i : i + 2] for i in range(0, len(text), 2)]


def joined(parts: Sequence[str], like: str) -> str:
    """As `like` was cut."""
    return (" " if " " in like else "").join(parts)


def nonsense(texts: Sequence[str], seed: int) -> dict[str, list[str]]:
    """What is made of the texts, by its name."""
    rng = np.random.default_rng(seed)
    keys = sorted(set("".join(texts)))
    words = [word for text in texts for word in pieces(text)]

    def each(make: Callable[[str], str]) -> list[str]:
        return [make(text) for text in texts]

    def replaced(text: str) -> str:
        own = pieces(text)
        for place in rng.choice(len(own), max(1, len(own) // 4), replace=False):
            own[place] = words[rng.integers(len(words))]
        return joined(own, text)

    return {
        "characters in another order": each(lambda text: "".join(rng.permutation(list(text)))),
        "words in another order": each(lambda text: joined(list(rng.permutation(pieces(text))), text)),
        "one word in four of another text": each(replaced),
        "characters at random": each(lambda text: "".join(rng.choice(keys, len(text)))),
    }


def costs(lm: NgramLM, texts: Sequence[str]) -> NDArray[np.float64]:
    """(B,) nats a character."""
    batch = Batch.of(lm.vocabulary.read(texts), lm.vocabulary)
    sums: NDArray[np.float64] = lm.score(batch).log_prob.numpy()
    each: NDArray[np.float64] = -sums / np.array([len(text) + 1 for text in texts])
    return each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    lm = ngram_lm(given.folder)
    if not isinstance(lm, NgramLM):
        raise SystemExit("name a model that was trained left_to_right")
    texts = [text for text in lines_of(given.heldout) if len(text) >= 10][:MOST]
    begun = time.perf_counter()
    sound = costs(lm, texts)
    seconds = (time.perf_counter() - begun) * 1000 / len(texts)
    some = [text[: len(text) // 2] for text in texts[:200]]
    begun = time.perf_counter()
    lm.next_log_probs(some)
    laws = (time.perf_counter() - begun) * 1000 / len(some)
    table = Table("what is told from text", "area under the ROC curve", "nats a character", "of text")
    for name, made in nonsense(texts, given.seed).items():
        wrong = costs(lm, made)

        def area(chosen: NDArray[np.int64], wrong: NDArray[np.float64] = wrong) -> float:
            ranks = rankdata(np.concatenate([sound[chosen], wrong[chosen]]))[len(chosen) :]
            return float((ranks.mean() - (len(chosen) + 1) / 2) / len(chosen))

        table.add_row(name, shown(interval(len(texts), area, seed=0), 3), f"{wrong.mean():.2f}", f"{sound.mean():.2f}")
    console = Console()
    console.print(table)
    console.print(f"{seconds:.2f} s a thousand texts, {laws:.2f} s a thousand laws of {lm.vocabulary.size} tokens")


if __name__ == "__main__":
    main()
