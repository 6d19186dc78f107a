"""Ten sets of words, in the way of CommonGen (Lin, 2020), by `force_words`: do texts hold all words of their set?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import regex
from rich.table import Table

from benchmarks.grammars.patterns import WORDS, family
from benchmarks.grammars.report import table_of
from benchmarks.grammars.rows import Clock, Rows, fill
from benchmarks.intervals import interval, mean_of, shown
from textsearch import force_words
from textsearch.models.causal import TransformersCausalLM

CHAINS, STEPS, LONGEST = 8, 20, 40


def run(
    seeds: Sequence[int], lm: TransformersCausalLM, rows: Rows, *, clock: Clock, tell: Callable[[str], None]
) -> None:
    """Every set with every seed, as far as there is time; what is in the rows is not run again."""
    jobs = (
        ((" ".join(words), str(seed)), partial(record, words, least, most, lm, seed))
        for seed in seeds
        for words, least, most in WORDS
    )
    fill(rows, jobs, clock, tell)


def record(words: Sequence[str], least: int, most: int, lm: TransformersCausalLM, seed: int) -> dict[str, Any]:
    """The likeliest text that each chain met and the text where it ended, judged by expressions of the benchmark.

    Valid texts hold all words as whole words; sentences are one, of `least` to `most` words.
    """
    own = lm.forgetful()
    began = time.process_time()
    request = f"Write one sentence with the words {', '.join(words)}."
    try:
        found = force_words(
            own, None, request, words, chat=True, chains=CHAINS, steps=STEPS, max_length=LONGEST, seed=seed
        )
    except ValueError as error:
        best, last, said = [], [], {"stopped": str(error)[:200]}
    else:
        best, last, said = list(found.best_texts), list(found.texts), {}
    spent = {"seconds": time.process_time() - began, "tokens": own.usage.tokens}
    ends: dict[str, Any] = {}
    for name, texts in (("best", best), ("last", last)):
        ends[name] = {
            "texts": texts,
            "valid": sum(all(regex.search(rf"\b{word}\b", text) for word in words) for text in texts),
            "sentences": sum(bool(regex.fullmatch(family(words, least, most), text)) for text in texts),
            "distinct": len(set(texts)),
        }
    return {"valid": ends["last"]["valid"], **ends, **spent, **said}


def table(known: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Table:
    """A line for each set, over its seeds, and one for all."""
    found = table_of(
        f"ten sets of words by force_words, {CHAINS} chains of {STEPS} moves",
        "words", "runs with a text", "chains that hold all", "one sentence in its bounds", "distinct", "s", "tokens",
        "a text",
    )  # fmt: skip
    sets: dict[str, list[Mapping[str, Any]]] = {}
    for (words, _), row in known.items():
        sets.setdefault(words, []).append(row)
    for words, rows in [*sets.items(), ("all", list(known.values()))]:
        texts = [row["best"]["texts"][0] for row in rows if row["best"]["texts"]]
        found.add_row(
            words,
            f"{sum(row['valid'] > 0 for row in rows)} of {len(rows)}",
            _share([row["valid"] / CHAINS for row in rows]),
            _share([row["last"]["sentences"] / CHAINS for row in rows]),
            _share([row["last"]["distinct"] / CHAINS for row in rows]),
            f"{np.mean([row['seconds'] for row in rows]):.0f}",
            f"{np.mean([row['tokens'] for row in rows]):.0f}",
            texts[0] if texts and words != "all" else "",
        )
    return found


def _share(values: Sequence[float]) -> str:
    return shown(interval(len(values), mean_of(values), 0), 2)
