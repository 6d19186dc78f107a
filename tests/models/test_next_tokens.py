"""What a causal model expects after tokens: the law that it scores by, and no token read twice."""

from __future__ import annotations

import pytest
import torch

from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from textsearch.models.protocols import TokenLM
from textsearch.testing import TableCausalLM, letters


def log_probs(lm: TokenLM, rows: list[list[int]], prompts: list[str]) -> list[float]:
    """log p of each row and its end, token by token."""
    out = [0.0] * len(rows)
    for place in range(max(map(len, rows)) + 1):
        going = [i for i, row in enumerate(rows) if place <= len(row)]
        laws = lm.log_probs_after([rows[i][:place] for i in going], [prompts[i] for i in going], more=9 - place)
        for i, law in zip(going, laws, strict=True):
            out[i] += float(law[[*rows[i], lm.eos][place]])
    return out


def test_sums_are_the_scores(tiny: Tiny) -> None:
    model = tiny.causal()
    batch = model.vocabulary.encode(TEXTS)
    prompts = ["hello ", "", "the dog"] * len(TEXTS)
    own = prompts[: len(TEXTS)]
    found = log_probs(model.forgetful(), batch.token_lists(), own)
    torch.testing.assert_close(
        torch.tensor(found, dtype=torch.float64), model.score(batch, own).log_prob, atol=1e-4, rtol=0
    )
    law = model.log_probs_after([[], batch.token_lists()[0]], ["", "hello "])
    assert law.dtype == torch.float64
    torch.testing.assert_close(law.exp().sum(-1), torch.ones(2, dtype=torch.float64))


def test_some_tokens_have_what_all_have(tiny: Tiny) -> None:
    model = tiny.causal().forgetful()
    rows, prompts = [[], *model.vocabulary.encode(TEXTS).token_lists()], ["hello "] * (1 + len(TEXTS))
    asked = [[(3 * i + step) % model.vocabulary.size for step in range(i)] for i in range(len(rows))]
    found = model.log_probs_of(rows, prompts, asked, more=2)
    laws = model.log_probs_after(rows, prompts, more=2)
    for own, law, tokens in zip(found, laws, asked, strict=True):
        torch.testing.assert_close(torch.tensor(own, dtype=torch.float64), law[tokens], atol=1e-5, rtol=0)
    assert model.log_probs_of([], [], []) == []


def test_toys_have_the_same_method() -> None:
    model = TableCausalLM.random(letters("abc"), seed=1)
    batch = model.vocabulary.encode(["abca", "", "cc"])
    prompts = ["ab", "", "c"]
    found = log_probs(model, batch.token_lists(), prompts)
    torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), model.score(batch, prompts).log_prob)


def test_no_token_is_read_twice(tiny: Tiny) -> None:
    model = tiny.causal().forgetful()
    rows = model.vocabulary.encode(TEXTS).token_lists()
    log_probs(model, rows, ["hello "] * len(rows))
    begun = {tuple(row[:size]) for row in rows for size in range(1, len(row) + 1)}
    prompt = len(model.vocabulary.encode(["hello "]).token_lists()[0])
    assert model.usage.tokens - model.usage.padding == prompt + len(begun)
    passes = model.usage.passes
    log_probs(model, rows, ["hello "] * len(rows))
    assert model.usage.passes == passes


def test_what_is_over_the_limit_of_the_model_is_refused_before_it_is_read(tiny: Tiny) -> None:
    model = tiny.causal().forgetful()
    longest = model.vocabulary.longest
    row = model.vocabulary.encode(TEXTS).token_lists()[0]
    with pytest.raises(ValueError, match=f"are over the model's limit of {longest}; shorten the prompt or the longest"):
        model.log_probs_after([row], [""], more=longest)
    assert model.usage.tokens == 0
    assert len(model.log_probs_after([], [])) == 0
