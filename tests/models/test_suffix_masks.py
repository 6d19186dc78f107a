"""Suffixes of causal models under a mask: priced as drawn, by hand, and read no more than they write."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import SuffixResampling
from tests.hinted import Hinted, rows_of
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch.models.causal import TransformersCausalLM
from textsearch.rng import Rng

DOG, CAT, SAT = 1, 2, 4
FREE = 0.25
MASK = Hinted(
    rows_of(5, 5, lambda row: row[:1] == (DOG,) and row[-1:] != (CAT,)),
    10,
    hidden=frozenset({((DOG, DOG), DOG)}),
    astray=frozenset({((DOG, CAT, CAT), 8)}),
)
"""Texts of four words that begin with "dog" and do not end in "cat"; no more than one way leads nowhere."""


def by_hand(lm: TransformersCausalLM, row: list[int], cut: int, prompt: list[int], heat: float) -> tuple[float, float]:
    """log q of row[cut:] and the end, without the mask and under it, from one plain pass."""
    begun = {tuple(row[:size]) for size in range(cut + 1, len(row) + 1)}
    if begun - {text[:size] for text in MASK.language for size in range(len(text) + 1)}:
        return -math.inf, -math.inf  # it begins as no text does, and is not written on
    tokens = [*prompt, *row, lm.eos]
    with torch.inference_mode():
        logits = lm.model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double() / heat
    free = masked = 0.0
    for place in range(cut, len(row) + 1):
        token, law = tokens[len(prompt) + place], logits[len(prompt) + place - 1]
        allowed = MASK.follow(tuple(row[:place]))
        may = [*range(1, 10), lm.eos]
        free += float(law[token] - law[may].logsumexp(0))
        masked += float(law[token] - law[sorted(allowed)].logsumexp(0)) if token in allowed else -math.inf
    return free, masked


@pytest.mark.parametrize("prompt", ["", "the old"])
def test_prices_are_those_of_a_plain_forward_pass(tiny: Tiny, prompt: str) -> None:
    lm = tiny.words()
    batch = lm.vocabulary.encode(["dog", "dog sat", "dog dog dog the", "cat", "dog cat cat", "", "dog the cat the dog"])
    start = lm.vocabulary.tokenizer(prompt)["input_ids"] if prompt else [lm.bos]
    for cut in (0, 1, 3):
        cuts = batch.lengths.clamp(max=cut)
        settings: dict[str, Any] = {"prompt": prompt, "temperature": 0.7, "constraint": MASK}
        found = {free: lm.suffix_log_probs(batch, cuts, free=free, **settings).tolist() for free in (0.0, FREE)}
        for at, (row, own) in enumerate(zip(batch.token_lists(), cuts.tolist(), strict=True)):
            free, masked = by_hand(lm, row, own, start, 0.7)
            assert found[0.0][at] == pytest.approx(masked, abs=2e-5)
            mixture = FREE * math.exp(free) + (1 - FREE) * math.exp(masked)
            assert found[FREE][at] == pytest.approx(math.log(mixture) if mixture else -math.inf, abs=2e-5)
    assert lm.suffix_log_probs(batch.rows(torch.arange(0)), cuts[:0], constraint=MASK, free=FREE).shape == (0,)


def test_sampled_log_probability_is_the_scored_one_and_the_law_is_that(tiny: Tiny) -> None:
    lm = tiny.words()
    count = 6000
    batch, cuts = lm.vocabulary.encode(["dog the"]).repeat(count), torch.ones(count, dtype=torch.int64)
    settings: dict[str, Any] = {"prompt": "the old", "constraint": MASK, "free": FREE}
    new, log_prob, ended = lm.draw_suffixes(batch, cuts, Rng.start(1, count), most=6, **settings)
    priced = lm.suffix_log_probs(new, cuts, **settings)
    torch.testing.assert_close(log_prob[ended], priced[ended], atol=2e-5, rtol=0)
    assert 0 < (~ended).sum() < count
    rows = [tuple(row) for row, one in zip(new.token_lists(), ended.tolist(), strict=True) if one]
    prices = dict(zip(rows, priced[ended].exp().tolist(), strict=True))
    likely = [row for row, price in prices.items() if price * count > 20]
    assert len(likely) > 10
    for row in likely:
        error = math.sqrt(prices[row] * (1 - prices[row]) / count)
        assert abs(rows.count(row) / count - prices[row]) < 5 * error
    # a way that leads nowhere has no end, and fails as soon as it is met
    lost = [tuple(row) for row, one in zip(new.token_lists(), ended.tolist(), strict=True) if not one]
    assert (DOG, CAT, CAT, 8) in lost


def test_the_rest_of_the_batch_changes_no_bit(tiny: Tiny) -> None:
    def draws(rows: list[int], **more: Any) -> list[Any]:
        lm = tiny.words(**more)
        batch = lm.vocabulary.encode(["dog sat", "dog", "dog the dog", "cat", "dog dog"] * 4).rows(rows)
        cuts = batch.lengths.clamp(max=1)
        settings: dict[str, Any] = {"temperature": 0.8, "constraint": MASK, "free": FREE}
        new, drawn, _ = lm.draw_suffixes(batch, cuts, Rng.start(5, 20).rows(rows), most=6, **settings)
        priced = lm.suffix_log_probs(new, cuts, **settings)
        return list(zip(new.token_lists(), drawn.tolist(), priced.tolist(), strict=True))

    whole = draws(list(range(20)))
    for rows in ([3], [7, 3, 7], list(range(19, -1, -1))):
        assert draws(rows) == [whole[row] for row in rows]
        assert draws(rows, max_tokens=1) == [whole[row] for row in rows]


def test_a_move_reads_what_it_writes_and_no_more(tiny: Tiny) -> None:
    """Nothing again before the cut, nothing for the way back, nothing for the energy."""
    lm, right = tiny.words(), replace(MASK, astray=frozenset(), hidden=frozenset())
    objective = Fluency(lm, "the old") + right
    # no draw fails, so the same draw by another model tells what the step has written
    proposal = SuffixResampling(lm, "the old", max_length=6, constraint=right, free=0.0)
    sampler, other = MetropolisHastings(proposal), replace(proposal, lm=tiny.words())
    state = sampler.init(objective, lm.vocabulary.encode(["dog sat the dog"]))
    seen = {tuple(row[:size]) for row in state.batch.token_lists() for size in range(len(row) + 1)}
    for step in range(60):
        rng = Rng.start(9, 1).at(step)
        before = lm.usage.tokens - lm.usage.padding
        row = other.propose(state.batch, rng.fold(0)).batch.token_lists()[0]
        state, _ = sampler.step(objective, state, rng)
        new = {tuple(row[:size]) for size in range(len(row) + 1)} - seen
        assert lm.usage.tokens - lm.usage.padding - before == len(new)
        seen |= new
    assert len(seen) > 60
