"""An independent reference for the informed proposals: every path enumerated, in plain Python and NumPy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from tests.reference import Floats, Language, Order, Path, State


@dataclass
class SeeingLanguage(Language):
    """Conditionals that look at the token which stands at the place itself, too.

    Attributes:
        own: (V, V) logits by the token that stands there, token asked for.
    """

    own: Floats = field(kw_only=True)

    def conditional(self, tokens: tuple[int, ...], place: int) -> Floats:
        """(V,) what the model says at `place` of the text as it stands."""
        law = super().conditional(tokens, place) * np.exp(self.own[tokens[place]])
        return np.asarray(law / law.sum(), dtype=np.float64)


@dataclass
class InformedLaw:
    """What the laws share.

    Attributes:
        language: the conditionals.
    """

    language: Language
    sites: int = field(default=0, kw_only=True)
    kinds: int = field(default=1, kw_only=True)

    def open(self, state: State) -> list[int]:
        """The places of the tokens that can change."""
        words, free = self.language.words(state), self.language.free(state)
        marks = [is_free for word, is_free in zip(words, free, strict=True) for _ in word]
        return [place for place, is_free in enumerate(marks) if is_free and self.others(state, place)]

    def others(self, state: State, place: int) -> list[int]:
        """The tokens that may come to stand there."""
        old = state.tokens[place]
        return [token for token in self.language.fits(begins=not self.language.continues[old]) if token != old]

    def ratio(self, state: State, place: int, value: int) -> float:
        """c(value | text) / c(what stands there | text)."""
        law = self.language.conditional(state.tokens, place)
        return float(law[value] / law[state.tokens[place]])


def changed(state: State, changes: dict[int, int]) -> State:
    """The text with other tokens at some places."""
    return State(tuple(changes.get(place, token) for place, token in enumerate(state.tokens)), state.frozen)


@dataclass
class PathLaw(InformedLaw):
    """`count` changes one after another, in proportion to g(ratio^power) at the text before the first of them."""

    g: Callable[[float], float]
    power: float
    count: int

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        weights = {
            place: {value: self.g(self.ratio(state, place, value) ** self.power) for value in self.others(state, place)}
            for place in self.open(state)
        }
        if not weights:
            yield Path("null", None, state, 1.0, 0)
            return
        for places in itertools.permutations(weights, min(self.count, len(weights))):
            for values in itertools.product(*(weights[place] for place in places)):
                probability, left = 1.0, dict(weights)
                for place, value in zip(places, values, strict=True):
                    probability *= weights[place][value] / math.fsum(math.fsum(each.values()) for each in left.values())
                    del left[place]
                steps = tuple(zip(places, values, strict=True))
                back = tuple((place, state.tokens[place]) for place in reversed(places))
                yield Path(steps, back, changed(state, dict(steps)), probability, 0)


@dataclass
class AllSitesLaw(InformedLaw):
    """Every place by itself, in proportion to sqrt(ratio^power), times exp(-1 / (2 step size)) for a change."""

    step_size: float
    power: float

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        places = self.open(state)
        if not places:
            yield Path("null", None, state, 1.0, 0)
            return
        laws = []
        for place in places:
            weights = {state.tokens[place]: 1.0}
            for value in self.others(state, place):
                ratio = self.ratio(state, place, value) ** self.power
                weights[value] = math.sqrt(ratio) * math.exp(-1 / (2 * self.step_size))
            laws.append({value: weight / math.fsum(weights.values()) for value, weight in weights.items()})
        old = tuple(state.tokens[place] for place in places)
        for values in itertools.product(*laws):
            probability = math.prod(law[value] for law, value in zip(laws, values, strict=True))
            yield Path(values, old, changed(state, dict(zip(places, values, strict=True))), probability, 0)


@dataclass
class MetropolisedGibbsLaw(InformedLaw):
    """A place by the probability that its Gibbs step would change it, to a power, and another token as that step would.

    Attributes:
        power: 0 for all places alike.
    """

    power: float

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        laws = {place: self.language.conditional(state.tokens, place) for place in self.open(state)}
        if not laws:
            yield Path("null", None, state, 1.0, 0)
            return
        doubts = {place: (1 - law[state.tokens[place]]) ** self.power for place, law in laws.items()}
        for place, law in laws.items():
            others = self.others(state, place)
            for value in others:
                share = law[value] / math.fsum(law[other] for other in others)
                probability = float(doubts[place] / math.fsum(doubts.values()) * share)
                yield Path((place, value), (place, state.tokens[place]), changed(state, {place: value}), probability, 0)
