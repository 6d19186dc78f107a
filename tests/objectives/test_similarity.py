from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from objectives import Similarity
from objectives.similarity import Encoder
from tests.models.tiny import tiny_encoder
from textsearch.models import sentence_encoder
from textsearch.models.encoder import SentenceEncoder
from textsearch.objective import Cost, FunctionObjective
from textsearch.testing import LawBroken, check_objective

from .laws import ENGLISH, TEXTS, energies


class Bag:
    """Counts of letters, at length 1."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Tensor:
        self.asked += texts
        counts = [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        return torch.nn.functional.normalize(torch.tensor(counts).float().reshape(-1, 26) + 1e-3, dim=1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    return sentence_encoder(tiny_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")


@pytest.mark.parametrize("texts", ["the cat", [f"{text} dog" for text in TEXTS]])
@pytest.mark.parametrize("at_least", [None, 0.8])
def test_rows_do_not_mix(texts: str | Sequence[str], at_least: float | None) -> None:
    check_objective(Similarity(Bag(), texts, at_least=at_least), ENGLISH.encode(TEXTS))


def test_rows_do_not_mix_with_a_real_encoder(encoder: SentenceEncoder) -> None:
    check_objective(Similarity(encoder, "the cat"), ENGLISH.encode(TEXTS))


def test_a_mean_over_the_batch_is_caught() -> None:
    """The broken twin: similarity to the mean of the batch."""

    def to_the_mean(texts: list[str]) -> list[float]:
        vectors = Bag().encode(texts)
        return [float(value) for value in 1 - vectors @ vectors.mean(0)] if texts else []

    with pytest.raises(LawBroken):
        check_objective(FunctionObjective(to_the_mean), ENGLISH.encode(TEXTS))


def test_against_the_definition() -> None:
    wanted = ["dog", "the dog", *["cat"] * (len(TEXTS) - 2)]
    vectors = Bag().encode([*ENGLISH.encode(TEXTS).texts(), *wanted]).double().tolist()
    for value, own, other in zip(energies(Similarity(Bag(), wanted)), vectors, vectors[len(TEXTS) :], strict=False):
        norms = sum(x * x for x in own) ** 0.5 * sum(x * x for x in other) ** 0.5
        assert value == pytest.approx(20.0 * (1.0 - sum(x * y for x, y in zip(own, other, strict=True)) / norms))


def test_a_text_is_like_itself() -> None:
    assert energies(Similarity(Bag(), ENGLISH.encode(TEXTS).texts())) == pytest.approx([0.0] * len(TEXTS), abs=1e-12)


def test_bound_forbids() -> None:
    found = energies(Similarity(Bag(), "the dog sat", at_least=0.99))
    assert found[0] == pytest.approx(0.0, abs=1e-12)
    assert found[3] == float("inf")


def test_texts_are_read_once() -> None:
    bag = Bag()
    objective = Similarity(bag, "cat")
    for _ in range(3):
        energies(objective)
    assert len(bag.asked) == len(set(bag.asked))


def test_it_is_a_model() -> None:
    objective: Encoder = Bag()
    assert Similarity(objective, "cat").cost is Cost.MODEL


def test_wrong_input_is_one_error() -> None:
    for settings, message in (
        ({"texts": []}, "texts is empty"),
        ({"texts": "a", "sharpness": 0.0}, "sharpness=0.0"),
        ({"texts": "a", "at_least": 1.5}, "at_least=1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            Similarity(Bag(), **settings)
