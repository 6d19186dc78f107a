"""Classifiers: each text's probabilities are its own, what is saved is what is loaded, and labels can be learnt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from objectives import Classifier
from tests.models.tiny import PIECES, TEXTS, Tiny, save, seeded, shape, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from textsearch.models import text_classifier
from textsearch.models.classifier import LinearClassifier, TransformersClassifier
from textsearch.objective import Cost
from textsearch.testing import check_objective


class Letters:
    """Encodes a text by how often it has each of five letters."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        counts = torch.tensor([[text.lower().count(letter) for letter in "adeot"] for text in texts]).float()
        return torch.nn.functional.normalize(counts.reshape(len(texts), 5) + 1e-3, dim=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT with three labels."""
    from transformers import BertConfig, BertForSequenceClassification

    names = {0: "bad", 1: "fair", 2: "good"}
    config = BertConfig(**shape(len(PIECES), max_position_embeddings=64), num_labels=3, id2label=names)
    return save(
        tmp_path_factory.mktemp("classifier"), seeded(BertForSequenceClassification, config), wordpiece_tokenizer()
    )


@pytest.fixture(scope="module")
def linear() -> LinearClassifier:
    return LinearClassifier.fit(
        Letters(), ["dad", "add", "dada", "toe", "toot", "eo"] * 3, ["d", "d", "d", "o", "o", "o"] * 3, seed=0
    )


def test_probabilities_are_those_of_transformers(folder: Path) -> None:
    model = text_classifier(folder, device="cpu")
    assert isinstance(model, TransformersClassifier)
    assert model.labels == ("bad", "fair", "good")
    for text in TEXTS:
        inputs = model.tokenizer([text], return_tensors="pt")
        wanted = model.model(**inputs).logits[0].log_softmax(0)
        torch.testing.assert_close(model.log_probs([text])[0], wanted.double(), atol=1e-5, rtol=1e-5)
    assert model.log_probs([]).shape == (0, 3)
    with pytest.raises(ValueError, match="over the classifier's limit"):
        model.log_probs(["a " * 80])


def test_the_term_obeys_the_laws(tiny: Tiny, folder: Path, linear: LinearClassifier) -> None:
    batch = tiny.masked().vocabulary.encode(TEXTS)
    for model, label in ((text_classifier(folder, device="cpu"), "good"), (linear, "o")):
        check_objective(Classifier(model, label), batch)
        mixed = Classifier(model, [label, *[model.labels[0]] * (len(TEXTS) - 1)])
        check_objective(mixed, batch)
        assert mixed.energy(batch)[0] == Classifier(model, label).energy(batch)[0]
        assert mixed.cost == Cost.MODEL
        log_probs = model.log_probs(batch.texts())
        torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(len(TEXTS), dtype=torch.float64))


class InBatch:
    """A broken twin: centres its answers over the batch."""

    labels = ("a", "b")

    def log_probs(self, texts: Sequence[str]) -> Tensor:
        counts = torch.tensor([[len(text), 0] for text in texts]).double().reshape(-1, 2)
        return (counts - counts.mean(0, keepdim=True)).log_softmax(1)


def test_the_law_catches_a_classifier_that_looks_at_the_batch(tiny: Tiny) -> None:
    with pytest.raises(AssertionError):
        check_objective(Classifier(InBatch(), "a"), tiny.masked().vocabulary.encode(TEXTS))


def test_fit_finds_the_penalised_optimum() -> None:
    """Its gradient, written out by hand, is zero; the control, a bias moved by a little, is not."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("adeot"), 8)) for _ in range(60)]
    labels = ["many" if text.count("a") > 1 else "few" for text in texts]
    model = LinearClassifier.fit(Letters(), texts, labels, seed=0)
    vectors = Letters().encode(texts).double()
    wanted = torch.tensor([[label == name for name in model.labels] for label in labels]).double()

    def bias_gradient(shift: float) -> float:
        probs = (vectors @ model.weight.T + model.bias + torch.tensor([shift, 0.0])).softmax(1)
        return float((probs - wanted).mean(0).abs().max())

    assert bias_gradient(0.0) < 1e-4 < bias_gradient(0.1)
    right = model.log_probs(texts).argmax(1) == wanted.argmax(1)
    assert right.double().mean() > 0.9
    again = LinearClassifier.fit(Letters(), texts, labels, seed=0)
    assert again.weight.equal(model.weight)


def test_what_is_saved_is_loaded(linear: LinearClassifier, tmp_path: Path) -> None:
    linear.save(tmp_path / "own")
    loaded = LinearClassifier.load(tmp_path / "own", Letters())
    assert loaded.labels == linear.labels
    assert loaded.log_probs(TEXTS).equal(linear.log_probs(TEXTS))
    with pytest.raises(ValueError, match="save a classifier there"):
        LinearClassifier.load(tmp_path, Letters())


def test_wrong_values_are_refused(linear: LinearClassifier, tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="label='x' is none of the classifier's: choose from d, o"):
        Classifier(linear, "x")
    with pytest.raises(ValueError, match="label is empty"):
        Classifier(linear, [])
    with pytest.raises(ValueError, match="2 texts have 1 labels"):
        LinearClassifier.fit(Letters(), ["a", "b"], ["x"], seed=0)
    with pytest.raises(ValueError, match="too few"):
        LinearClassifier.fit(Letters(), ["a"] * 9, ["x"] * 9, seed=0)
    with pytest.raises(ValueError, match="not a AutoModelForSequenceClassification checkpoint"):
        text_classifier(tiny.masked_path)
    batch = tiny.masked().vocabulary.encode(TEXTS)
    with pytest.raises(ValueError, match="label has 2 values, but there are 10 inputs"):
        Classifier(linear, ["d", "o"]).check(batch)
