"""Copy moves against an enumerated transition matrix, and their broken twins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from samplers import MetropolisHastings
from samplers.proposals import Copy, Mixture, Replace
from tests.reference import Language, MixtureLaw, Order, Path, SpanEditLaw, State, Word
from tests.samplers.laws import Case
from tests.samplers.toys import Toy, language_of
from textsearch import generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective
from textsearch.proposal import Move
from textsearch.rng import Rng
from textsearch.testing import TableMaskedLM, letters

WEIGHTS = (0.15, 0.35, 0.3, 0.2)


@dataclass
class CopyLaw:
    """Insert, delete, copy and write, word by word."""

    language: Language
    source: tuple[Word, ...]
    pieces: tuple[float, ...]
    max_length: int
    kinds: int = 4

    @property
    def sites(self) -> int:
        return len(self.pieces)

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        words, free = self.language.words(state), self.language.free(state)
        anywhere = [at for at in range(len(words)) if free[at]]
        copied = [at for at in anywhere if words[at] in self.source]
        sites: list[list[int]] = [list(range(len(words) + 1)), copied, anywhere, copied]
        for kind, (places, chance) in enumerate(zip(sites, WEIGHTS, strict=True)):
            left = chance
            for at in places:
                removed = () if kind == 0 else (words[at],)
                for word, law in self.written(kind):
                    target, before, after = self.spliced(state, words, at, len(removed), word)
                    share = chance / len(places) * law
                    if kind == 3:
                        share *= self.language.fill_probability(before, word, after, order)
                    if len(target.tokens) > self.max_length or share == 0:
                        continue
                    left -= share
                    yield Path((kind, at, word), ((1, 0, 3, 2)[kind], at, removed), target, share, kind)
            if left > 1e-14:
                yield Path(("null", kind), None, state, left, kind)

    def written(self, kind: int) -> Iterator[tuple[tuple[Word, ...], float]]:
        """What may be put in place, with its probability, but for that of the pieces."""
        if kind == 1:
            yield (), 1.0
        elif kind == 3:
            first, more = self.language.fits(True), self.language.fits(False)
            for size, share in enumerate(self.pieces, 1):
                for word in itertools.product(first, *[more] * (size - 1)):
                    yield (word,), share
        else:
            for word in self.source:
                yield (word,), 1 / len(self.source)

    def spliced(
        self, state: State, words: list[Word], at: int, removed: int, put: tuple[Word, ...]
    ) -> tuple[State, Word, Word]:
        start = sum(map(len, words[:at]))
        stop = start + sum(map(len, words[at : at + removed]))
        middle = tuple(itertools.chain(*put))
        before, after = state.tokens[:start], state.tokens[stop:]
        marks = (*state.frozen[:start], *[False] * len(middle), *state.frozen[stop:])
        return State((*before, *middle, *after), marks), before, after


def copy_toy(
    alphabet: str, source: str, start: str, pieces: tuple[float, ...] = (1.0,), max_length: int = 3, **target: float
) -> Toy:
    """A toy of copy moves; pieces in upper case go on a word."""
    vocabulary = letters(alphabet)
    model = TableMaskedLM.random(vocabulary, seed=4)
    language = language_of(model)
    tokens = tuple(vocabulary.encode([source]).token_lists()[0])
    words = tuple(dict.fromkeys(language.words(State(tokens, (False,) * len(tokens)))))
    law = CopyLaw(language, words, pieces, max_length)
    return Toy(Copy(model, source, WEIGHTS, pieces, max_length), law, vocabulary, start, **target)


PLAIN = copy_toy("abc", "cbc", "ab", forbidden=0.1)


@dataclass(frozen=True, eq=False)
class Broken:
    """Copy moves with the log-probability of the way back changed."""

    proposal: Copy
    change: Callable[[Batch, Move], Tensor]

    @property
    def vocabulary(self) -> Vocabulary:
        return self.proposal.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.proposal.kinds

    def check(self, batch: Batch) -> None:
        self.proposal.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        move = self.proposal.propose(batch, rng)
        return replace(move, log_backward=move.log_backward + self.change(batch, move))


def _words_left_out(batch: Batch, move: Move) -> Tensor:
    """How many words of the source there are counts neither for copies nor against."""
    copies = (move.kind == 0) | (move.kind == 2)
    return torch.where(copies, -1.0, 1.0).double() * math.log(2)


def _counted_before(batch: Batch, move: Move) -> Tensor:
    """The words of the source counted in the text before the move, not after it, for the way back of an insertion."""
    before, after = [
        torch.stack([(texts.tokens == token).sum(1) for token in (2, 3)]).sum(0) for texts in (batch, move.batch)
    ]
    inserted = (move.kind == 0) & (move.log_backward > -math.inf)
    return torch.where(inserted, after.double().log() - before.clamp(min=1).double().log(), 0.0)


def _weights_left_out(batch: Batch, move: Move) -> Tensor:
    """As if both ways were as likely to be tried."""
    return torch.tensor([math.log(WEIGHTS[kind] / WEIGHTS[(1, 0, 3, 2)[kind]]) for kind in range(4)]).double()[
        move.kind
    ]


TWINS = {
    "the number of source words left out": _words_left_out,
    "source words counted before the insertion": _counted_before,
    "weights of the moves left out": _weights_left_out,
}


def case(toy: Toy, **twins: Callable[[Batch, Move], Tensor]) -> Case:
    assert isinstance(toy.proposal, Copy)
    broken = {name: MetropolisHastings(Broken(toy.proposal, change)) for name, change in twins.items()}
    return Case(toy, MetropolisHastings(toy.proposal), lambda: toy.chain.matrix, broken)


CASE = case(PLAIN, **TWINS)
VARIANTS = {
    "many pieces": case(copy_toy("abC", "aCb", "aC", (0.6, 0.4), 3)),
    "frozen": case(copy_toy("ab", "b", "a!ba", temperature=0.8)),
    "words too long to be written": case(copy_toy("aBc", "aBBc", "cB", (1.0,), 4)),
}


def mixed() -> Case:
    """With another proposal, which writes words that no copy could."""
    proposal, law = PLAIN.proposal, PLAIN.law
    assert isinstance(proposal, Copy) and isinstance(law, CopyLaw)
    both: Any = Mixture({proposal: 0.5, Replace(proposal.mlm, max_length=3): 0.5})
    own = MixtureLaw([(law, 0.5), (SpanEditLaw(law.language, {(1, 1): 1.0}, (1.0,), 3), 0.5)])
    return case_of(Toy(both, own, PLAIN.vocabulary, "ab"))


def case_of(toy: Toy) -> Case:
    return Case(toy, MetropolisHastings(toy.proposal), lambda: toy.chain.matrix)


VARIANTS["with replacements"] = mixed()


def test_each_input_copies_its_own_source() -> None:
    model = TableMaskedLM.random(letters("abcd"), seed=1)
    sampler = MetropolisHastings(Copy(model, ["b", "c"], (0.4, 0.2, 0.3, 0.1), max_length=3))
    longer = FunctionObjective(lambda texts: [-8.0 * len(text) - 8.0 * (len(set(text)) == 1) for text in texts])
    found = generate(longer, sampler, ["a", "a"], steps=60, seed=3).texts
    assert set(found[0]) <= set("abcd") and "b" in found[0]
    assert "c" in found[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sources": []}, "sources is empty"),
        ({"sources": ["a", ""]}, "'' has no word"),
        ({"sources": "a", "weights": (0.5, 0.5, 0.0, 0.0)}, r"weights\[2\]=0.0"),
    ],
)
def test_wrong_input_is_one_error(settings: dict[str, Any], message: str) -> None:
    model = TableMaskedLM.random(letters("ab"), seed=1)
    with pytest.raises(ValueError, match=message):
        Copy(model, **settings)


def test_inputs_without_a_source_are_refused() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=1)
    with pytest.raises(ValueError, match="sources has 2 values, but there are 3 inputs"):
        Copy(model, ["a", "b"]).check(letters("ab").encode(["a", "b", "a"]))
    with pytest.raises(ValueError, match="max_length"):
        Copy(model, "a", max_length=1).check(letters("ab").encode(["ab"]))


def test_lines_of_a_source_are_read_by_themselves() -> None:
    """A source may be longer than the model reads at once, if none of its lines is; a line break is no letter."""
    model = TableMaskedLM.random(letters("abc"), seed=0)
    lines, whole = Copy(model, "ab\nca\n\nb", max_length=4), Copy(model, "abcab", max_length=4)
    assert torch.equal(lines._words, whole._words)
