"""Corrections, on tiny random models: what is changed, what is kept, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from objectives import Closeness, Fluency
from samplers.confusions import EnglishConfusions, ListedConfusions
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch import FunctionObjective, Generations
from textsearch.cli import app
from textsearch.models import causal_lm
from textsearch.tasks import correct, stream
from textsearch.tasks.channel import COSTS, Channel, NonWords
from textsearch.tasks.correction import EvenlySpaced, names
from textsearch.words import WordVocabulary, bare, split

LISTED = ListedConfusions(
    {"dog": {"dogs": "inflection", "cat": "look-alike"}, "then": {"than": "confusion"}, "a": {"the": "small word"}},
    inserted=("the", ","),
)
TEXTS = ["The dog sat  on a mat, (then).", "“A dog” isn't\nodd!"]


def write(tiny: Tiny, texts: list[str] = TEXTS, **settings: Any) -> Generations:
    given = {"chains": 2, "steps": 12, "seed": 1, "confusions": LISTED, "causal": tiny.causal_path}
    return correct(texts, **{"masked": tiny.masked_path, **given, **settings})


@pytest.mark.parametrize("tokenised", [False, True])
def test_where_no_edit_is_worth_its_cost_a_text_comes_back_letter_by_letter(tiny: Tiny, tokenised: bool) -> None:
    texts = ["He sat , `` so to say , '' on them. ( the 3 dogs )", "It is n't odd ."] if tokenised else TEXTS
    result = write(tiny, texts, strictness=100.0, tokenised=tokenised)
    assert result.best_texts == [text for text in texts for _ in range(2)]
    assert result.sources == texts
    assert result.best_terms["closeness"].tolist() == [0.0] * 4
    # the control: where edits cost nothing to speak of, texts change
    assert set(write(tiny, texts, strictness=1e-3, tokenised=tokenised).best_texts) != set(texts)


def test_the_energy_is_the_one_that_is_named(tiny: Tiny) -> None:
    result = write(tiny, strictness=0.1)
    words = WordVocabulary.of(token for text in [*TEXTS, *result.best_texts] for token in split(text))
    batch = words.encode(result.best_texts)
    lm = causal_lm(tiny.causal_path, device="cpu")
    own = Closeness([text for text in TEXTS for _ in range(2)], Channel(LISTED, strictness=0.1))
    energies = (EvenlySpaced(Fluency(lm)) + own).energy(batch).numpy()
    assert energies == pytest.approx(result.best_energies, abs=1e-4)
    assert (
        result.best_energies <= EvenlySpaced(Fluency(lm)).energy(words.encode(TEXTS).repeat(2)).numpy() + 1e-4
    ).all()


def test_only_what_is_listed_changes(tiny: Tiny) -> None:
    result = write(tiny, ["mat dog so"], strictness=1e-3, steps=30, chains=3)
    allowed = {"mat", "Mat", "dog", "dogs", "cat", "Dogs", "Cat", "so", "the", ",", "The", "a", "A"}
    for text in [*result.texts, *result.best_texts]:
        assert {token.strip("\u2060") for token in split(text)} <= allowed, text


def test_an_input_does_not_depend_on_those_behind_it(tiny: Tiny) -> None:
    alone, both = write(tiny, TEXTS[:1], strictness=0.1), write(tiny, strictness=0.1)
    assert alone.best_texts == both.best_texts[:2]
    assert alone.best_energies == pytest.approx(both.best_energies[:2], abs=1e-4)


def test_many_inputs_are_streamed(tiny: Tiny) -> None:
    models = {"causal": tiny.causal_path, "masked": tiny.masked_path}
    given: dict[str, Any] = {"chains": 1, "steps": 1, "confusions": LISTED, **models}
    records = list(stream(correct, ["a dog", " ", "then"], at_once=2, **given))
    assert [record["input"] for record in records] == ["a dog", " ", "then"]
    assert "empty" in str(records[1]["error"])


def test_requests_that_cannot_be_met_run_no_model() -> None:
    with pytest.raises(ValueError, match="'  ' is an empty text"):
        correct(["fine", "  "], causal="nowhere", masked="nowhere")
    with pytest.raises(ValueError, match="strictness=0 must be a positive number"):
        correct(["fine"], strictness=0, causal="nowhere", masked="nowhere")


def test_what_edits_cost() -> None:
    channel = Channel(LISTED, strictness=2.0)
    assert channel("then", "than") == 2 * COSTS["confusion"]
    assert channel("then", "Than") == 2 * (COSTS["confusion"] + COSTS["capital"])
    assert channel("than", "then") == channel("dog", "moon") == 2 * COSTS["other"]
    assert channel("dog", "Dog") == 2 * COSTS["capital"]
    assert channel("Dog", "dog") == 2 * COSTS["small letter"]
    assert channel(None, "The") == 2 * COSTS["insert an article"]
    assert channel(None, ",") == 2 * COSTS["insert a comma"]
    assert channel(",", None) == 2 * COSTS["delete a comma"]
    assert channel("dog", None) == 2 * COSTS["delete"]


def test_the_gap_before_a_word_costs_nothing() -> None:
    """Doubled spaces made every edit one of a word that nothing relates to the old one."""
    channel = Channel(LISTED)
    assert channel("  then", "  than") == channel("\nthen", "\nthan") == COSTS["confusion"]
    words = WordVocabulary.of(["then", "  then", "  than", "than"])
    batch = words.batch([["then", "  than"], ["then", "than"]])
    lengths = FunctionObjective(lambda texts: [float(len(text)) for text in texts], name="letters")
    assert EvenlySpaced(lengths).energy(batch).tolist() == [9.0, 9.0]
    assert lengths.energy(batch).tolist() == [10.0, 9.0]


@pytest.mark.parametrize("around", ["  {} ", "\n{}\n\n", "\t{}", "{}\u00a0"])
def test_what_a_text_begins_and_ends_with_stays(tiny: Tiny, around: str) -> None:
    (text,) = write(tiny, [around.format("the dog ran")], strictness=1e-3, chains=1).best_texts
    before, after = around.split("{}")
    inner = text[len(before) : len(text) - len(after)]
    assert text == before + inner + after
    assert inner == inner.strip() != "the dog ran"


def test_names_stay() -> None:
    text = "Kowalczyk met Siobhan. Yesterday we saw Mr. Pevear in Lodz, the Goverment said."
    words = WordVocabulary.of(split(text))
    batch = words.encode([text])
    found = names(batch, EnglishConfusions())[0].tolist()
    kept = {bare(token) for token, name in zip(split(text), found, strict=True) if name}
    assert kept == {"Kowalczyk", "Siobhan", "Pevear", "Lodz"}


def test_what_cannot_be_a_word() -> None:
    rows = [split(text) for text in ("dont", "don't", "its", "ca'nt and theyre", "becouse Okonkwo's")]
    batch = WordVocabulary.of(token for row in rows for token in row).batch(rows)
    assert NonWords(EnglishConfusions(), 2.0).energy(batch).tolist() == [2.0, 0.0, 0.0, 4.0, 0.0]


def test_the_command(tiny: Tiny, tmp_path: Path) -> None:
    models = ["--causal", str(tiny.causal_path), "--masked", str(tiny.masked_path)]
    given = ["correct", "The dog sat.", "--steps", "1", "--strictness", "50", "--json", "--quiet", *models]
    answer = CliRunner().invoke(app, given)
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)[0]["text"] == "The dog sat."
    refused = CliRunner().invoke(app, ["correct", "--steps", "1"])
    assert refused.exit_code == 2
    assert "name a text" in refused.output
