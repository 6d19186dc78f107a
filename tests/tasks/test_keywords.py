"""Sentences from keywords, on tiny random models: nonsense that holds every word."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import regex
import torch

from objectives import Keywords
from samplers import MetropolisHastings
from samplers.starts.drafts import one_sentence
from tests.models.tiny import Tiny, roomy_causal
from tests.models.tiny import tiny as tiny
from textsearch import Generations
from textsearch.models import causal_lm
from textsearch.sampler import Guarantee
from textsearch.tasks import keywords
from textsearch.tasks.keyword_sentences import energy, kept_whole, missing, one_sentence_each, request
from textsearch.tasks.sentences import sentence

SETS = [["dog", "mat"], ["old house", "cat"], ["cat", "cat", "ran"]]


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with room for a request."""
    return roomy_causal(tmp_path_factory.mktemp("causal"))


def write(tiny: Tiny, causal: Path, sets: list[list[str]] = SETS, **settings: Any) -> Generations:
    settings = {"chains": 2, "steps": 4, "seed": 1, "causal": causal, "masked": tiny.masked_path, **settings}
    return keywords(sets, **settings)


@pytest.fixture(scope="module")
def result(tiny: Tiny, causal: Path) -> Generations:
    """One run, looked at from several sides."""
    return write(tiny, causal)


def test_every_chain_holds_its_words(result: Generations) -> None:
    assert result.inputs.tolist() == [0, 0, 1, 1, 2, 2]
    assert result.sources == ["dog, mat", "old house, cat", "cat, cat, ran"]
    judge = Keywords(SETS, inflections=True)
    for texts in (result.texts, result.best_texts):
        for number, text in zip(result.inputs.tolist(), texts, strict=True):
            batch = result.batch.vocabulary.encode([text])
            assert Keywords(SETS[number], inflections=True).energy(batch).tolist() == [0.0], text
            assert text[-1] in ".!?"
    assert bool((judge.energy(result.batch) == 0).all())


def test_the_energy_is_the_one_that_is_named(result: Generations, causal: Path) -> None:
    lm = causal_lm(causal, device="cpu")
    energies = energy(lm, SETS).energy(result.batch).numpy()
    assert energies == pytest.approx(result.energies, abs=1e-4)
    batch = result.batch.rows([0])
    by_hand = -lm.score(batch, request(lm, SETS[0])).log_prob - lm.score(batch).log_prob
    assert float(by_hand[0]) == pytest.approx(result.energies[0], abs=1e-4)


def test_in_order_and_as_they_stand(tiny: Tiny, causal: Path) -> None:
    wanted = [["mat", "dog", "cat"]]
    result = write(tiny, causal, wanted, in_order=True, inflections=False)
    judge = Keywords(wanted, in_order=True)
    assert bool((judge.energy(result.batch) == 0).all())


def test_the_same_seed_writes_the_same(result: Generations, tiny: Tiny, causal: Path) -> None:
    again = write(tiny, causal)
    assert (result.texts, result.best_texts) == (again.texts, again.best_texts)
    assert result.texts != write(tiny, causal, seed=2, steps=0).texts


def test_it_searches_unless_told_to_draw(tiny: Tiny, causal: Path) -> None:
    assert write(tiny, causal, SETS[:1], steps=1, drafts=1).guarantee is Guarantee.BIASED
    assert write(tiny, causal, SETS[:1], steps=1, drafts=1, sampler=MetropolisHastings).guarantee is Guarantee.EXACT


def test_the_keywords_in_a_row_are_the_last_resort(tiny: Tiny, causal: Path) -> None:
    result = write(tiny, causal, [["dog", "mat", "sat", "ate", "day", "road", "tree"]], steps=0, drafts=1)
    assert result.best_texts[0].endswith(".")


@pytest.mark.parametrize(
    ("sets", "complaint"),
    [([], "empty"), ([[]], "empty"), ([["dog", ""]], "has no word in it"), ([["☃"]], "☃")],
    ids=["no sets", "an empty set", "an empty word", "a snowman"],
)
def test_what_cannot_be_asked_is_refused_before_a_model_runs(tiny: Tiny, sets: Any, complaint: str) -> None:
    with pytest.raises((ValueError, TypeError), match=complaint):
        keywords(sets, causal=Path("no/such/model"), masked=tiny.masked_path)


@pytest.mark.parametrize(
    ("words", "text", "lacking"),
    [
        (["dog", "cat"], "A dog and two cats.", []),
        (["dog", "cat"], "Dogs bark.", ["cat"]),
        (["cat", "cat"], "A cat sat.", ["cat"]),
        (["hot dog", "run"], "A dog ran.", ["hot dog"]),
        (["dog", "cat"], "", ["dog", "cat"]),
    ],
)
def test_what_a_text_lacks(tiny: Tiny, words: list[str], text: str, lacking: list[str]) -> None:
    ask = partial(missing, Keywords([words], inflections=True), tiny.causal().vocabulary)
    found = ask(text, 0)
    assert [word for word in dict.fromkeys(words) if word in found] == lacking
    assert bool(found) == bool(lacking)
    assert {"Cats", "cats"} <= set(found) or "cat" not in lacking


def test_in_order_the_next_word_is_lacking(tiny: Tiny) -> None:
    ask = partial(missing, Keywords([["dog", "cat", "mat"]], in_order=True), tiny.causal().vocabulary)
    assert ask("A mat.", 0) == ["dog", "Dog"]
    assert ask("A dog on a mat.", 0) == ["cat", "Cat"]
    assert ask("A dog, a cat, a mat.", 0) == []


def test_keywords_bring_marks_of_their_own(tiny: Tiny, causal: Path) -> None:
    wanted = [["dog. cat"], ["dog", "cat"]]
    result = write(tiny, causal, wanted, steps=2, drafts=2)
    assert bool((Keywords(wanted, inflections=True).energy(result.batch) == 0).all())
    assert all(energy < float("inf") for energy in result.energies)
    one = one_sentence_each(Keywords(wanted))
    texts = ["A dog. cat sat.", "A dog. cat sat. A mat.", "A dog. A cat."]
    for number, allowed in enumerate(([0.0, float("inf"), float("inf")], [float("inf")] * 3)):
        batch = tiny.masked().vocabulary.encode(texts)
        assert one.energy(replace(batch, inputs=torch.full_like(batch.inputs, number))).tolist() == allowed


@pytest.mark.parametrize(
    "keyword", ["U.S. economy", "Mr. Smith", "3.5", "info@example.com", "U.S.", "Yahoo!", "don't. go"]
)
def test_one_sentence_around_a_marked_keyword(keyword: str) -> None:
    kept = kept_whole(Keywords([[keyword]]))[0]
    texts = [f"We saw {keyword} here.", f"{keyword.upper()} was here!", f"It is {keyword}."]
    assert all(regex.search(sentence(kept), text) for text in texts)
    assert [one_sentence(text + " So it", kept) for text in texts[:2]] == texts[:2]
    assert not regex.search(sentence(kept), f"We ran. Then {keyword} came.")
    # the broken twin knows nothing of the keyword
    assert not all(regex.search(sentence(), text) for text in texts)
