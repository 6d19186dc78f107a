"""How many of the words that `textsearch mine` finds are words: precision against jieba's dictionary.

    python -m benchmarks.mining corpus.txt.gz

Chinese strings of a corpus by the order of `mine` and by orders that leave a part out (count, cohesion, freedom alone),
of the same candidates. Told is the share of the first 100, 1,000 and 5,000 that jieba's dictionary of 349,000 words
holds, and, for scale, of strings that stand as often, drawn at random. A string that is not in the dictionary may be a
new word: the first of them are printed, to be read.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from textsearch.language.segmentation import dictionary
from textsearch.models.ngram.training import lines_of
from textsearch.tasks.mining import Term, mine

FIRST = (100, 1000, 5000)
ORDERS: dict[str, Callable[[Term], float]] = {
    "log count x cohesion x freedom (mine)": lambda term: term.score,
    "cohesion x freedom": lambda term: term.cohesion * term.freedom,
    "cohesion": lambda term: term.cohesion,
    "freedom": lambda term: term.freedom,
    "count": lambda term: term.count,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--least", type=int, default=10)
    given = parser.parse_args()
    console, known = Console(width=120), dictionary()
    begun = time.perf_counter()
    found = mine(lines_of(given.corpus), lang="zh", least=given.least, workers=given.workers)
    seconds = time.perf_counter() - begun
    every = mine(lines_of(given.corpus), lang="zh", least=given.least, cohesion=-99, freedom=-99, workers=given.workers)
    drawn = np.random.default_rng(0).permutation(len(every))
    lists = {name: sorted(found, key=key, reverse=True) for name, key in ORDERS.items()}
    lists["count, of all strings"] = sorted(every, key=lambda term: -term.count)
    lists["at random, of all strings"] = [every[number] for number in drawn.tolist()]
    table = Table("order", *[f"of the first {count:,}" for count in FIRST])
    for name, terms in lists.items():
        held = [[known.get(term.text, 0) > 0 for term in terms[:count]] for count in FIRST]
        table.add_row(name, *[f"{np.mean(own):.3f}" for own in held])
    console.print(table)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    console.print(f"{len(found):,} of {len(every):,} strings pass; {seconds:.1f} s, {memory} MB")
    new = [term.text for term in found if not known.get(term.text)]
    console.print("not in the dictionary:", "、".join(new[:100]))


if __name__ == "__main__":
    main()
