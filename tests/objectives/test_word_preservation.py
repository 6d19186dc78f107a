from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from objectives import InputEmbeddings, WordPreservation
from objectives.diversity import plain_words
from objectives.word_preservation import keywords_of
from tests.models.tiny import TEXTS as TINY_TEXTS
from tests.models.tiny import Tiny, tiny
from textsearch.objective import Cost, FunctionObjective
from textsearch.testing import LawBroken, check_objective

from .laws import ENGLISH, TEXTS, energies
from .test_similarity import Bag

__all__ = ["tiny"]


@pytest.mark.parametrize("sources", ["the old cat", [f"{text} dog" for text in TEXTS]])
def test_rows_do_not_mix(sources: str | Sequence[str]) -> None:
    objective = WordPreservation(Bag(), sources)
    check_objective(objective, ENGLISH.encode(TEXTS))
    assert objective.cost is Cost.CHEAP


def test_keywords_of_the_batch_are_caught() -> None:
    """The broken twin: a word is kept if any row holds it."""
    twin = FunctionObjective(lambda texts: [float("cat" not in " ".join(texts))] * len(texts))
    with pytest.raises(LawBroken):
        check_objective(twin, ENGLISH.encode(TEXTS))


@pytest.mark.parametrize("k", [0.1, 10.0, 200.0])
def test_against_the_definition(k: float) -> None:
    wanted, bag = ["dog", "clap", "well"], Bag()
    found = energies(WordPreservation(bag, "the dog", [wanted], k=k))
    for text, value in zip(TEXTS, found, strict=True):
        own = plain_words(text)
        if not own:
            assert value == pytest.approx(-math.log(0.01))
            continue
        vectors = {word: bag.encode([word])[0].double().tolist() for word in [*own, *wanted]}
        nearest = [max(sum(a * b for a, b in zip(vectors[w], vectors[v], strict=True)) for v in own) for w in wanted]
        smooth = -math.log(sum(math.exp(-k * value) for value in nearest) / len(nearest)) / k
        assert min(nearest) - 1e-9 <= smooth <= sum(nearest) / len(nearest) + 1e-9
        assert value == pytest.approx(-math.log(max(smooth, 0.01)), abs=1e-9)


def test_source_keeps_its_words() -> None:
    assert energies(WordPreservation(Bag(), ENGLISH.encode(TEXTS).texts()))[0] == pytest.approx(0.0, abs=1e-6)


def test_keywords() -> None:
    assert keywords_of("What is the best way to learn Chess?") == ["best", "way", "learn", "chess"]
    assert keywords_of("How are you?") == ["how", "are", "you"]


def test_input_embeddings(tiny: Tiny) -> None:
    model = tiny.masked()
    vectors = InputEmbeddings(model)
    words = ["dog", "slowly", "", "dog"]
    found = vectors.encode(words)
    assert found.dtype == torch.float64
    assert torch.equal(found, torch.cat([vectors.encode([word]) for word in words]))
    weights = model.model.get_input_embeddings().weight.detach().double()
    mean = weights[model.vocabulary.allowed].mean(0)
    row = model.vocabulary.encode(["slowly"]).token_lists()[0]
    expected: Tensor = weights[row].mean(0) - mean
    assert torch.allclose(found[1], expected / expected.norm(), atol=1e-6)
    check_objective(WordPreservation(vectors, "the dog ran"), model.vocabulary.encode(TINY_TEXTS))


def test_wrong_input_is_one_error() -> None:
    for settings, message in (
        ({"sources": []}, "sources is empty"),
        ({"sources": "a", "k": 0.0}, "k=0.0"),
        ({"sources": ["a"] * 3, "keywords": [["a"], ["b"]]}, "sources has 3 values, but keywords has 2"),
    ):
        with pytest.raises(ValueError, match=message):
            WordPreservation(Bag(), **settings)
