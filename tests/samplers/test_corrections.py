from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from samplers import MetropolisHastings
from samplers.proposals.clusters import Clusters
from samplers.proposals.corrections import Corrections
from tests.reference import Floats, Order, Path, State
from tests.samplers.informed_reference import SeeingLanguage
from tests.samplers.informed_toys import SeeingMaskedLM
from tests.samplers.laws import Case
from tests.samplers.toys import Toy, language_of
from textsearch.batch import Batch
from textsearch.language.confusions import ListedConfusions
from textsearch.language.words import TIGHT, WordVocabulary, split
from textsearch.proposal import Move
from textsearch.rng import Rng
from textsearch.testing import LetterVocabulary, letters

WORDS = ("a", "b", "c", "ab", "a.")
# "a.", which the model has no pieces for, is read as a mask
PIECES: Mapping[int, tuple[int, ...]] = {1: (1,), 2: (2,), 3: (3,), 4: (1, 2), 5: (0,)}
JOINED = ("a", TIGHT + "b", "c", TIGHT + "ab", "a.")
"""The same where two words go on what stands before them; the first may be inserted, where a word ends only."""
OTHERS: Mapping[int, tuple[int, ...]] = {1: (4, 3), 2: (5,), 3: (1, 4), 4: (3, 1), 5: (2,)}
"""What may stand for a word."""
INSERTED = (2, 1)
DELETION, POWER, WINDOW = -0.3, 0.7, 1


def clusters(log_weights: Floats, own: Sequence[str] = WORDS, sealed: Sequence[int] = ()) -> Clusters:
    """The same for all inputs; no word ends a sentence."""
    members = torch.full((5, 2), -1)
    weights = torch.full((2, 5, 2), -torch.inf, dtype=torch.float64)
    for word, others in OTHERS.items():
        members[word - 1, : len(others)] = torch.tensor(others)
        weights[:, word - 1, : len(others)] = torch.from_numpy(log_weights[:, word - 1, : len(others)])
    words = torch.arange(1, 6)
    missing = torch.tensor([0.4, -0.6], dtype=torch.float64)
    vocabulary = WordVocabulary.of(own)
    shut = torch.tensor(sorted(sealed), dtype=torch.int64)
    return Clusters(vocabulary, members, weights, words, words - 1, torch.tensor(INSERTED), missing, True, shut)


@dataclass
class CorrectionsLaw:
    """All paths, from the formulas."""

    language: SeeingLanguage
    log_weights: Floats
    max_length: int
    words: Sequence[str] = WORDS
    sealed: Sequence[int] = ()
    sites: int = 0
    kinds: int = 3

    def pieces(self, words: Sequence[int]) -> tuple[int, ...]:
        return tuple(itertools.chain(*(PIECES[word] for word in words)))

    def suits(self, words: Sequence[int], start: int, stop: int, word: int) -> float:
        """p(word | masks)^power, from the words next to the place."""
        left, own = self.pieces(words[max(start - WINDOW, 0) : start]), PIECES[word]
        text = (*left, *[0] * len(own), *self.pieces(words[stop : stop + WINDOW]))
        laws = (self.language.conditional(text, len(left) + at)[piece] for at, piece in enumerate(own))
        return float(math.prod(float(p) for p in laws) ** POWER)

    def may(self, left: Sequence[int], word: int, right: Sequence[int]) -> bool:
        """Nothing comes before a word that goes on another; one that does so itself comes after a letter.

        Nothing comes before a sealed word, and none that goes on it behind it.
        """
        joined = {number for number, own in enumerate(self.words, 1) if own[0] == TIGHT}
        if right and right[0] in {*joined, *self.sealed}:
            return False
        return word not in joined or (
            bool(left) and left[-1] not in self.sealed and self.words[left[-1] - 1][-1].isalpha()
        )

    def paths(self, state: State, order: Order) -> Iterator[Path]:
        found = list(self.edits(state))
        total = sum(share for *_, share in found)
        for kind, key, back, target, share in found:
            yield Path(key, back, target, share / total, kind)

    def edits(self, state: State) -> Iterator[tuple[int, Any, Any, State, float]]:
        words, frozen = state
        for at, old in enumerate(words):
            if frozen[at]:
                continue
            for i, word in enumerate(OTHERS[old]):
                t = self.suits(words, at, at + 1, word) / self.suits(words, at, at + 1, old)
                t *= math.exp(self.log_weights[int(at == 0), old - 1, i])
                target = State((*words[:at], word, *words[at + 1 :]), frozen)
                yield 0, ("replace", at, word), ("replace", at, old), target, t / (1 + t)
            if old in INSERTED and self.may(words[:at], old, words[at + 1 :]):
                t = math.exp(DELETION) / self.suits(words, at, at + 1, old)
                target = State((*words[:at], *words[at + 1 :]), (*frozen[:at], *frozen[at + 1 :]))
                yield 2, ("delete", at), ("insert", at, old), target, t / (1 + t)
        if len(words) < self.max_length:
            for gap, (word, missing) in itertools.product(
                range(len(words) + 1), zip(INSERTED, (0.4, -0.6), strict=True)
            ):
                if not self.may(words[:gap], word, words[gap:]):
                    continue
                t = self.suits(words, gap, gap, word) * math.exp(missing)
                target = State((*words[:gap], word, *words[gap:]), (*frozen[:gap], False, *frozen[gap:]))
                yield 1, ("insert", gap, word), ("delete", gap), target, t / (1 + t)


@dataclass(frozen=True, eq=False)
class WordToy(Toy):
    """A toy whose states are words, written as their numbers."""

    def state(self, marked: str) -> State:
        tokens = tuple(int(digit) for digit in marked if digit != "!")
        return State(tokens, tuple(marked[at - 1 : at] == "!" for at, digit in enumerate(marked) if digit != "!"))


def word_toy(
    start: str, max_length: int = 2, words: Sequence[str] = WORDS, sealed: Sequence[int] = (), **target: float
) -> WordToy:
    pieces = letters("abc")
    model = SeeingMaskedLM.random(pieces, seed=9)
    tables = language_of(model.blind)
    language = SeeingLanguage(tables.table, tables.by_length, tables.continues, own=model.own.numpy())
    log_weights = np.random.default_rng(5).normal(size=(2, 5, 2))
    proposal = Corrections(
        model,
        clusters(log_weights, words, sealed),
        power=POWER,
        deletion=DELETION,
        window=WINDOW,
        max_length=max_length,
    )
    return WordToy(
        proposal,
        CorrectionsLaw(language, log_weights, max_length, words, sealed),
        proposal.vocabulary,  # type: ignore[arg-type]
        start,
        **target,
    )


TOY = word_toy("12", temperature=0.8)
TOYS = {
    "frozen": word_toy("1!", max_length=2),
    "forbidden texts": word_toy("1", forbidden=0.2),
    "a text without edits": word_toy("1!", max_length=1),
    "slots that are shut": word_toy("12", words=JOINED),
    "sealed words": word_toy("1", words=JOINED, sealed=(1,)),
}


@dataclass(frozen=True, eq=False)
class Twin:
    """The same moves with one fault in what they say of themselves."""

    right: Corrections
    fault: str

    @property
    def vocabulary(self) -> Any:
        return self.right.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.right.kinds

    def check(self, batch: Batch) -> None:
        self.right.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        move = self.right.propose(batch, rng)
        here, there = (self.right._edits(part.widen(1)).log_total for part in (batch, move.batch))
        change = there - here if self.fault == "sum" else torch.where(move.kind == 1, 0.6, 0.0)
        return Move(move.batch, move.log_forward, move.log_backward + change.nan_to_num(0.0, 0.0, 0.0), move.kind)


def listed_twice(right: Clusters) -> Clusters:
    """As though nobody looked: every insertion of the word is there twice, with one way back."""
    found = replace(right)
    object.__setattr__(found, "inserted", torch.tensor([2, 1, 2]))
    object.__setattr__(found, "missing", right.missing[[0, 1, 0]])
    return found


PROPOSAL = TOY.proposal
assert isinstance(PROPOSAL, Corrections)
TWINS = {
    "the sum over the edits of the old text serves both ways": MetropolisHastings(Twin(PROPOSAL, "sum")),
    "a deletion likelier on the way back than it is": MetropolisHastings(Twin(PROPOSAL, "deletion")),
    "a word that is listed twice": MetropolisHastings(replace(PROPOSAL, clusters=listed_twice(PROPOSAL.clusters))),
}
CASE = Case(TOY, MetropolisHastings(PROPOSAL), lambda: TOY.chain.matrix, TWINS)
VARIANTS = {
    name: Case(toy, MetropolisHastings(toy.proposal), lambda toy=toy: toy.chain.matrix)  # type: ignore[misc]
    for name, toy in TOYS.items()
}

LISTED = ListedConfusions({"then": {"than": "confusion"}, "Their": {"There": "confusion"}}, inserted=("a", ","))


def around(rows: list[list[str]]) -> Clusters:
    return Clusters.of(rows, LISTED)


def others(found: Clusters, own: int, word: str) -> dict[str, tuple[float, float]]:
    """What may stand for a word of an input, with the weights."""
    home = int(found.homes_of(torch.tensor([own]), torch.tensor([found.vocabulary.number[word]])))
    if home < 0:
        return {}
    inside, begins = found.log_weights[:, home].tolist()
    members = found.members[home].tolist()
    return {found.vocabulary.tokens[m]: (inside[i], begins[i]) for i, m in enumerate(members) if m >= 0}


def test_clusters_belong_to_their_input() -> None:
    found = around([["more", "then"], ["than", "a"]])
    assert others(found, 0, "than").keys() == {"then", "Than"}
    assert others(found, 0, "more") == others(found, 1, "then") == others(found, 1, "than") == {}


def test_clusters_of_an_input_do_not_depend_on_the_others() -> None:
    alone, both = around([["Their", "then"]]), around([["then", "x"], ["Their", "then"]])
    for word in alone.vocabulary.tokens:
        assert others(alone, 0, word) == others(both, 1, word)
    assert others(both, 0, "There") == {}


def test_what_may_replace_a_word_may_be_replaced_by_it() -> None:
    found = around([["Their", "then", "than"]])
    for word in found.vocabulary.tokens:
        for other, (inside, begins) in others(found, 0, word).items():
            assert others(found, 0, other)[word] == pytest.approx((inside, begins))


def test_a_capital_is_likelier_where_a_sentence_begins() -> None:
    inside, begins = zip(*(others(around([["Their"]]), 0, "Their")[word] for word in ("There", "there")), strict=True)
    assert begins[0] > begins[1] + 5
    assert inside[0] < inside[1] + 2


def test_the_gap_before_a_word_stays() -> None:
    found = around([split("so (then)")])
    assert TIGHT + "than" in found.vocabulary.tokens
    assert TIGHT + "," in found.vocabulary.tokens


def test_what_is_sealed_is_sealed_for_its_input() -> None:
    rows = [["see", "x()", "then"], ["see", "x()", "then"]]
    found = Clusters.of(rows, LISTED, sealed=[["x()"], []])
    number = found.vocabulary.number
    code, word, inputs = torch.tensor([number["x()"]] * 2), torch.tensor([number["see"]] * 2), torch.tensor([0, 1])
    assert [found.vocabulary.tokens[word] for word in found.inserted.tolist()] == ["a", TIGHT + ","]
    assert found.open(word, code, inputs).tolist() == [[False, False], [True, True]]
    assert found.open(code, word, inputs).tolist() == [[True, False], [True, True]]


def test_a_question_asked_before_is_not_asked_again() -> None:
    class Counting:
        asked = 0

        def __init__(self) -> None:
            self.model = SeeingMaskedLM.random(letters("abc"), seed=0)

        @property
        def vocabulary(self) -> LetterVocabulary:
            return self.model.vocabulary

        def log_probs(self, batch: Batch, rows: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
            self.asked += len(batch)
            return self.model.log_probs(batch, rows, positions)

    model = Counting()
    reader = Corrections(model, clusters(np.zeros((2, 5, 2))), window=2).reader
    batch = reader.vocabulary.batch([["a", "ab"], ["a", "ab"], ["c", "ab"]])
    batch = replace(batch, inputs=torch.tensor([4, 4, 4]))
    one, words = torch.tensor([1, 1, 1]), torch.tensor([[1, 4], [1, 4], [2, -1]])
    first = reader.suits(batch, one, one + 1, words)
    assert model.asked == 2 + 1
    assert first[0].equal(first[1])
    assert reader.suits(batch.rows([2, 0]), one[:2], one[:2] + 1, words[[2, 0]]).equal(first[[2, 0]])
    assert model.asked == 3
    # another input may have another answer
    reader.suits(replace(batch, inputs=torch.tensor([4, 5, 4])), one, one + 1, words)
    assert model.asked == 5


def test_a_word_given_twice_is_inserted_as_often_as_one_given_once() -> None:
    """An insertion has one way back: were it drawn as two, flow in and out would differ by a factor of 2."""
    given = [ListedConfusions({"a": {"ab": "spelling"}}, inserted=inserted) for inserted in (("b", "b"), ("b",))]
    twice, once = (Clusters.of([["a", "a"]], one) for one in given)
    assert twice.inserted.tolist() == once.inserted.tolist()
    commas = Clusters.of([["a"]], ListedConfusions({}, inserted=(",", TIGHT + ",", ",")))
    assert [commas.vocabulary.tokens[number] for number in commas.inserted.tolist()] == [TIGHT + ","]
    right = clusters(np.zeros((2, 5, 2)))
    with pytest.raises(ValueError, match="inserted has 'b' 2 times; list each word once"):
        replace(right, inserted=torch.tensor([2, 1, 2]))
    with pytest.raises(ValueError, match="members has 'c' 2 times; list each word once"):
        replace(right, members=torch.tensor([[4, 3], [5, -1], [1, 4], [3, 3], [2, -1]]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"power": 0.0}, "power=0.0 must be"),
        ({"power": math.inf}, "power=inf must be"),
        ({"deletion": -math.inf}, "deletion=-inf must be"),
        ({"window": -1}, "window=-1 must be"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Corrections(SeeingMaskedLM.random(letters("ab"), seed=0), around([["a"]]), **settings)


def test_texts_that_it_cannot_work_on() -> None:
    with pytest.raises(ValueError, match="over max_length=2"):
        PROPOSAL.check(Batch.of([[1, 2, 3]], PROPOSAL.vocabulary))
    with pytest.raises(ValueError, match="vocabulary of the clusters"):
        PROPOSAL.check(letters("ab").encode(["a"]))
