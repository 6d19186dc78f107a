"""Models on their way to another process: recipes, loaded once, and no other model than was sent."""

from __future__ import annotations

import copy
import gc
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch

from objectives import Fluency
from samplers.proposals import Replace
from tests.models.tiny import PIECES, TEXTS, Tiny, bert, save, seeded, shape, tiny, tiny_encoder, wordpiece_tokenizer
from tests.models.tiny_seq2seq import folder as t5_folder
from tests.objectives import table
from tests.objectives.table import OBJECTIVES, Models
from tests.samplers.kernels import KERNELS
from tests.samplers.laws import Draws
from textsearch import generate
from textsearch.models import masked_lm, sentence_encoder, seq2seq_lm, text_classifier
from textsearch.models.classifier import LinearClassifier
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.recipes import recipe_of
from textsearch.models.unilm import UniLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.rng import Rng

__all__ = ["tiny"]


def sent(value: Any) -> Any:
    """As another part of this process, or another process, gets it."""
    return pickle.loads(pickle.dumps(value))


def classifier_folder(folder: Path) -> Path:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(**shape(len(PIECES), max_position_embeddings=64))
    return save(folder, seeded(BertForSequenceClassification, config), wordpiece_tokenizer())


def adapters(tiny: Tiny, folder: Path) -> dict[str, tuple[Any, Callable[[Any], Any]]]:
    """One of every kind, and what to ask of it."""
    causal, masked = tiny.causal(max_tokens=77), tiny.masked(max_bytes=2**20)
    encoder = sentence_encoder(tiny_encoder(folder / "encoder"), device="cpu")
    labels = ["good", "bad"] * 5
    batch = masked.vocabulary.encode(TEXTS[:1])
    one, zero = torch.tensor([1]), torch.tensor([0])
    score: Callable[[Any], Any] = lambda model: model.score(batch, "A cat.").log_prob.tolist()  # noqa: E731
    ask: Callable[[Any], Any] = lambda model: model.log_probs(batch, zero, one).tolist()  # noqa: E731
    return {
        "causal": (causal, score),
        "masked": (masked, ask),
        "seq2seq": (seq2seq_lm(t5_folder(folder / "bart", "bart"), device="cpu"), score),
        "unilm": (UniLM(masked), score),
        "guided": (GuidedMaskedLM(masked, causal, "A dog."), ask),
        "encoder": (encoder, lambda model: model.encode(TEXTS).tolist()),
        "linear": (
            LinearClassifier.fit(encoder, TEXTS, labels, seed=0),
            lambda model: model.log_probs(TEXTS).tolist(),
        ),
        "classifier": (
            text_classifier(classifier_folder(folder / "classifier"), device="cpu"),
            lambda model: model.log_probs(TEXTS).tolist(),
        ),
    }


def test_every_adapter_says_the_same_where_it_arrives(tiny: Tiny, tmp_path: Path) -> None:
    for name, (adapter, ask) in adapters(tiny, tmp_path).items():
        wanted = ask(adapter)
        data = pickle.dumps(adapter)
        assert len(data) < 3000, name
        assert ask(pickle.loads(data)) == wanted, name
        for setting in ("max_tokens", "max_bytes", "bos", "eos", "longest", "labels", "prompt", "ends"):
            if hasattr(adapter, setting):
                assert getattr(pickle.loads(data), setting) == getattr(adapter, setting)


def test_models_and_vocabularies_are_one_where_they_were(tiny: Tiny, tmp_path: Path) -> None:
    """In another process: a model is loaded once, and token ids are taken as they are only where they were."""
    first, second, masked = tiny.causal(), tiny.causal(), tiny.masked()
    batch = first.vocabulary.encode(TEXTS)
    rendering = first.vocabulary.rendering(spellings=[{("dog",): "DOG"}])
    # here, pickled apart from its model; two that were loaded apart are not made one, though their recipes are the same
    assert sent(batch).vocabulary is first.vocabulary
    assert sent(second).vocabulary is second.vocabulary is not first.vocabulary
    assert sent(rendering) is rendering is not first.vocabulary
    parts = (masked.vocabulary, first, UniLM(masked), GuidedMaskedLM(masked, first), Replace(masked))
    for name, value in {"parts": parts, "batch": batch, "first": first, "second": second}.items():
        (tmp_path / name).write_bytes(pickle.dumps(value))
    script = f"""
import pickle
def load(name):
    return pickle.load(open({str(tmp_path)!r} + "/" + name, "rb"))
(vocabulary, causal, unilm, guided, moves), again = load("parts"), load("parts")
batch, first, second = load("batch"), load("first"), load("second")
print([
    unilm.masked is guided.masked is moves.mlm,
    guided.causal is causal,
    moves.mlm.vocabulary is vocabulary is again[0],
    again[1].model is causal.model is first.model is second.model,
    again[2].model is unilm.model,
    batch.vocabulary is load("batch").vocabulary is first.vocabulary is causal.vocabulary,
    batch.vocabulary is not second.vocabulary,
    batch.texts() == {TEXTS!r},
])
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert run.stdout.strip() == str([True] * 8), run.stdout + run.stderr


def test_a_copy_is_another_model(tiny: Tiny) -> None:
    lm = tiny.masked()
    other = copy.deepcopy(lm)
    assert other.model is not lm.model and other.vocabulary is not lm.vocabulary
    other.model.get_input_embeddings().weight.add_(1)
    assert not torch.equal(other.model.get_input_embeddings().weight, lm.model.get_input_embeddings().weight)
    assert copy.copy(lm).model is lm.model


def made_here() -> TransformersMaskedLM:
    tokenizer = wordpiece_tokenizer()
    return TransformersMaskedLM(bert(len(tokenizer)).eval(), TokenizerVocabulary(tokenizer, 62))


def test_a_model_that_was_made_here_travels_by_value() -> None:
    lm = made_here()
    assert recipe_of(lm.model) is None
    batch, one, zero = lm.vocabulary.encode(["the dog sat"]), torch.tensor([1]), torch.tensor([0])
    other, unilm, texts = sent((lm, UniLM(lm), batch))
    assert other.model is unilm.model is not lm.model and texts.vocabulary is lm.vocabulary
    assert other.log_probs(batch, zero, one).equal(lm.log_probs(batch, zero, one))


def in_place(model: Any) -> None:
    model.get_input_embeddings().weight.data[1:].mul_(1.5)


def counted(model: Any) -> None:
    with torch.no_grad():
        # a number that is not among those that are looked at
        model.get_input_embeddings().weight[1, 1] += 1


def exchanged(model: Any) -> None:
    model.half()


@pytest.mark.parametrize("change", [in_place, counted, exchanged])
def test_a_model_that_was_changed_travels_by_value(change: Callable[[Any], None], tiny: Tiny) -> None:
    lm = tiny.masked()
    assert recipe_of(lm.model) is not None
    change(lm.model)
    assert recipe_of(lm.model) is None
    assert all(a.equal(b) for a, b in zip(lm.model.parameters(), sent(lm).model.parameters(), strict=True))
    tokenizer = lm.vocabulary.tokenizer
    assert recipe_of(tokenizer) is not None
    tokenizer.add_tokens(["dinosaur"])
    assert recipe_of(tokenizer) is None and len(sent(lm).vocabulary.tokenizer) == len(tokenizer)


def test_files_that_changed_are_told(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny.masked_path, tmp_path / "masked")
    lm = masked_lm(folder, device="cpu")
    data = pickle.dumps(lm)
    bert(156, initializer_range=0.4).save_pretrained(folder)
    # what is here is no longer what its folder holds: it goes by value
    assert recipe_of(lm.model) is None
    assert all(a.equal(b) for a, b in zip(lm.model.parameters(), sent(lm).model.parameters(), strict=True))
    assert pickle.loads(data).model is lm.model
    del lm
    gc.collect()
    with pytest.raises(ValueError, match=r"masked' is not what it was when it was loaded: its files have sha256"):
        pickle.loads(data)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_travel(name: str, tiny: Tiny) -> None:
    models: Models = table.loaded(tiny)
    objective, batch = OBJECTIVES[name].make(models, OBJECTIVES[name].values), table.texts(models)
    there, texts = cloudpickle.loads(cloudpickle.dumps((objective, batch)))
    assert there.energy(texts).equal(objective.energy(batch)) and texts.texts() == batch.texts()


@pytest.mark.parametrize("name", KERNELS)
def test_samplers_travel(name: str) -> None:
    case = KERNELS[name]
    if isinstance(case, Draws):
        drawn = case.estimates(case.sampler), case.estimates(cloudpickle.loads(cloudpickle.dumps(case.sampler)))
        assert np.array_equal(*drawn)
        return
    parts = case.space, case.sampler
    found = []
    for toy, kernel in (parts, cloudpickle.loads(cloudpickle.dumps(parts))):
        numbers = np.flatnonzero(toy.target > 0)[:40]
        state, rng = toy.begin(kernel, numbers), Rng.start(3, chains=len(numbers))
        for step in range(4):
            state, _ = kernel.step(toy.objective, state, rng.at(step), toy.temperature)
        found.append(toy.find(state).tolist())
    assert found[0] == found[1]


def test_a_run_is_the_same_where_it_arrives(tiny: Tiny) -> None:
    from samplers import MetropolisHastings

    parts = Fluency(tiny.causal()), MetropolisHastings(Replace(tiny.masked()))
    runs = [
        generate(objective, sampler, TEXTS[:1], steps=5, seed=1, chains=3)
        for objective, sampler in (parts, cloudpickle.loads(cloudpickle.dumps(parts)))
    ]
    assert runs[0].texts == runs[1].texts and runs[0].energies.tolist() == runs[1].energies.tolist()
