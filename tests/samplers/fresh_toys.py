"""Toy problems for samplers on independent draws: a proposal of the engine side by side with its enumerated law."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest

from samplers.proposals import Fill, FromLeft, Replace, Uniform
from tests.reference import MASK, Floats, Language, Order, Path, State
from tests.samplers.toys import Toy, language_of
from textsearch.proposal import IndependentProposal
from textsearch.testing import TableCausalLM, TableMaskedLM, letters

SCALE = 0.4
"""Of the models: their laws must be skewed, but a text that the target likes must not be drawn once in a lifetime."""


def places(language: Language, state: State) -> list[int]:
    """Where the tokens of words without a frozen piece stand."""
    free = [is_free for word, is_free in zip(language.words(state), language.free(state), strict=True) for _ in word]
    return [at for at, is_free in enumerate(free) if is_free]


@dataclass
class FillLaw:
    """All fills of the free places, each with its probability: place by place from the left, or all alike."""

    language: Language
    uniform: bool = False
    sites: int = 0
    kinds: int = 1

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        free = places(self.language, state)
        choices = [self.language.fits(begins=not self.language.continues[state.tokens[at]]) for at in free]
        for fill in itertools.product(*choices):
            written = [MASK if at in free else token for at, token in enumerate(state.tokens)]
            probability = 1.0
            for at, token, possible in zip(free, fill, choices, strict=True):
                law = self.language.conditional(tuple(written), at)
                probability *= 1 / len(possible) if self.uniform else law[token] / sum(law[one] for one in possible)
                written[at] = token
            yield Path(fill, None, State(tuple(written), state.frozen), probability, 0)


@dataclass
class LeftLaw:
    """All texts up to a length behind the frozen tokens, written from the left; no path leads to one without an end."""

    table: Floats
    by_place: Floats
    prompt: Sequence[int]
    temperature: float
    max_length: int
    sites: int = 0
    kinds: int = 1

    def following(self, tokens: Sequence[int]) -> Floats:
        """(V,) probabilities of what comes next; 0 is the end."""
        reach = len(self.by_place) - 1
        logits = self.by_place[min(len(tokens), reach)].copy()
        read = [*self.prompt, *tokens]
        for at, token in enumerate(read):
            logits += self.table[min(len(read) - at, reach), token]
        weights = np.exp(logits / self.temperature)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        kept = max((at + 1 for at, frozen in enumerate(state.frozen) if frozen), default=0)
        for more in range(self.max_length - kept + 1):
            for written in itertools.product(range(1, self.table.shape[1]), repeat=more):
                tokens, probability = list(state.tokens[:kept]), 1.0
                for token in (*written, 0):
                    probability *= self.following(tokens)[token]
                    tokens.append(token)
                target = State(tuple(tokens[:-1]), (*state.frozen[:kept], *[False] * more))
                yield Path(written, None, target, probability, 0)


@dataclass(frozen=True, eq=False)
class Fresh:
    """A proposal of whole texts, and a skewed target over all that it draws.

    Attributes:
        proposal: the engine's.
        toy: states, energies and the reference's law; its own proposal is not used.
    """

    proposal: IndependentProposal
    toy: Toy

    @cached_property
    def law(self) -> Floats:
        """(S,) q of each state; what is missing from 1 are draws that fail."""
        number = {state: i for i, state in enumerate(self.toy.states)}
        law = np.zeros(len(number))
        for path in self.toy.law.paths(self.toy.state(self.toy.start), ()):
            law[number[path.target]] += path.probability
        return law

    @cached_property
    def weights(self) -> Floats:
        """(S,) exp(-E / T) / q."""
        return np.asarray(np.exp(-self.toy.energies / self.toy.temperature) / self.law, dtype=np.float64)

    @property
    def normaliser(self) -> float:
        """Z."""
        return float(self.law @ self.weights)

    @property
    def log_bound(self) -> float:
        """The least that holds."""
        return math.log(self.weights.max())


def fill_toy(alphabet: str, start: str, *, seed: int = 0, uniform: bool = False, **target: float) -> Fresh:
    """A template; "!" freezes the letter behind it."""
    vocabulary = letters(alphabet)
    model = TableMaskedLM.random(vocabulary, seed, scale=SCALE)
    toy = Toy(Replace(model), FillLaw(language_of(model), uniform), vocabulary, start, **target)
    return Fresh(Uniform(vocabulary) if uniform else Fill(model), toy)


def left_toy(
    alphabet: str, start: str, max_length: int, prompt: str = "", heat: float = 1.0, seed: int = 0, **target: float
) -> Fresh:
    """Whole texts behind what is frozen of the start."""
    vocabulary = letters(alphabet)
    model = TableCausalLM.random(vocabulary, seed, scale=SCALE)
    read = vocabulary.encode([prompt]).token_lists()[0]
    law = LeftLaw(model.table.numpy(), model.by_place.numpy(), read, heat, max_length)
    toy = Toy(Replace(TableMaskedLM.random(vocabulary, seed=0)), law, vocabulary, start, **target)
    return Fresh(FromLeft(model, prompt, heat, max_length), toy)


FRESH: dict[str, Fresh] = {
    "fill": fill_toy("abc", "ab"),
    "fill, forbidden texts": fill_toy("ab", "aba", forbidden=0.3, temperature=0.7),
    "fill, frozen": fill_toy("ab", "a!bab", seed=2, temperature=1.5),
    "fill, many pieces": fill_toy("abCD", "aCb", forbidden=0.1),
    "fill, a word frozen by one piece": fill_toy("abC", "aa!Cb", seed=1),
    "uniform": fill_toy("abC", "abC", uniform=True),
    "uniform, frozen": fill_toy("abc", "a!bc", uniform=True, forbidden=0.2),
    "from left": left_toy("ab", "a", 3, seed=3),
    "from left, frozen": left_toy("ab", "!ba", 3, seed=2, heat=1.3, forbidden=0.2, temperature=0.8),
    "from left, prompt": left_toy("ab", "", 2, prompt="ba", seed=3),
}
"""One entry for each proposal and each thing that could go wrong in it."""

every_fresh = pytest.mark.parametrize("fresh", FRESH.values(), ids=FRESH.keys())
