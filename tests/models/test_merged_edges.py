"""Pairs that merges take apart: of random tokenizers, what is told of each pair is what the tokenizer does with it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tokenizers.models import BPE

from textsearch.models import merged_edges
from textsearch.models.merged_edges import MergedEdges


def random_merges(seed: int, count: int = 40) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A vocabulary of three letters and of what merges make, each of two tokens that stood side by side until then."""
    choose = random.Random(seed)
    vocabulary, merges = {letter: number for number, letter in enumerate("abc")}, list[tuple[str, str]]()
    while len(merges) < count:
        pair = choose.choice(list(vocabulary)), choose.choice(list(vocabulary))
        found = [one.value for one in BPE(vocabulary, merges).tokenize("".join(pair))]
        if found == list(pair) and len("".join(pair)) < 9:
            merges.append(pair)
            vocabulary["".join(pair)] = len(vocabulary)
    return vocabulary, merges


def differing(seed: int) -> tuple[int, int]:
    """Pairs of tokens of which another thing is told than the tokenizer does, and all pairs."""
    vocabulary, merges = random_merges(seed)
    tokenizer, wrong, count = BPE(vocabulary, merges), 0, 0
    edges = MergedEdges(len(vocabulary), {(vocabulary[a], vocabulary[b]): vocabulary[a + b] for a, b in merges})
    for first in vocabulary:
        told = edges.behind(vocabulary[first])
        for second in vocabulary:
            found = [one.id for one in tokenizer.tokenize(first + second)]
            wrong += told[vocabulary[second]] != (found != [vocabulary[first], vocabulary[second]])
            count += 1
    return wrong, count


def test_every_pair_of_a_tokenizer_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a broken twin, of whose parts each lives for ever."""
    found = np.array([differing(seed) for seed in range(60)])
    assert found[:, 0].sum() == 0 and found[:, 1].sum() > 20_000
    monkeypatch.setattr(MergedEdges, "_edge", lambda self, token, side: [(token, merged_edges.NEVER)])
    assert sum(differing(seed)[0] for seed in range(10)) > 100


def test_merges_in_no_order_of_time_are_refused() -> None:
    for merges in ({(3, 2): 4, (0, 1): 3}, {(0, 1): 3, (1, 0): 3}):
        with pytest.raises(ValueError, match="made by two merges, or after"):
            MergedEdges(5, merges)
