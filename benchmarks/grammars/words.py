"""Ten sets of words, in the way of CommonGen (Lin, 2020): `force_words` beside constrained beam search."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import regex
from rich.table import Table

from benchmarks.grammars import beam_search
from benchmarks.grammars.patterns import WORDS, family
from benchmarks.grammars.report import table_of
from benchmarks.grammars.rows import Clock, Rows, fill
from textsearch import force_words
from textsearch.models.causal import TransformersCausalLM

CHAINS, BEAMS, LONGEST = 8, 5, 40

WAYS = ("force_words", "beam search")


def run(
    steps: int, seed: int, lm: TransformersCausalLM, rows: Rows, *, clock: Clock, tell: Callable[[str], None]
) -> None:
    """Every set by both ways, as far as there is time; what is in the rows is not run again."""
    jobs: list[tuple[tuple[str, ...], Callable[[], Mapping[str, Any]]]] = []
    for words, least, most in WORDS:
        for way, found in (("force_words", partial(_forced, steps=steps, seed=seed)), ("beam search", _searched)):
            jobs.append(((" ".join(words), way), partial(record, words, least, most, lm, found)))
    fill(rows, jobs, clock, tell)


def record(
    words: Sequence[str],
    least: int,
    most: int,
    lm: TransformersCausalLM,
    way: Callable[[TransformersCausalLM, str, Sequence[str]], list[str]],
) -> dict[str, Any]:
    """The texts of a way, the best first, judged by expressions of the benchmark and priced by the model.

    Valid texts hold all words as whole words; sentences are one, of `least` to `most` words.
    """
    own = lm.forgetful()
    request = own.ask(f"Write one sentence with the words {', '.join(words)}.")
    began, said = time.process_time(), {}
    try:
        texts = way(own, request, words)
    except ValueError as error:
        texts, said = [], {"stopped": str(error)[:200]}
    spent = {"seconds": time.process_time() - began, "tokens": own.usage.tokens, "passes": own.usage.passes}
    nats = (-lm.score(lm.vocabulary.encode(texts), request).log_prob).tolist() if texts else []
    return {
        "texts": texts,
        "nats": nats,
        "valid": sum(all(regex.search(rf"\b{word}\b", text) for word in words) for text in texts),
        "sentences": sum(bool(regex.fullmatch(family(words, least, most), text)) for text in texts),
        **spent,
        **said,
    }


def _forced(lm: TransformersCausalLM, request: str, words: Sequence[str], steps: int, seed: int) -> list[str]:
    found = force_words(lm, None, request, words, chains=CHAINS, steps=steps, max_length=LONGEST, seed=seed)
    order = np.argsort(found.best_energies, kind="stable")
    return [found.best_texts[row] for row in order]


def _searched(lm: TransformersCausalLM, request: str, words: Sequence[str]) -> list[str]:
    constraints = [tuple(lm.vocabulary.encode([f" {word}"]).token_lists()[0]) for word in words]
    found = beam_search.search(lm, request, constraints, beams=BEAMS, max_length=LONGEST)
    return [] if found is None else [lm.vocabulary.tokenizer.decode(list(found.tokens))]


def table(known: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Table:
    """A line for each set and way, and one for all of a way."""
    found = table_of(
        f"sets of words: force_words ({CHAINS} texts) beside constrained beam search ({BEAMS} beams)",
        "words", "way", "texts that hold all", "nats of the best", "of all", "s", "passes", "tokens", "the best",
    )  # fmt: skip
    for (words, way), row in known.items():
        found.add_row(words, way, *_figures([row]), row["texts"][0] if row["texts"] else "")
    for way in WAYS:
        if rows := [row for (_, own), row in known.items() if own == way]:
            found.add_row(f"all {len(rows)}", way, *_figures(rows), "")
    return found


def _figures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of one set, or of several: sums of texts, means of the others."""
    written = [row for row in rows if row["texts"]]
    return [
        f"{sum(row['valid'] for row in rows)} of {sum(len(row['texts']) for row in rows)}",
        f"{np.mean([row['nats'][0] for row in written]):.1f}" if written else "",
        f"{np.mean([np.mean(row['nats']) for row in written]):.1f}" if written else "",
        *(f"{np.mean([row[name] for row in rows]):.{digits}f}" for name, digits in _SPENT.items()),
    ]


_SPENT = {"seconds": 1, "passes": 0, "tokens": 0}
