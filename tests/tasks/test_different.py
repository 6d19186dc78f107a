"""Texts of an input that are drawn as one set, on tiny random models."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectives import ngram_likeness
from samplers import MetropolisHastings, ParallelTempering
from tests.models.tiny import Tiny, roomy_causal, tiny_encoder
from tests.models.tiny import tiny as tiny
from textsearch import Generations
from textsearch.models import causal_lm, sentence_encoder
from textsearch.sampler import Guarantee
from textsearch.tasks import infill, keywords, paraphrase, stream, write

__all__ = ["tiny"]

WEIGHT = 30.0
INPUTS: dict[Any, list[Any]] = {
    infill: ["the [MASK] dog ran to [MASK*] mat.", "[MASK] cat sat on a [MASK]"],
    keywords: [["dog", "mat"], ["cat"]],
    paraphrase: ["The old dog ran to the mat.", "What did he say to you?"],
    write: [{"prefix": "the dog"}, {"required": ["cat"], "words": [3, 9]}],
}


@pytest.fixture(scope="module")
def models(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Models with room for a request."""
    return {
        "causal": causal_lm(roomy_causal(tmp_path_factory.mktemp("causal")), device="cpu"),
        "masked": tiny.masked(),
        "encoder": sentence_encoder(tiny_encoder(tmp_path_factory.mktemp("encoder")), device="cpu"),
    }


def likeness(result: Generations) -> float:
    """Summed over the pairs of each input's best texts."""
    found = 0.0
    for number in set(result.inputs.tolist()):
        texts = [text for text, own in zip(result.best_texts, result.inputs, strict=True) if own == number]
        pairs = list(itertools.combinations(texts, 2))
        found += sum(ngram_likeness([one for one, _ in pairs], [other for _, other in pairs]))
    return found


@pytest.mark.parametrize("task", INPUTS, ids=lambda task: task.__name__)
def test_a_set_keeps_apart(task: Any, models: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"chains": 3, "steps": 10, "seed": 1, "causal": models["causal"]}
    settings |= {"masked": models["masked"]} | ({"encoder": models["encoder"]} if task is paraphrase else {})
    plain = task(INPUTS[task], **settings)
    apart = task(INPUTS[task], different=True, different_weight=WEIGHT, **settings)
    assert "repulsion" not in plain.recorded and apart.recorded["repulsion"].shape == apart.trace.shape
    assert likeness(apart) <= likeness(plain)
    for name, each in apart.terms.items():
        assert np.isfinite(each).all(), name
    # what a text costs is told without what its likeness to others does
    assert sum(apart.best_terms.values()) == pytest.approx(apart.best_energies, abs=1e-6)


def test_a_set_does_not_depend_on_the_group_it_is_answered_in(models: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"chains": 3, "steps": 6, "different": True, "causal": models["causal"]}
    settings["masked"] = models["masked"]
    texts = ["the [MASK] dog ran", "a [MASK*] cat", "wal[MASK] [MASK] home"]
    together = [record["texts"] for record in stream(infill, texts, batch_inputs=3, **settings)]
    assert together == [record["texts"] for record in stream(infill, texts, batch_inputs=1, **settings)]
    assert all(len(own) <= 3 for own in together)  # type: ignore[arg-type]


def test_a_set_that_was_broken_off_goes_on(models: dict[str, Any], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"chains": 3, "different": True, "causal": models["causal"], "masked": models["masked"]}
    texts = ["the [MASK] dog ran", "a [MASK*] cat"]
    whole = infill(texts, steps=9, **settings)
    infill(texts, steps=4, checkpoint=tmp_path, **settings)
    again = infill(texts, steps=9, checkpoint=tmp_path, **settings)
    assert again.to_records() == whole.to_records() and again.trace.tobytes() == whole.trace.tobytes()


def test_a_sampler_of_the_user_s_own(models: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"chains": 2, "steps": 3, "different": True, "causal": models["causal"]}
    settings["masked"] = models["masked"]
    run = infill(["the [MASK] dog"], sampler=MetropolisHastings, **settings)
    assert run.guarantee is Guarantee.EXACT and "repulsion" in run.recorded
    with pytest.raises(TypeError, match="Ensemble hands on texts and energies"):
        infill(
            ["the [MASK] dog"], sampler=lambda moves: ParallelTempering(MetropolisHastings(moves), (1, 2)), **settings
        )
