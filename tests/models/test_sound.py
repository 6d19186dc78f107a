"""A model that gives nan or infinity is named, with what to do; no text is refused in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from objectives import Fluency, PseudoLikelihood
from samplers import MetropolisHastings
from samplers.proposals import Replace
from tests.models.test_classifier import folder as classifier_path
from tests.models.test_turns import Shared
from tests.models.test_turns import shared as shared
from tests.models.tiny import FEW, PIECES, TEXTS, Tiny, bert, llama, save, word_tokenizer, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from tests.models.tiny_seq2seq import bart_path as bart_path
from textsearch import generate
from textsearch.models import causal_lm, masked_lm
from textsearch.models.unilm import UniLM

__all__ = ["bart_path", "classifier_path", "shared", "tiny"]


def poisoned(model: Any, value: float) -> None:
    """One number of the last matrix is not one."""
    with torch.no_grad():
        # sentence vectors do not go through what BERT sets behind its first token
        used = [weight for name, weight in model.named_parameters() if "pooler" not in name]
        used[-1].view(-1)[-1] = value


@pytest.mark.parametrize("value", [torch.nan, torch.inf], ids=str)
def test_every_adapter_says_so(shared: Shared, value: float) -> None:
    model = shared.fresh()
    adapter = getattr(model, "masked", model)
    poisoned(adapter.model, value)
    for ask in shared.asks:
        with pytest.raises(
            ValueError, match=r"the model '.+' gave .* nan or infinite: 1 of its weights hold nan or inf, such as '.*'"
        ):
            ask(model, 2)


def test_a_run_does_not_refuse_every_proposal_in_silence(tiny: Tiny) -> None:
    lm = tiny.masked()
    lm.model.cls.predictions.bias.data[7] = torch.inf
    for energy in (PseudoLikelihood(lm), Fluency(tiny.causal())):
        with pytest.raises(ValueError, match=rf"the model '{tiny.masked_path}' gave logits that are nan or infinite"):
            generate(energy, MetropolisHastings(Replace(lm)), ["the dog sat"], steps=3, seed=0)


def test_the_remedy_of_half_precision_is_more_of_it(tiny: Tiny) -> None:
    lm = tiny.masked(dtype=torch.float16)
    with torch.no_grad():
        lm.model.bert.embeddings.LayerNorm.weight.fill_(6e4)
    batch = lm.vocabulary.encode(TEXTS[:1])
    remedy = r"too large for float16; load it with dtype=torch\.bfloat16 or torch\.float32"
    with pytest.raises(ValueError, match=remedy):
        lm.log_probs(batch, torch.tensor([0]), torch.tensor([0]))


def test_a_forbidden_token_is_no_fault(tiny: Tiny) -> None:
    """-inf is a probability of 0, as long as something else can stand there."""
    lm = tiny.masked()
    lm.model.cls.predictions.bias.data[7] = -torch.inf
    batch = lm.vocabulary.encode(TEXTS[:1])
    found = lm.log_probs(batch, torch.tensor([0]), torch.tensor([0]))
    assert found[0, 7] == -torch.inf
    assert found.exp().sum().item() == pytest.approx(1)


Load = Callable[[Path], Any]


@pytest.mark.parametrize("value", [torch.nan, -torch.inf], ids=str)
@pytest.mark.parametrize("load", [causal_lm, masked_lm], ids=["causal", "masked"])
def test_weights_that_are_no_numbers_are_refused_when_they_are_loaded(tmp_path: Path, load: Load, value: float) -> None:
    """And a causal model of them does not "look ahead"."""
    model = llama(len(FEW) + 2) if load is causal_lm else bert(len(PIECES))
    poisoned(model, value)
    folder = save(tmp_path / "poisoned", model, word_tokenizer(FEW) if load is causal_lm else wordpiece_tokenizer())
    with pytest.raises(ValueError, match=rf"'{folder}': 1 of its weights hold nan or inf, such as .*again"):
        load(folder)


def test_a_unilm_of_such_weights_does_not_miss_its_masks(tiny: Tiny) -> None:
    lm = tiny.masked()
    poisoned(lm.model, torch.nan)
    with pytest.raises(ValueError, match="gave logits that are nan or infinite"):
        UniLM(lm)
