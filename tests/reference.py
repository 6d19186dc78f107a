"""An independent reference for kernels on toy texts: plain Python and NumPy, no line shared with the engine.

A state is a tuple of token ids with a mark on each that is frozen. A kernel lists, for one order of filling, every
path that a proposal can take from a state, each with its probability, the state it leads to and the key of the path
that would lead back. Metropolis-Hastings is then a sum over paths, the orders being an auxiliary variable: it is
drawn beforehand and shared by a move and its reverse.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Order = tuple[int, ...]
Word = tuple[int, ...]

MASK = 0


class State(NamedTuple):
    """A text: its token ids, and which of them are frozen."""

    tokens: tuple[int, ...]
    frozen: tuple[bool, ...]


class Path(NamedTuple):
    """One way from a state to another; `back` is the key of the path that undoes it, None for a null move."""

    key: Hashable
    back: Hashable | None
    target: State
    probability: float
    kind: int


class Kernel(Protocol):
    """All paths of a proposal."""

    @property
    def sites(self) -> int:
        """How many sites an order has to rank."""

    @property
    def kinds(self) -> int:
        """The number of kinds of move."""

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        """Every path from `state`; their probabilities add up to 1."""


@dataclass
class Language:
    """Conditionals from tables of logits, renormalised over the tokens that may stand at a place.

    Attributes:
        table: (2 * reach + 1, V, V) logits by distance + reach, other token, token asked for.
        by_length: (reach + 1, V) logits by the length of the text.
        continues: (V,) which tokens go on a word.
    """

    table: Floats
    by_length: Floats
    continues: Sequence[bool]
    cache: dict[tuple[tuple[int, ...], int], Floats] = field(default_factory=dict)

    def conditional(self, tokens: tuple[int, ...], place: int) -> Floats:
        """(V,) p(token at `place` | the other tokens)."""
        if (tokens, place) not in self.cache:
            reach = len(self.by_length) - 1
            logits = self.by_length[min(len(tokens), reach)].copy()
            for other, token in enumerate(tokens):
                if other != place and abs(other - place) <= reach:
                    logits += self.table[other - place + reach, token]
            weights = np.exp(logits - logits.max())
            self.cache[tokens, place] = weights / weights.sum()
        return self.cache[tokens, place]

    def fits(self, begins: bool) -> list[int]:
        """The tokens that may begin a word, or that may go on one."""
        return [token for token, more in enumerate(self.continues) if token != MASK and more != begins]

    def words(self, state: State) -> list[Word]:
        """The text cut into words."""
        words: list[Word] = []
        for token in state.tokens:
            if words and self.continues[token]:
                words[-1] = (*words[-1], token)
            else:
                words.append((token,))
        return words

    def free(self, state: State) -> list[bool]:
        """Whether each word is free of frozen tokens."""
        free, at = [], 0
        for word in self.words(state):
            free.append(not any(state.frozen[at : at + len(word)]))
            at += len(word)
        return free

    def fill_probability(self, before: Word, words: Sequence[Word], after: Word, order: Order) -> float:
        """Of writing `words` between `before` and `after`, piece by piece in `order`, each given what is there."""
        pieces = [piece for word in words for piece in word]
        begins = [at == 0 for word in words for at in range(len(word))]
        ranks = sorted(range(len(pieces)), key=lambda site: order[site])
        written = [MASK] * len(pieces)
        probability = 1.0
        for site in ranks:
            law = self.conditional((*before, *written, *after), len(before) + site)
            allowed = self.fits(begins[site])
            if pieces[site] not in allowed:
                return 0.0
            probability *= law[pieces[site]] / sum(law[token] for token in allowed)
            written[site] = pieces[site]
        return probability


@dataclass
class SpanEditLaw:
    """Replace w words with w' others; see the paths for the probabilities."""

    language: Language
    table: Mapping[tuple[int, int], float]
    pieces: Sequence[float]
    max_length: int

    @property
    def sites(self) -> int:
        return max(max(pair) for pair in self.table) * len(self.pieces)

    @property
    def kinds(self) -> int:
        return len(self.table)

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        words, free = self.language.words(state), self.language.free(state)
        for kind, ((old, new), chance) in enumerate(self.table.items()):
            places = [at for at in range(len(words) - old + 1) if all(free[at : at + old])]
            if not places:
                yield Path(("null", kind), None, state, chance, kind)
            nothing = 0.0
            for at, sizes in itertools.product(places, itertools.product(range(1, len(self.pieces) + 1), repeat=new)):
                share = chance / len(places) * math.prod(self.pieces[size - 1] for size in sizes)
                removed = tuple(words[at : at + old])
                start = sum(map(len, words[:at]))
                stop = start + sum(map(len, removed))
                if len(state.tokens) - (stop - start) + sum(sizes) > self.max_length:
                    nothing += share
                    continue
                before, after = state.tokens[:start], state.tokens[stop:]
                for written in itertools.product(*(self._words(size) for size in sizes)):
                    probability = share * self.language.fill_probability(before, written, after, order)
                    tokens = (*before, *itertools.chain(*written), *after)
                    marks = (*state.frozen[:start], *[False] * sum(sizes), *state.frozen[stop:])
                    key, back = (old, new, at, written), (new, old, at, removed)
                    if probability > 0:
                        yield Path(key, back, State(tokens, marks), probability, kind)
            if nothing:
                yield Path(("too long", kind), None, state, nothing, kind)

    def _words(self, size: int) -> Iterable[Word]:
        first, more = self.language.fits(begins=True), self.language.fits(begins=False)
        return itertools.product(first, *[more] * (size - 1))


@dataclass
class SwapLaw:
    """Exchange two words without frozen tokens."""

    language: Language
    sites: int = 0
    kinds: int = 1

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        words, free = self.language.words(state), self.language.free(state)
        pairs = list(itertools.combinations([at for at, is_free in enumerate(free) if is_free], 2))
        if not pairs:
            yield Path("null", None, state, 1.0, 0)
        marks = [tuple(m) for m in _cut(state.frozen, [len(word) for word in words])]
        for i, j in pairs:
            turned = list(zip(words, marks, strict=True))
            turned[i], turned[j] = turned[j], turned[i]
            tokens = tuple(token for word, _ in turned for token in word)
            target = State(tokens, tuple(mark for _, group in turned for mark in group))
            yield Path((i, j), (i, j), target, 1 / len(pairs), 0)


@dataclass
class MixtureLaw:
    """One of several kernels, with fixed probabilities."""

    parts: Sequence[tuple[Kernel, float]]

    @property
    def sites(self) -> int:
        return max(part.sites for part, _ in self.parts)

    @property
    def kinds(self) -> int:
        return sum(part.kinds for part, _ in self.parts)

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        offset = 0
        for number, (part, weight) in enumerate(self.parts):
            for key, back, target, probability, kind in part.paths(state, order):
                back = None if back is None else (number, back)
                yield Path((number, key), back, target, weight * probability, kind + offset)
            offset += part.kinds


def orders(kernel: Kernel) -> list[Order]:
    """All orders in which sites can be filled, each as likely as the others."""
    return list(itertools.permutations(range(kernel.sites)))


def closure(kernel: Kernel, start: State) -> list[State]:
    """All states that paths lead to from `start`."""
    order = tuple(range(kernel.sites))
    found, fresh = {start}, [start]
    while fresh:
        fresh = sorted({path.target for state in fresh for path in kernel.paths(state, order)} - found)
        found.update(fresh)
    return sorted(found, key=lambda state: (len(state.tokens), state))


def target_law(energies: Floats, temperature: float = 1.0) -> Floats:
    """(S,) probabilities in proportion to exp(-energy / temperature)."""
    weights = np.exp(-(energies - energies.min()) / temperature)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


@dataclass
class Chain:
    """What Metropolis-Hastings does on a list of states.

    Attributes:
        proposal: (S, S) probability that a step proposes state j (null moves propose the state itself).
        matrix: (S, S) transition matrix.
        log_ratios: (i, kind, j) -> the log acceptance ratios of the paths with a way back.
    """

    proposal: Floats
    matrix: Floats
    log_ratios: dict[tuple[int, int, int], list[float]]


def metropolis_hastings(kernel: Kernel, states: Sequence[State], energies: Floats, temperature: float = 1.0) -> Chain:
    """Transition matrix by enumeration of orders and paths; rows of forbidden states stay where they are."""
    number = {state: i for i, state in enumerate(states)}
    proposal, matrix = np.zeros((2, len(states), len(states)))
    ratios: dict[tuple[int, int, int], list[float]] = {}
    every = orders(kernel)
    for order in every:
        going = [{path.key: path for path in kernel.paths(state, order)} for state in states]
        for i, paths in enumerate(going):
            for path in paths.values():
                j = number[path.target]
                share = path.probability / len(every)
                proposal[i, j] += share
                back = None if path.back is None else going[j].get(path.back)
                if back is None or math.inf in (energies[i], energies[j]):
                    continue
                log_ratio = (energies[i] - energies[j]) / temperature
                log_ratio += math.log(back.probability) - math.log(path.probability)
                matrix[i, j] += share * math.exp(min(0.0, log_ratio))
                ratios.setdefault((i, path.kind, j), []).append(log_ratio)
    matrix[np.diag_indices(len(states))] += 1 - matrix.sum(1)
    return Chain(proposal, matrix, ratios)


def _cut(row: Sequence[bool], sizes: Iterable[int]) -> Iterator[Sequence[bool]]:
    at = 0
    for size in sizes:
        yield row[at : at + size]
        at += size
