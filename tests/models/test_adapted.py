"""A model of transformers that is loaded already."""

from __future__ import annotations

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch.models import adapted_causal_lm, causal_lm


def test_it_says_what_its_folder_says(tiny: Tiny) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny.causal_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny.causal_path)
    one, other = adapted_causal_lm(model, tokenizer), causal_lm(str(tiny.causal_path), device="cpu")
    texts = ["the dog", "no"]
    scores = [lm.score(lm.vocabulary.encode(texts)).log_prob for lm in (one, other)]
    assert scores[0].tolist() == scores[1].tolist()
    with pytest.raises(TypeError, match="not a model of transformers"):
        adapted_causal_lm("gpt2", tokenizer)
    with pytest.raises(TypeError, match="not a fast tokenizer"):
        adapted_causal_lm(model, "gpt2")


def test_another_end_is_another_law(tiny: Tiny) -> None:
    """What was remembered with the old end is not used."""
    lm = causal_lm(str(tiny.causal_path), device="cpu")
    texts = lm.vocabulary.encode(["the dog", "no"])
    end = texts.token_lists()[0][0]
    lm.score(texts)
    fresh = causal_lm(str(tiny.causal_path), device="cpu", eos=end).score(texts).log_prob.tolist()
    assert lm.ending_with(end).score(texts).log_prob.tolist() == fresh != lm.score(texts).log_prob.tolist()
