"""Adapters that learn: nothing changes at first, only they learn, and what is written is what stood beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from textsearch.models.checkpoints.low_rank import merge
from training.low_rank import adapt, save


def llama() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1}
    return LlamaForCausalLM(LlamaConfig(vocab_size=20, num_hidden_layers=2, **sizes)).eval()


def test_what_learns_is_beside_the_weights_and_is_written_as_it_is(tmp_path: Path) -> None:
    model, tokens = llama(), torch.tensor([[3, 1, 4, 1, 5]])
    before = model(tokens).logits.detach()
    adapters = adapt(model, 2, 1.5)
    assert torch.allclose(model(tokens).logits, before, atol=1e-6) and len(adapters) == 2 * 7
    learns = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert learns == {f"{name}.{letter}" for name in adapters for letter in "ab"}
    # a few steps of learning
    weights = [weight for adapter in adapters.values() for weight in (adapter.a, adapter.b)]
    optimizer = torch.optim.AdamW(weights, lr=0.05)
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(model(tokens).logits[0, :-1], tokens[0, 1:])
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
    after = model(tokens).logits.detach()
    assert float((after - before).abs().max()) > 0.1
    save(adapters, tmp_path, "a model")
    other = llama()
    merge(other, tmp_path)
    assert torch.allclose(other(tokens).logits, after, atol=2e-2)
    # the control: the model beneath
    assert not torch.allclose(llama()(tokens).logits, after, atol=2e-2)
