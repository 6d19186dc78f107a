"""Toy problems, each a proposal of the engine side by side with its law in the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from samplers.proposals import BlockInfill, Edits, InsertDelete, Mixture, Replace, SpanEdit, Swap
from samplers.proposals.usual import TABLE
from tests import reference
from tests.reference import Floats, Kernel, Language, State
from textsearch.batch import Batch
from textsearch.objective import Objective
from textsearch.proposal import Proposal
from textsearch.sampler import Sampler
from textsearch.sampler import State as AnyState
from textsearch.testing import LetterVocabulary, Space, TableMaskedLM, letters


def language_of(model: TableMaskedLM) -> Language:
    """The model's tables, to be read by the reference."""
    return Language(model.table.numpy(), model.by_length.numpy(), model.vocabulary.continues.tolist())


@dataclass(frozen=True, eq=False)
class Toy:
    """A proposal, its law, and a skewed target over all states that it leads to.

    Attributes:
        proposal: the engine's.
        law: the reference's.
        vocabulary: the letters.
        start: a text; letters after "!" are frozen.
        temperature: of the target.
        forbidden: share of the states that get probability 0.
    """

    proposal: Proposal
    law: Kernel
    vocabulary: LetterVocabulary
    start: str
    temperature: float = 1.0
    forbidden: float = 0.0

    @cached_property
    def states(self) -> list[State]:
        """All states, whether forbidden or not."""
        return reference.closure(self.law, self.state(self.start))

    @cached_property
    def energies(self) -> Floats:
        """(S,) skewed: a symmetric target could not tell a move from its reverse. A function of the tokens alone."""
        rng = np.random.default_rng(3)
        by_text: dict[tuple[int, ...], float] = {}
        for state in self.states:
            if state.tokens not in by_text:
                energy = 0.8 * rng.normal() + 0.4 * len(state.tokens) + 0.3 * sum(state.tokens)
                by_text[state.tokens] = math.inf if rng.random() < self.forbidden else energy
        by_text[self.state(self.start).tokens] = 0.5
        return np.array([by_text[state.tokens] for state in self.states])

    @cached_property
    def target(self) -> Floats:
        """(S,) exp(-energy / temperature), normalised."""
        return reference.target_law(self.energies, self.temperature)

    @cached_property
    def chain(self) -> reference.Chain:
        """The reference's transition matrix."""
        return reference.metropolis_hastings(self.law, self.states, self.energies, self.temperature)

    @cached_property
    def space(self) -> Space:
        """The states, by their numbers."""
        batch = Batch.of([state.tokens for state in self.states], self.vocabulary)
        frozen = torch.zeros_like(batch.editable)
        for row, state in enumerate(self.states):
            frozen[row, : len(state.frozen)] = torch.tensor(state.frozen, dtype=torch.bool)
        return Space(batch.frozen(frozen))

    @cached_property
    def objective(self) -> Objective:
        """The energies as an objective; a text that is no state is an error."""
        return self.table(self.energies)

    def table(self, energies: Floats, label: str = "table") -> Objective:
        """Any (S,) energies of the states as an objective; they must be a function of the tokens alone."""
        return self.space.objective(torch.from_numpy(energies), others=math.nan, label=label)

    def state(self, marked: str) -> State:
        """The state that "a!bc" stands for: b is frozen."""
        alphabet = "_" + self.vocabulary.letters
        tokens = tuple(alphabet.index(letter) for letter in marked if letter != "!")
        frozen = tuple(marked[at - 1 : at] == "!" for at, letter in enumerate(marked) if letter != "!")
        return State(tokens, frozen)

    def text(self, state: State) -> str:
        """The letters of a state."""
        return "".join(("_" + self.vocabulary.letters)[token] for token in state.tokens)

    def batch(self, numbers: Sequence[int] | NDArray[np.int64]) -> Batch:
        """One row for each state number."""
        return self.space.batch.rows(torch.tensor(np.array(numbers, dtype=np.int64)))

    def begin(self, sampler: Sampler[Any], numbers: NDArray[np.int64], width: int = 0) -> AnyState:
        """The sampler's state for chains at these states, padded to `width` columns."""
        return sampler.init(self.objective, self.batch(numbers).widen(width))  # type: ignore[no-any-return]

    def find(self, state: AnyState) -> NDArray[np.int64]:
        """(B,) the numbers of the chains' states."""
        return self.number(state.batch)

    def number(self, batch: Batch) -> NDArray[np.int64]:
        """(B,) the state number of each row, -1 for a row that is none of them."""
        return np.asarray(self.space.number(batch).numpy(), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class UnderLaw:
    """A toy for kernels that leave another law invariant than its target.

    Attributes:
        toy: the states and their energies.
        target: (S,) the law.
    """

    toy: Toy
    target: Floats

    @property
    def objective(self) -> Objective:
        return self.toy.objective

    @property
    def temperature(self) -> float:
        return self.toy.temperature

    def begin(self, sampler: Sampler[Any], numbers: NDArray[np.int64], width: int = 0) -> AnyState:
        return self.toy.begin(sampler, numbers, width)

    def find(self, state: AnyState) -> NDArray[np.int64]:
        return self.toy.find(state)


def span_toy(
    alphabet: str,
    start: str,
    table: dict[tuple[int, int], float],
    pieces: tuple[float, ...] | None = (1.0,),
    max_length: int = 4,
    *,
    temperature: float = 1.0,
    forbidden: float = 0.0,
) -> Toy:
    """A toy of one span edit with random, inconsistent conditionals."""
    vocabulary = letters(alphabet)
    model = TableMaskedLM.random(vocabulary, seed=len(alphabet) + max_length)
    proposal = SpanEdit(model, table, pieces, max_length)
    return Toy(
        proposal,
        reference.SpanEditLaw(language_of(model), table, proposal.sizes, max_length),
        vocabulary,
        start,
        temperature,
        forbidden,
    )


def swap_toy(alphabet: str, start: str) -> Toy:
    """A toy of exchanges."""
    vocabulary = letters(alphabet)
    model = TableMaskedLM.random(vocabulary, seed=0)
    return Toy(Swap(vocabulary), reference.SwapLaw(language_of(model)), vocabulary, start)


def usual_toy(alphabet: str, start: str, max_length: int) -> Toy:
    """A toy of the edits that a sampler makes by default."""
    vocabulary = letters(alphabet)
    model = TableMaskedLM.random(vocabulary, seed=3)
    law = reference.SpanEditLaw(language_of(model), TABLE, (1.0,), max_length)
    return Toy(Edits(model, max_length), law, vocabulary, start)


def mixture_toy(alphabet: str, start: str, max_length: int = 3, **target: float) -> Toy:
    """A toy of every kind of move, from the functions that users call."""
    vocabulary = letters(alphabet)
    model = TableMaskedLM.random(vocabulary, seed=5)
    language = language_of(model)

    def law(table: dict[tuple[int, int], float]) -> reference.SpanEditLaw:
        return reference.SpanEditLaw(language, table, (1.0,), max_length)

    proposal = Mixture(
        {
            Replace(model, max_length=max_length): 2.0,
            InsertDelete(model, insert=0.3, max_length=max_length): 5.0,
            BlockInfill(model, words=(2,), max_length=max_length): 1.0,
            Swap(vocabulary): 2.0,
        }
    )
    parts: list[tuple[Kernel, float]] = [
        (law({(1, 1): 1.0}), 0.2),
        (law({(0, 1): 0.3, (1, 0): 0.7}), 0.5),
        (law({(2, 2): 1.0}), 0.1),
        (reference.SwapLaw(language), 0.2),
    ]
    return Toy(proposal, reference.MixtureLaw(parts), vocabulary, start, **target)


TOYS: dict[str, Toy] = {
    "replace": span_toy("abc", "abc", {(1, 1): 1.0}),
    "replace, forbidden texts": span_toy("abc", "aba", {(1, 1): 1.0}, forbidden=0.3, temperature=0.7),
    "replace, many pieces": span_toy("abC", "ab", {(1, 1): 1.0}, (0.6, 0.4), 3),
    "replace, old word of too many pieces": span_toy("abC", "aCCb", {(1, 1): 1.0}, (0.6, 0.4), 4),
    "replace, words that cannot be written": span_toy("abC", "aCbC", {(1, 1): 1.0}, (1.0,), 4),
    "replace, any number of pieces": span_toy("abC", "aCCb", {(1, 1): 1.0}, None, 4),
    "insert and delete": span_toy("ab", "a", {(0, 1): 0.3, (1, 0): 0.7}, max_length=4),
    "insert and delete, many pieces": span_toy("aBC", "a", {(0, 1): 0.6, (1, 0): 0.4}, (0.5, 0.3, 0.2), 3),
    "insert and delete, frozen": span_toy("ab", "a!ba", {(0, 1): 0.4, (1, 0): 0.6}, max_length=3, forbidden=0.2),
    "infill": span_toy("abc", "abc", {(2, 2): 1.0}),
    # one pair of words only, so that the place of the span is known to a twin
    "infill, whole texts": span_toy("abc", "ab", {(2, 2): 1.0}, max_length=2),
    "infill, many pieces": span_toy("abC", "aCb", {(2, 2): 0.7, (1, 1): 0.3}, (0.6, 0.4), 4),
    "infill, frozen": span_toy("ab", "ab!aab", {(2, 2): 0.6, (1, 1): 0.4}, max_length=5),
    "infill of three": span_toy("ab", "abab", {(3, 3): 0.5, (2, 2): 0.5}),
    "rewrite": span_toy("ab", "ab", {(1, 2): 0.4, (2, 1): 0.6}, temperature=1.5),
    "rewrite, many pieces": span_toy("aB", "a", {(1, 2): 0.4, (2, 1): 0.6}, (0.7, 0.3), 4),
    "rewrite, frozen": span_toy("ab", "a!bba", {(1, 2): 0.5, (2, 1): 0.5}, forbidden=0.1),
    "all in one table": span_toy(
        "ab", "a", {(1, 1): 0.2, (0, 1): 0.1, (1, 0): 0.2, (0, 2): 0.1, (2, 0): 0.2, (2, 2): 0.2}, max_length=3
    ),
    "a word frozen by one piece": span_toy("abC", "aa!Cb", {(0, 1): 0.5, (1, 0): 0.3, (1, 1): 0.2}, max_length=4),
    "usual edits": usual_toy("ab", "a", 3),
    "swap": swap_toy("abC", "abCaa"),
    "swap, frozen": swap_toy("abcD", "ab!cDbDa"),
    "mixture": mixture_toy("ab", "", temperature=0.8, forbidden=0.2),
    "mixture, frozen": mixture_toy("ab", "a!b", forbidden=0.1),
}
"""One entry for each family of moves and each thing that could go wrong in it."""
