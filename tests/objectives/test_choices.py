from __future__ import annotations

import math
import pickle

import pytest
import torch
from torch import Tensor

from objectives.choices import Choices
from tests.models.tiny import byte_tokenizer
from textsearch.batch import Batch, Vocabulary
from textsearch.beginnings import Beginnings
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.objective import Cost, Objective
from textsearch.testing import ByteVocabulary, LawBroken, check_beginnings, every_row

from .laws import ENGLISH

INF = math.inf
PIECES = ByteVocabulary((b"_", b"a", b"b", b"ab", b"ba", b"\xc3", b"\xa9", b"\xa8"))
TEXTS = ["aba", "ab", "é", "bé", "", "aé"]


def reached(objective: Objective, vocabulary: Vocabulary, longest: int) -> set[tuple[int, ...]]:
    """The rows that can be written under the mask and ended."""
    found, waiting = set(), [()]
    while waiting:
        row: tuple[int, ...] = waiting.pop()
        mask = objective.allowed_next(Beginnings(vocabulary, 0, [row], [0]))
        assert mask is not None
        tokens = mask[0].nonzero().squeeze(-1).tolist()
        if 0 in tokens:
            found.add(row)
        if len(row) < longest:
            waiting += [(*row, token) for token in tokens if token]
    return found


def test_what_the_mask_lets_through_is_what_the_choices_are() -> None:
    choices = Choices(TEXTS)
    assert reached(choices, PIECES, 5) == set(map(tuple, PIECES.encode(TEXTS).token_lists()))


def test_proofs_are_complete_and_kill_nothing() -> None:
    report = check_beginnings(Choices(TEXTS), every_row(PIECES, 3))
    assert "401 beginnings" not in str(report)
    assert "proven" in str(report)


class Hasty(Objective):
    """A broken twin: a beginning of a choice that is no choice itself is called impossible."""

    def __init__(self) -> None:
        self.choices = Choices(TEXTS)

    def energy(self, batch: Batch) -> Tensor:
        return self.choices.energy(batch)

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        return self.energy(Batch.of(beginnings.rows, beginnings.vocabulary)) == INF


def test_a_twin_that_kills_a_living_beginning_is_caught() -> None:
    with pytest.raises(LawBroken, match="nothing that fits"):
        check_beginnings(Hasty(), every_row(PIECES, 3))


def test_a_beginning_may_end_within_a_character() -> None:
    dead = Choices(["é", "b"]).impossible(Beginnings(PIECES, 0, [[5], [5, 7], [6], [2, 5]], [0] * 4))
    assert dead is not None and dead.tolist() == [False, True, True, True]


def test_real_tokens_and_one_list_for_each_input() -> None:
    vocabulary = TokenizerVocabulary(byte_tokenizer(), 63)
    choices = Choices([["the dog", "the cat 今"], ["no"]])
    rows = vocabulary.encode(["the dog", "the cat 今", "no"]).token_lists()
    for number, row in ((0, rows[0]), (0, rows[1]), (1, rows[2])):
        begun = [row[:size] for size in range(len(row) + 1)]
        mask = choices.allowed_next(Beginnings(vocabulary, 0, begun, [number] * len(begun)))
        dead = choices.impossible(Beginnings(vocabulary, 0, begun, [1 - number] * len(begun)))
        assert mask is not None and dead is not None
        assert all(mask[place, token] for place, token in enumerate([*row, 0]))
        assert dead.tolist() == [False] + [True] * len(row)
    assert choices.energy(vocabulary.encode(["the dog", "no"])).tolist() == [0, 0]


def test_without_bytes_nothing_is_known() -> None:
    begun = Beginnings(ENGLISH, 0, [[2]], [0])
    assert Choices(["the dog"]).allowed_next(begun) is None
    assert Choices(["the dog"]).impossible(begun) is None


def test_bad_choices() -> None:
    with pytest.raises(ValueError, match="choices is empty"):
        Choices([])
    with pytest.raises(TypeError, match="choices='a' is one string; pass a list of texts"):
        Choices("a")
    with pytest.raises(ValueError, match=r"choices=\['c', 'Ã'\]: the vocabulary of the model can write none"):
        Choices(["c", "Ã"]).check(PIECES.encode(["a"]))
    Choices(["c", "a"]).check(PIECES.encode(["a"]))  # the control


def test_value() -> None:
    choices = Choices(["b", "a", "b"])
    assert choices == Choices(("b", "a", "b")) and choices != Choices(["a"])
    assert (choices.name, choices.cost, choices.lower_bound) == ("choices", Cost.HARD, 0)
    choices.allowed_next(Beginnings(PIECES, 0, [[]], [0]))
    again = pickle.loads(pickle.dumps(choices))
    assert again == choices and again.energy(PIECES.encode(["a", "ab"])).tolist() == [0, INF]
    assert torch.equal(again.energy(PIECES.encode([])), torch.zeros(0, dtype=torch.float64))
