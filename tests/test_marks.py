"""Frozen tokens: the law over texts, enumerated, of every way to freeze; each text counts once.

The broken twin leaves the rule out, so that a text that holds the frozen words at several places has several shares.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

import textsearch.objective
from objectives import Keywords, Only, Prefix, Suffix, Template, Verbatim
from samplers import Cycle, Gibbs, MetropolisHastings, MultipleTry, ParallelTempering
from samplers.proposals import BlockInfill, Copy, InsertDelete, Mixture, Replace, SpanEdit, Swap
from tests.objectives.laws import PieceVocabulary
from tests.reference import Floats
from tests.samplers.laws import chi_square
from textsearch import FunctionObjective
from textsearch.batch import Batch, concatenate
from textsearch.marks import counts, marked
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.testing import TableMaskedLM

WORDS: Any = PieceVocabulary(("[MASK]", "a", "b", "."))
MODEL = TableMaskedLM.random(WORDS, seed=1, scale=0.4)

EDITS = MetropolisHastings(
    Mixture({InsertDelete(MODEL, max_length=3): 3.0, Replace(MODEL, max_length=3): 1.0, Swap(WORDS): 1.0})
)
REWRITES = MetropolisHastings(
    SpanEdit(
        MODEL, {(1, 2): 0.2, (2, 1): 0.2, (0, 1): 0.2, (1, 0): 0.2, (0, 2): 0.05, (2, 0): 0.05, (1, 1): 0.1}, None, 3
    )
)
COPIES = MetropolisHastings(
    Mixture({Copy(MODEL, "a b .", max_length=3): 1.0, BlockInfill(MODEL, words=(1, 2), max_length=3): 1.0})
)
TRIES = Cycle([MultipleTry(InsertDelete(MODEL, max_length=3), 2), Gibbs(MODEL, 3)])
RUNGS = ParallelTempering(EDITS, (1.0, 2.0))

EVERY = [" ".join(row) for size in range(4) for row in itertools.product("ab.", repeat=size)]


def number_of(text: str) -> float:
    """Any energy, far from even."""
    return 0.9 * math.sin(7.0 * sum((place + 1) * ord(letter) for place, letter in enumerate(text)))


TABLE = FunctionObjective(lambda texts: [number_of(text) for text in texts], name="table")


def freeze(start: str, *frozen: int) -> Batch:
    """Some of the words frozen."""
    batch = WORDS.encode([start])
    return batch.frozen(torch.tensor([[place in frozen for place in range(batch.width)]]))  # type: ignore[no-any-return]


def holds(*wanted: str) -> Callable[[Sequence[str]], bool]:
    """Whether words are found in this order."""

    def found(row: Sequence[str]) -> bool:
        rest = iter(row)
        return all(word in rest for word in wanted)

    return found


def sides(row: Sequence[str]) -> bool:
    """A word between a first "a" and a last "b", marks behind it or not."""
    row = list(row)
    while row and row[-1] == ".":
        row.pop()
    return len(row) > 2 and row[0] == "a" and row[-1] == "b" and any(word != "." for word in row[1:-1])


@dataclass(frozen=True, eq=False)
class Case:
    """A way to freeze.

    Attributes:
        start: of the chains.
        form: what freezes, if not the caller.
        texts: which texts there are, told word by word.
        twice: whether a text could be marked in several ways.
    """

    start: str | Batch
    form: Objective | None
    texts: Callable[[Sequence[str]], bool]
    twice: bool = True


def closes(row: Sequence[str]) -> bool:
    """Whether the last word but for marks is "a"."""
    return [word for word in row if word != "."][-1:] == ["a"]


CASES = {
    "a prefix": Case("a", Prefix("a"), lambda row: row[:1] == ("a",), twice=False),
    "a prefix of two words": Case("a b a", Prefix("a b"), lambda row: row[:2] == ("a", "b"), twice=False),
    "a suffix": Case("b a", Suffix("a"), closes),
    "a suffix and its mark": Case("a .", Suffix("a."), lambda row: row[-2:] == ("a", "."), twice=False),
    "a template": Case("a a b", Template("a * b"), sides, twice=False),
    "a template in the midst": Case("a b", Template("*{0,} b *{0,}"), holds("b")),
    "a keyword": Case("b a", Keywords(["a"], freeze_tokens=True), holds("a")),
    "keywords": Case("b a", Keywords(["a", "b"], freeze_tokens=True), holds("b", "a")),
    "a phrase": Case(
        "a a b", Keywords(["a a"], freeze_tokens=True), lambda row: any(row[i : i + 2] == ("a", "a") for i in range(2))
    ),
    "a literal": Case("b a", Verbatim(["a"]), holds("a")),
    "for one input": Case("b a", Only(Keywords(["a"], freeze_tokens=True), [0]), holds("a")),
    "by the caller": Case(freeze("b a", 1), None, holds("a")),
    "two words by the caller": Case(freeze("a b a", 0, 2), None, holds("a", "a")),
    "by the caller and a prefix": Case(
        freeze("a b .", 2), Prefix("a"), lambda row: row[:1] == ("a",) and "." in row[1:]
    ),
}
SAMPLERS = {"edits": EDITS, "rewriting": REWRITES, "copying": COPIES, "tries, and Gibbs": TRIES, "rungs": RUNGS}
RUNS = [("edits", name) for name in CASES] + [
    ("rewriting", "keywords"),
    ("rewriting", "a suffix"),
    ("copying", "a keyword"),
    ("copying", "a prefix"),
    ("tries, and Gibbs", "a template in the midst"),
    ("rungs", "by the caller"),
]


@dataclass(frozen=True, eq=False)
class Space:
    """The texts of a case.

    Attributes:
        objective: their energies.
        start: of the chains.
        texts: as they are written.
        law: (S,) exp(-E), normalised.
        counted: one row for each text, marked as it counts.
        markings: how many there are of all texts.
    """

    objective: Objective
    start: Batch
    texts: list[str]
    law: Floats
    counted: Batch
    markings: int

    @staticmethod
    def of(case: Case) -> Space:
        """By brute force: every text of up to three words, and every choice of words in it."""
        objective = TABLE if case.form is None else TABLE + case.form
        start = marked(objective, WORDS.encode([case.start]) if isinstance(case.start, str) else case.start)
        texts: list[str] = []
        rows: list[Batch] = []
        markings = 0
        for words in (tuple(text.split()) for text in EVERY):
            if case.texts(words):
                ways = list(markings_of(start, words))
                good = [one for one in ways if bool(counts(objective, one))]
                assert len(good) == 1, (words, len(ways), len(good))
                texts.append(WORDS.encode([" ".join(words)]).texts()[0])
                rows, markings = rows + good, markings + len(ways)
        law = np.exp([-number_of(text) for text in texts])
        return Space(objective, start, texts, law / law.sum(), concatenate(rows), markings)

    def p_value(self, sampler: Any, steps: int = 3, chains: int = 2_000) -> float:
        """Of the texts of chains that start on the law."""
        starts = np.random.default_rng(0).choice(len(self.law), chains, p=self.law)
        with torch.inference_mode():
            state = sampler.init(self.objective, self.counted.rows(torch.from_numpy(starts)))
            for step in range(steps):
                state, _ = sampler.step(self.objective, state, Rng.start(5, chains).at(step))
        return chi_square(np.array([self.texts.index(text) for text in state.batch.texts()]), self.law)


def markings_of(start: Batch, words: Sequence[str]) -> Iterator[Batch]:
    """The text with the frozen words of `start` wherever they could stand, closed slots being kept."""
    held = (start.homes[0] != -1).nonzero()[:, 0].tolist()
    shut = (~start.open_slots[0, : start.width + 1]).nonzero()[:, 0].tolist()
    row = WORDS.encode([" ".join(words)])
    for places in itertools.combinations(range(row.width), len(held)):
        at = {-1: -1, start.width: row.width} | dict(zip(held, places, strict=True))
        same = all(row.tokens[0, at[old]] == start.tokens[0, old] for old in held)
        if same and all(at[slot] == at[slot - 1] + 1 for slot in shut):
            editable, homes, closed = row.editable.clone(), row.homes.clone(), row.closed.clone()
            for old in held:
                editable[0, at[old]] = False
                homes[0, at[old]], closed[0, at[old]] = start.homes[0, old], start.closed[0, old]
            yield replace(row, editable=editable, homes=homes, closed=closed)


SPACES = {name: Space.of(case) for name, case in CASES.items()}


@pytest.mark.parametrize(("sampler", "name"), RUNS, ids=[f"{name}, {sampler}" for sampler, name in RUNS])
def test_each_text_counts_once(sampler: str, name: str) -> None:
    assert SPACES[name].p_value(SAMPLERS[sampler]) > 1e-4


def count_all(objective: Any, batch: Batch) -> torch.Tensor:
    """The twin: whatever the marking, the text counts."""
    return torch.ones_like(batch.lengths, dtype=torch.bool)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.twice])
def test_a_text_that_counts_at_each_marking_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SPACES[name].markings > len(SPACES[name].texts)
    monkeypatch.setattr(textsearch.objective, "counts", count_all)
    assert SPACES[name].p_value(EDITS, 16) < 1e-9


@pytest.mark.parametrize("name", ["a prefix", pytest.param("a suffix and its mark", marks=pytest.mark.reliability)])
def test_open_slots_beside_what_is_frozen_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # where they are closed no other rule is needed; the twin has neither
    space, closed = SPACES[name], torch.zeros_like(SPACES[name].counted.closed)
    monkeypatch.setattr(textsearch.objective, "counts", count_all)
    assert space.p_value(EDITS) > 1e-4
    twin = replace(space, counted=replace(space.counted, closed=closed))
    assert twin.p_value(EDITS, 16, 12_000) < 1e-9


@pytest.mark.parametrize("name", CASES)
def test_all_texts_are_reached_from_the_start(name: str) -> None:
    space = SPACES[name]
    state = EDITS.init(space.objective, space.start)
    with torch.inference_mode():
        for step in range(40):
            state = state.rows(torch.arange(len(state.batch)).repeat(20))
            after, _ = EDITS.step(space.objective, state, Rng.start(3, len(state.batch)).at(step))
            batch = concatenate([after.batch, state.batch])
            texts = batch.texts()
            state = EDITS.init(space.objective, batch.rows([texts.index(text) for text in dict.fromkeys(texts)]))
            if len(state.batch) == len(space.texts):
                break
    assert set(state.batch.texts()) == set(space.texts)
