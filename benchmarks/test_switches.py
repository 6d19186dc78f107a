"""All exact ways to read rows give the same numbers, and one that asks elsewhere does not; on tiny random models."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks import switches
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.checkpoints.silence import silenced
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.vocabulary import TokenizerVocabulary

WORDS = 40
SHAPE = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


def tiny(part: str) -> tuple[Any, list[int], list[switches.Row]]:
    """A random model, a prompt and twelve rows."""
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast, LlamaConfig, LlamaForCausalLM

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + i) for i in range(WORDS))]
    config: dict[str, Any] = {**SHAPE, "vocab_size": len(pieces), "initializer_range": 0.4}
    with torch.random.fork_rng(), silenced():
        torch.manual_seed(0)
        vocabulary = TokenizerVocabulary(BertTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)}), 32)
        texts = [[5 + i, *(torch.randperm(WORDS)[:5] + 5).tolist()] for i in range(12)]
        if part == "masked":
            masked = TransformersMaskedLM(BertForMaskedLM(BertConfig(**config)).eval(), vocabulary)
            return masked, [], [switches.Row([2, *text[:2], 4, *text[3:], 3], [3], [text[2]]) for text in texts]
        causal = TransformersCausalLM(LlamaForCausalLM(LlamaConfig(**config)).eval(), vocabulary, bos=2, eos=3)
    prompt = [2, 9, 8, 7] if part == "prompt" else []
    places = [len(prompt) + place for place in range(6)]
    return causal, prompt, [switches.Row([*prompt, *text], places, [*text[1:], 3]) for text in texts]


@pytest.mark.parametrize("part", list(switches.PARTS))
def test_all_exact_ways_give_the_same_numbers(part: str) -> None:
    lm, prompt, rows = tiny(part)
    with torch.no_grad():
        chosen = list(
            switches.switches(part, lm, prompt, len(rows[0].tokens), ["bfloat16", "int8", "compiled", "onnx"])
        )
        found = switches.measure(chosen, rows, 1, "cpu")
        switches.table(part, found)
        for own in found:
            assert own["change"] < 1e-4, own
            assert own["change_alone"] < 1e-4, own
        assert found[0]["change"] == found[0]["change_alone"] == 0.0
        # the broken twin asks for the token at its side
        last = chosen[-1].read
        assert last is not None
        wrong = [switches.Row(row.tokens, [place - 1 for place in row.places], row.wanted) for row in rows]
        assert float((last(wrong)() - last(rows)()).abs().max()) > 0.1
