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
