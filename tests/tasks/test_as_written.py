"""What users name comes back as they wrote it, from a masked model that keeps texts: on tiny random models."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from objectives import Keywords
from tests.models.tiny import PIECES, Tiny, byte_masked, roomy_causal, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from textsearch.models import causal_lm, masked_lm
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.tasks import infill, keywords, write
from textsearch.tasks.request import Request
from textsearch.tasks.written import letter_by_letter, phrases_of, word_for_word

WORDPIECE = TokenizerVocabulary(wordpiece_tokenizer(PIECES), 38)


@pytest.fixture(scope="module")
def mlm(tmp_path_factory: pytest.TempPathFactory) -> TransformersMaskedLM:
    """A random masked model of byte-level pairs."""
    return masked_lm(byte_masked(tmp_path_factory.mktemp("bytes")), device="cpu")


def test_other_spellings_are_forbidden_where_nothing_renders_them(mlm: TransformersMaskedLM) -> None:
    phrases = [["NASA", "C++"], ["dog", "hot dog"], ["don't"]]
    exact = letter_by_letter(mlm.vocabulary, phrases)
    assert exact is not None
    texts = ["The NASA of C++.", "The Nasa of C++.", "The NASA of C ++.", "XNASA C++.", "anything", "Don't.", "Don 't."]
    batch = mlm.vocabulary.encode(texts)
    inputs = [0, 0, 0, 0, 1, 2, 2]
    found = exact.energy(
        type(batch)(batch.tokens, batch.lengths, batch.editable, batch.lengths.new(inputs), mlm.vocabulary)
    )
    assert found.tolist() == [0.0, math.inf, math.inf, math.inf, 0.0, 0.0, math.inf]
    # the twin, the keywords alone, takes any
    assert Keywords(["NASA", "C++"]).energy(batch.rows([0, 1, 2])).tolist() == [0.0, 0.0, 0.0]
    assert exact.concerns(0) and not exact.concerns(1)
    # each place serves one phrase: "C" is no part of "C++", and what is named twice stands there twice
    twice = letter_by_letter(mlm.vocabulary, [["C", "C++", "iPhone", "iPhone"]], inflections=True)
    texts = ["C++, C, iPhone, iPhones.", "C++ and c: iPhone, iPhone.", "C++, C, iPhone, iphone."]
    assert twice is not None and twice.energy(mlm.vocabulary.encode(texts)).tolist() == [0.0, math.inf, math.inf]
    assert letter_by_letter(WORDPIECE, phrases) is None
    assert letter_by_letter(mlm.vocabulary, [["dog"]]) is None


def test_a_model_that_loses_capitals_is_told_of_once(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        infill(["A [MASK]."], chains=1, steps=0, causal=tiny.causal(), masked=tiny.masked_path, progress=True)
    assert capsys.readouterr().err.count("reads small letters only") == 1


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({"suffix": "in New York?"}, "in New York?"),
        ({"prefix": "NASA and iPhone"}, "NASA and iPhone"),
        ({"required": ["C++", "the café"]}, "C++"),
        ({"template": "The * of (NASA) *{1,2}."}, "of (NASA)"),
    ],
)
def test_write(tiny: Tiny, mlm: TransformersMaskedLM, request_: dict[str, Any], part: str) -> None:
    for text in write([request_], chains=2, steps=3, seed=0, causal=tiny.causal(), masked=mlm).texts:
        assert part in text and "  " not in text and text == text.strip()
        assert not text[:1].islower() or text.startswith(part)
        assert text[-1] in ".!?" and text[-2] != " "


def test_what_two_constraints_name_may_stand_at_one_place(mlm: TransformersMaskedLM) -> None:
    requests = [Request(prefix="NASA and", required=["NASA"]), Request(suffix="a dog")]
    terms = word_for_word(mlm.vocabulary, requests)
    batch = mlm.vocabulary.encode(["NASA and a dog.", "Nasa and a dog."])
    batch = replace(batch, inputs=torch.zeros_like(batch.inputs))
    assert [term.energy(batch).tolist() for term in terms] == [[0.0, math.inf]] * 2
    assert [[term.concerns(number) for number in (0, 1)] for term in terms] == [[True, False]] * 2
    # the twin asks for both at once
    both = letter_by_letter(mlm.vocabulary, list(map(phrases_of, requests)))
    assert both is not None and both.energy(batch).tolist() == [math.inf, math.inf]


def test_keywords(tmp_path_factory: pytest.TempPathFactory, mlm: TransformersMaskedLM) -> None:
    lm = causal_lm(roomy_causal(tmp_path_factory.mktemp("causal")), device="cpu")
    for text in keywords([["iPhone", "C++"]], chains=2, steps=2, drafts=2, seed=0, causal=lm, masked=mlm).texts:
        assert "C++" in text and "iPhone" in text
