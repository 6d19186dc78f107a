"""How well masked models tell words, whatever their tokenizers: nats a word, all models on the same words.

    python -m benchmarks.masked_words heldout.txt --model path/to/one --model path/to/another

The packaged model comes first. Of each sentence some words are hidden, one at a time and whole: all its
tokens are masked and filled in from the left, so a word costs -sum of log p(token | tokens filled in, the rest of the
sentence, masks for what is to come). How many tokens a word has is thereby told to the model. A model that does not
know capitals has less to tell: `cased` says which do. Sentences are read as chains read them: with a space in front
where the vocabulary reads one. Intervals are 95 %, by the bootstrap over sentences, and so is
that of the paired difference to the packaged model.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import regex
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.intervals import interval, shown
from textsearch import Batch
from textsearch.models import masked_lm
from textsearch.models.masked import TransformersMaskedLM

WORD = regex.compile(r"\p{L}+")

Span = tuple[int, int]
"""First character of a word, and the first behind it."""


def hidden_words(sentences: Sequence[str], most: int, seed: int) -> list[list[Span]]:
    """At most `most` words of each sentence, in their order.

    >>> hidden_words(["one two three"], 2, seed=1)
    [[(0, 3), (4, 7)]]
    """
    rng = np.random.default_rng(seed)
    found = []
    for sentence in sentences:
        spans = [match.span() for match in WORD.finditer(sentence)]
        chosen = rng.permutation(len(spans))[:most]
        found.append([spans[number] for number in sorted(chosen)])
    return found


def nats(lm: TransformersMaskedLM, sentence: str, words: Sequence[Span]) -> list[float]:
    """What each word costs, nan where the tokenizer does not cut there."""
    vocabulary = lm.vocabulary
    if vocabulary.leading_space:
        sentence, words = f" {sentence}", [(begin + 1, end + 1) for begin, end in words]
    encoded = vocabulary.tokenizer(sentence, add_special_tokens=False, return_offsets_mapping=True)
    tokens, offsets = encoded["input_ids"], [_trimmed(sentence, *offset) for offset in encoded["offset_mapping"]]
    rows, places, wanted, owner = [], [], [], []
    costs = [0.0] * len(words)
    for number, (begin, end) in enumerate(words):
        inside = [place for place, (first, last) in enumerate(offsets) if first < end and last > begin]
        if not inside or offsets[inside[0]][0] < begin or offsets[inside[-1]][1] > end:
            costs[number] = float("nan")
            continue
        for place in inside:
            rows.append(
                [vocabulary.mask_id if place <= own <= inside[-1] else token for own, token in enumerate(tokens)]
            )
            places.append(place)
            wanted.append(tokens[place])
            owner.append(number)
    if rows:
        batch = Batch.of(rows, vocabulary)
        found = lm.token_log_probs(batch, torch.arange(len(rows)), torch.tensor(places), torch.tensor(wanted))
        for number, value in zip(owner, found.tolist(), strict=True):
            costs[number] -= value
    return costs


def _trimmed(text: str, begin: int, end: int) -> Span:
    """A token's characters without the spaces that it brings."""
    while begin < end and text[begin].isspace():
        begin += 1
    return begin, end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("heldout", type=Path, help="one sentence a line")
    parser.add_argument("--model", action="append", default=[], help="folder, once for each")
    parser.add_argument("--sentences", type=int, default=300)
    parser.add_argument("--words", type=int, default=4, help="of a sentence")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sentences = args.heldout.read_text(encoding="utf-8").splitlines()[: args.sentences]
    words = hidden_words(sentences, args.words, args.seed)
    names: list[str | None] = [None, *args.model]
    models = [masked_lm(name) for name in names]
    costs = [np.concatenate([nats(lm, *pair) for pair in zip(sentences, words, strict=True)]) for lm in models]
    of = np.repeat(np.arange(len(sentences)), [len(own) for own in words])
    known = np.isfinite(costs).all(0)
    table = Table(caption=f"{known.sum()} words of {len(sentences)} sentences; nats", caption_justify="left")
    for column in ("model", "cased", "a word", "less the packaged"):
        table.add_column(column, justify="right" if column != "model" else "left")
    for name, lm, own in zip(names, models, costs, strict=True):
        figures = [_a_word(each[known], of[known], args.seed) for each in (own, own - costs[0])]
        table.add_row(name or "packaged", "no" if lm.vocabulary.lower_cases else "yes", *figures)
    Console(width=120).print(table)


def _a_word(costs: NDArray[np.float64], of: NDArray[np.int64], seed: int) -> str:
    sums, counts = (np.bincount(of, weights) for weights in (costs, np.ones_like(costs)))
    return shown(interval(len(sums), lambda chosen: float(sums[chosen].sum() / counts[chosen].sum()), seed), 2)


if __name__ == "__main__":
    main()
