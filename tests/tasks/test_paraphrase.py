"""Paraphrases, by tiny random models: what they write is nonsense that keeps every promise."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from objectives import Diversity, FluencyPerToken, Verbatim
from samplers import MetropolisHastings
from tests.models.tiny import Tiny, roomy_causal, tiny, tiny_encoder
from textsearch.cli import app
from textsearch.models import causal_lm, masked_lm, sentence_encoder
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.encoder import SentenceEncoder
from textsearch.objective import evaluate, term_names
from textsearch.result import Generations
from textsearch.tasks import Models, Paraphrasing, Weights, paraphrase, stream
from textsearch.tasks.paraphrasing import build, written

__all__ = ["tiny"]

TEXTS = ["The old dog ran to the mat.", "What did he say to you?", "the cat and the dog"]


@pytest.fixture(scope="module")
def folders(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A causal model with room for a prompt, a masked one and a sentence encoder."""
    causal = roomy_causal(tmp_path_factory.mktemp("causal"))
    encoder = tiny_encoder(tmp_path_factory.mktemp("encoder"))
    return {"causal": causal, "masked": tiny.masked_path, "encoder": encoder}


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, Any]:
    """The same, loaded."""
    return {
        "causal": causal_lm(folders["causal"], device="cpu"),
        "masked": masked_lm(folders["masked"], device="cpu"),
        "encoder": sentence_encoder(folders["encoder"], device="cpu"),
    }


def run(models: dict[str, Any], **settings: Any) -> Generations:
    return paraphrase(TEXTS, **{"chains": 2, "steps": 4, "pool": 3, "seed": 1} | models | settings)


def test_every_text_gets_its_chains(models: dict[str, Any]) -> None:
    found = run(models)
    assert found.sources == TEXTS
    assert found.inputs.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.terms.keys() == {
        "similarity",
        "polarity",
        "roles",
        "preserve",
        "word preservation",
        "diversity",
        "brevity",
        "consensus",
        "as fluent",
    }
    assert (found.best_energies < math.inf).all()
    # the mark at the end stays
    assert [text[-1] for text in found.texts[:4]] == [".", ".", "?", "?"]


def test_the_same_seed_gives_the_same_texts(models: dict[str, Any]) -> None:
    one, again, other = run(models), run(models), run(models, seed=2)
    assert one.texts == again.texts
    assert one.texts != other.texts


def test_energy_is_the_documented_sum(models: dict[str, Any]) -> None:
    weights = Weights(fluency=0.5, similarity=3.0, preservation=2.0, diversity=7.0, consensus=11.0, brevity=13.0)
    ready = build(TEXTS, Paraphrasing(chains=2, pool=3, seed=1, weights=weights), Models(**models))
    assert dict(zip(term_names(ready.objective), [w for w, _ in ready.objective.parts], strict=True)) == {
        "similarity": 3.0,
        "polarity": 100.0,
        "roles": 100.0,
        "preserve": 100.0,
        "word preservation": 2.0,
        "diversity": 7.0,
        "brevity": 13.0,
        "consensus": 11.0,
        "as fluent": 0.5,
    }
    with torch.inference_mode():
        found = evaluate(ready.objective, ready.start)
    assert torch.allclose(found.energy, found.terms.sum(1))


def test_a_draft_of_probability_0_breaks_no_run(models: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FluencyPerToken, "energy", lambda self, batch: torch.full((len(batch),), math.inf).double())
    assert build(TEXTS, Paraphrasing(chains=1, pool=2, seed=1), Models(**models)).start.texts()


def test_numbers_stay(models: dict[str, Any]) -> None:
    """A number is the same in letters; another, or none, costs as much as a denial."""
    ready = build(["The 2 dogs ran."], Paraphrasing(chains=1, pool=1, seed=1), Models(**models))
    vocabulary = ready.start.vocabulary
    batch = replace(vocabulary.encode(["Two dogs ran.", "3 dogs ran.", "Dogs ran."]), inputs=torch.zeros(3).long())
    (weight, term) = next(part for part in ready.objective.parts if part[1].name == "preserve")
    assert (weight * term.energy(batch)).tolist() == [0.0, 200.0, 100.0]


LITERAL = "- Did THE dog run  at 3:00pm for $5.00 to dog.txt (or not) with -x Old-Cat?"
PHRASES = ["3:00pm", "$5.00", "dog.txt", "-x", "Old-Cat"]


def test_literals_stay_letter_by_letter(models: dict[str, Any]) -> None:
    """Wherever chains go: at a temperature at which all else is lost."""
    given: dict[str, Any] = {"chains": 3, "steps": 12, "pool": 1, "temperature": 200.0, "seed": 1, **models}

    def lost(**settings: Any) -> list[str]:
        found = paraphrase([LITERAL, "the dog"], **given | settings)
        assert found.sources == [LITERAL, "the dog"]
        texts = [*found.texts[:3], *found.best_texts[:3]]
        assert len(set(texts)) > 1
        return [phrase for text in texts for phrase in ["- ", *PHRASES] if phrase not in text or text[:2] != "- "]

    assert lost(keep=["Old-Cat"]) == []
    # the control: where nothing is kept, the same moves change it
    assert lost(keep=False)


def test_what_stands_around_a_text_comes_back(models: dict[str, Any]) -> None:
    texts = ["  The dog ran.\n", "\tdid the dog run \u00a0", "a dog\r\n\r\n"]
    found = paraphrase(texts, chains=1, steps=2, pool=1, seed=1, **models)
    for text, other in zip(texts, found.texts, strict=True):
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        assert (
            other[:start] == text[:start]
            and other.endswith(text[end:])
            and other.strip() == other[start : len(other) - len(text) + end]
        )


def test_terms_do_not_depend_on_the_texts_beside_it(models: dict[str, Any]) -> None:
    def terms(texts: list[str]) -> list[str]:
        found = paraphrase(texts, chains=1, steps=1, pool=1, seed=1, **models)
        (first, *_) = (one["terms"] for one in found.to_records() if one["input"] == 0)
        assert isinstance(first, dict)
        return list(first)

    assert terms(["the dog ran"]) == terms(["the dog ran", "it ran at 3:00pm"])
    # the control
    assert "verbatim" in terms(["it ran at 3:00pm", "the dog ran"])


def test_meaning_is_kept_unless_it_is_told_not_to(models: dict[str, Any]) -> None:
    kept, loose = (
        build(["I saw 2 dogs."], Paraphrasing(chains=1, pool=1, meaning=meaning, keep=False), Models(**models))
        for meaning in (True, False)
    )
    assert set(term_names(kept.objective)) - set(term_names(loose.objective)) == {"polarity", "roles", "preserve"}


def test_bad_values_of_keep_load_no_model() -> None:
    with pytest.raises(ValueError, match="keep='x' is no file that can be read: pass True"):
        paraphrase(["fine"], keep="x", causal="no such model", masked="no such model", encoder="no such model")


def test_drafts_without_the_literals_are_none(models: dict[str, Any]) -> None:
    vocabulary = models["masked"].vocabulary
    source, verbatim = vocabulary.encode(["a dog and 12 cats."]), Verbatim([["12"]])
    lines = [["12 cats and a dog!", "two cats", "112 cats", "cats 12"]]
    assert [batch.texts() for batch in written(lines, source, verbatim)] == [["12 cats and a dog.", "Cats 12."]]
    assert written([["two cats"]], source, verbatim)[0].texts() == source.texts()


def test_chains_start_from_the_best_drafts(models: dict[str, Any]) -> None:
    """The source is among them: with much similarity and no diversity to speak of it is the best."""
    keep = Weights(similarity=1000.0, diversity=1e-3, consensus=1e-3)
    found = run(models, steps=0, weights=keep)
    assert found.texts[::2] == models["masked"].vocabulary.encode(TEXTS).texts()


def test_more_diversity_is_farther_from_the_source(models: dict[str, Any]) -> None:
    def distance(diversity: float) -> float:
        found = run(models, steps=3, weights=Weights(diversity=diversity))
        batch = models["masked"].vocabulary.encode(found.best_texts)
        sources = [TEXTS[number] for number in found.inputs]
        return float(Diversity(sources).energy(batch).sum())

    assert distance(50.0) < distance(1e-3)


def test_another_sampler(models: dict[str, Any]) -> None:
    found = run(models, steps=1, sampler=MetropolisHastings)
    assert found.guarantee == "exact"
    assert run(models, steps=1).guarantee == "biased"


def test_many_inputs_stream(models: dict[str, Any]) -> None:
    found = list(stream(paraphrase, TEXTS, batch_inputs=2, chains=1, steps=2, pool=2, **models))
    assert [record["number"] for record in found] == [0, 1, 2]
    assert [record["input"] for record in found] == TEXTS


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("one text", TypeError, "one string"),
        ([], ValueError, "texts is empty"),
        (["fine", "?!"], ValueError, "'\\?!' has no words"),
    ],
)
def test_wrong_input_is_one_error_before_any_model_runs(texts: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        paraphrase(texts, causal="no such model", masked="no such model", encoder="no such model")


def test_words_that_cannot_be_written_are_refused_before_a_model_reads(models: dict[str, Any]) -> None:
    causal: TransformersCausalLM = models["causal"]
    encoder: SentenceEncoder = models["encoder"]
    before = causal.usage.rows + encoder.usage.rows
    with pytest.raises(ValueError, match="no pieces"):
        paraphrase(["a dog 今"], **models)
    assert causal.usage.rows + encoder.usage.rows == before


def test_command(folders: dict[str, Path]) -> None:
    options = [part for name, folder in folders.items() for part in (f"--{name}", str(folder))]
    settings = ["--chains", "1", "--steps", "2", "--quiet", "--jsonl"]
    for more in ([], ["--keep", "no", "--no-meaning"], ["--keep", "dog,mat"]):
        result = CliRunner().invoke(app, ["paraphrase", *TEXTS[:2], *settings, *options, *more])
        assert result.exit_code == 0, result.output
        assert [json.loads(line)["input"] for line in result.stdout.splitlines()] == TEXTS[:2]
