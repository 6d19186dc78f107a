"""Suffixes of causal models: what is drawn is what is priced, whatever else is in the batch."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import SuffixResampling
from tests.models.test_causal import PROMPTS, assert_same, every_prompt, one_each
from tests.models.tiny import FEW, TEXTS, Tiny, llama, save, shuffled, word_tokenizer
from tests.models.tiny import tiny as tiny
from textsearch.batch import Batch
from textsearch.models import causal_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.rng import Rng

MOST = 20
Draw = tuple[list[list[int]], Tensor, Tensor]


def cut_up(lm: TransformersCausalLM, times: int = 2) -> tuple[Batch, Tensor]:
    """Texts cut at all kinds of places, at both ends among them."""
    batch = lm.vocabulary.encode(TEXTS).repeat(times)
    share = torch.rand(len(batch), generator=torch.Generator().manual_seed(0))
    return batch, (share * (batch.lengths + 1)).floor().to(torch.int64)


def by_hand(
    lm: TransformersCausalLM, row: list[int], cut: int, prompt: str = "", temperature: float = 1.0, end: bool = True
) -> float:
    """The log-probability of row[cut:] and the end, from all logits of one plain pass over prompt and text together."""
    start = lm.vocabulary.tokenizer(prompt)["input_ids"] if prompt else [lm.bos]
    tokens = [*start, *row, *([lm.eos] if end else [])]
    with torch.inference_mode():
        logits = lm.model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double()
        special = [token for token in lm.vocabulary.tokenizer.all_special_ids if token != lm.eos]
        logits[:, [*special, *range(lm.vocabulary.size, logits.shape[1])]] = -math.inf
        log_probs = (logits / temperature).log_softmax(-1)
    return float(sum(log_probs[place - 1, tokens[place]] for place in range(len(start) + cut, len(tokens))))


@every_prompt
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_prices_are_those_of_a_plain_forward_pass(tiny: Tiny, prompt: str, temperature: float) -> None:
    lm = tiny.causal()
    batch, cuts = cut_up(lm, 1)
    found = lm.suffix_log_probs(batch, cuts, prompt=prompt, temperature=temperature)
    rows = zip(batch.token_lists(), cuts.tolist(), strict=True)
    assert found.dtype == torch.float64
    assert_same(found, [by_hand(lm, row, cut, prompt, temperature) for row, cut in rows])


@pytest.mark.parametrize("prompt", ["", "the", "the old dog"])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_sampled_log_probability_is_the_scored_one(tiny: Tiny, prompt: str, temperature: float) -> None:
    """Through other passes: one token after another behind what was kept, and the whole text at once."""
    lm = tiny.words()
    batch = lm.vocabulary.encode(["the dog", "", " ".join(FEW * 2)]).repeat(30)
    cuts = torch.minimum(torch.arange(90) % 17, batch.lengths)
    settings: dict[str, Any] = {"prompt": prompt, "temperature": temperature}
    new, log_prob, ended = lm.draw_suffixes(batch, cuts, Rng.start(1, 90), most=MOST, **settings)
    assert log_prob.dtype == torch.float64
    assert ended.any()
    found = lm.suffix_log_probs(new, cuts, **settings)
    torch.testing.assert_close(log_prob[ended], found[ended], atol=2e-5, rtol=0)
    # of a text without an end, all but the end
    rows = [(new.token_lists()[i], int(cuts[i])) for i in (~ended).nonzero().flatten().tolist()][:10]
    assert all(len(row) == MOST for row, _ in rows)
    without = [by_hand(lm, row, cut, prompt, temperature, end=False) for row, cut in rows]
    assert_same(log_prob[~ended][:10], without)


def test_what_is_kept_is_kept(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch, cuts = cut_up(lm, 8)
    frozen = torch.arange(batch.width) < cuts[:, None] // 2
    batch = batch.frozen(frozen & batch.present)
    new, _, ended = lm.draw_suffixes(batch, cuts, Rng.start(1, len(batch)), most=MOST)
    assert new.inputs.equal(batch.inputs)
    assert new.vocabulary is batch.vocabulary
    for before, after, cut in zip(batch.token_lists(), new.token_lists(), cuts.tolist(), strict=True):
        assert after[:cut] == before[:cut]
        assert lm.eos not in after
    width = min(batch.width, new.width)
    assert new.editable.equal(new.present & ~torch.nn.functional.pad(frozen[:, :width], (0, new.width - width)))
    assert not new.tokens[~new.present].any()
    assert (new.lengths[~ended] == MOST).all()
    assert (new.lengths >= cuts).all()


def test_a_full_text_ends_or_not(tiny: Tiny) -> None:
    """There is room for nothing but the end."""
    lm = tiny.words()
    batch = lm.vocabulary.encode(["dog sat"] * 400)
    new, log_prob, ended = lm.draw_suffixes(batch, torch.full((400,), 2), Rng.start(0, 400), most=2)
    assert new.token_lists() == batch.token_lists()
    end = math.exp(by_hand(lm, batch.token_lists()[0], 2))
    assert abs(float(ended.double().mean()) - end) < 5 * math.sqrt(end * (1 - end) / 400)
    assert_same(log_prob[ended][:1], [math.log(end)])
    assert not log_prob[~ended].any()


def test_the_end_counts_though_it_is_also_the_padding(tiny: Tiny) -> None:
    lm = tiny.causal()
    assert lm.eos == lm.vocabulary.tokenizer.pad_token_id
    batch, _ = cut_up(lm, 1)
    found = lm.suffix_log_probs(batch, batch.lengths)
    assert_same(found, [by_hand(lm, row, len(row)) for row in batch.token_lists()])
    assert (found < -0.01).all()


def test_the_whole_text_is_priced_as_it_is_scored(tiny: Tiny) -> None:
    """The end is the only special token of this model, so nothing is renormalised away."""
    lm = tiny.causal()
    batch, cuts = cut_up(lm, 1)
    for prompt in PROMPTS:
        found = lm.suffix_log_probs(batch, torch.zeros_like(cuts), prompt=prompt)
        torch.testing.assert_close(found, lm.score(batch, prompt).log_prob, atol=2e-5, rtol=0)


def test_alike_suffixes_of_unlike_prefixes_are_kept_apart(tiny: Tiny) -> None:
    lm = tiny.words()
    texts = [f"{first} {second} sat" for first in FEW for second in ("dog", "cat")]
    batch = lm.vocabulary.encode(texts)
    cuts = torch.full((len(batch),), 2)
    for prompt in ("", "the old"):
        found = lm.suffix_log_probs(batch, cuts, prompt=prompt)
        assert len(set(found.tolist())) == len(batch)
        assert_same(found, [by_hand(lm, row, 2, prompt) for row in batch.token_lists()])
        new, log_prob, ended = lm.draw_suffixes(
            batch.repeat(20), cuts.repeat_interleave(20), Rng.start(0, 320), prompt=prompt, most=6
        )
        short = (ended & (new.lengths == 2)).nonzero().flatten().tolist()
        prices = {tuple(new.token_lists()[i]): float(log_prob[i]) for i in short}
        assert len(prices) == len(set(prices.values())) > 5
        for row, price in prices.items():
            assert abs(price - by_hand(lm, list(row), 2, prompt)) < 1e-4


def fresh_draw(tiny: Tiny, rows: list[int], prompts: list[str], width: int = 0, **settings: Any) -> Draw:
    """Draws and prices of some rows, by a model that remembers nothing."""
    lm = tiny.causal(**settings)
    batch, cuts = cut_up(lm)
    batch, cuts = batch.rows(rows).widen(width), cuts[torch.tensor(rows)]
    rng = Rng.start(5, 20).at(3).rows(rows)
    own = [prompts[row] for row in rows]
    new, log_prob, _ = lm.draw_suffixes(batch, cuts, rng, prompt=own, temperature=0.8, most=MOST)
    return new.token_lists(), log_prob, lm.suffix_log_probs(batch, cuts, prompt=own, temperature=0.8)


@pytest.mark.parametrize("prompts", [[""] * 20, ["The old dog"] * 20, one_each(20)], ids=["none", "one", "one each"])
def test_the_rest_of_the_batch_changes_no_bit(tiny: Tiny, prompts: list[str]) -> None:
    everything = list(range(20))
    whole = fresh_draw(tiny, everything, prompts)
    assert len({tuple(row) for row in whole[0]}) == 20
    order = shuffled(20).tolist()
    ways = {
        "reordered": (order, fresh_draw(tiny, order, prompts)),
        "padded": (everything, fresh_draw(tiny, everything, prompts, width=60)),
        "some": (order[:17], fresh_draw(tiny, order[:17], prompts)),
        "twice": ([7, 3, 7, 7], fresh_draw(tiny, [7, 3, 7, 7], prompts)),
        "a row a pass": (order[:6], fresh_draw(tiny, order[:6], prompts, max_tokens=1)),
        "all in one pass": (everything, fresh_draw(tiny, everything, prompts, max_tokens=100_000)),
        **{f"{row} alone": ([row], fresh_draw(tiny, [row], prompts)) for row in (0, 9, 13)},
    }
    for way, (rows, (texts, drawn, priced)) in ways.items():
        assert texts == [whole[0][row] for row in rows], way
        assert drawn.equal(whole[1][torch.tensor(rows)]), way
        assert priced.equal(whole[2][torch.tensor(rows)]), way


def test_draws_depend_on_seed_chain_and_step(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch, cuts = cut_up(lm)

    def draw(rng: Rng) -> list[list[int]]:
        return lm.draw_suffixes(batch, cuts, rng, most=MOST)[0].token_lists()

    one = draw(Rng.start(3, 20).at(5))
    assert draw(Rng.start(3, 20).at(5)) == one
    assert draw(Rng.start(3, 20).at(6)) != one
    assert draw(Rng.start(4, 20).at(5)) != one


def law_of_suffixes(lm: TransformersCausalLM, words: list[str], temperature: float, power: float = 1.0) -> float:
    """p-value of what is drawn behind "dog", up to two words, under exp(power * price); all else is pooled."""
    count = 10_000
    batch = lm.vocabulary.encode(["dog cat"]).repeat(count)
    cuts = torch.ones(count, dtype=torch.int64)
    settings: dict[str, Any] = {"prompt": "the old", "temperature": temperature}
    new, _, ended = lm.draw_suffixes(batch, cuts, Rng.start(1, count), most=3, **settings)
    drawn = Counter(tuple(row) for row, end in zip(new.token_lists(), ended.tolist(), strict=True) if end)
    texts = lm.vocabulary.encode(["dog", *(f"dog {a}" for a in words), *(f"dog {a} {b}" for a in words for b in words)])
    law = lm.suffix_log_probs(texts, torch.ones(len(texts), dtype=torch.int64), **settings)
    expected = np.exp(power * law.numpy()) * count
    observed = np.array([drawn[tuple(row)] for row in texts.token_lists()])
    if power == 1.0:
        assert sum(drawn.values()) == observed.sum()
    common = expected > 10
    assert common.sum() > 10
    observed = np.append(observed[common], count - observed[common].sum())
    expected = np.append(expected[common], count - expected[common].sum())
    return float(scipy.stats.chisquare(observed, expected).pvalue)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_draws_follow_the_price(tiny: Tiny, temperature: float) -> None:
    assert law_of_suffixes(tiny.words(max_tokens=100_000), [*FEW, "<other>"], temperature) > 1e-4


def test_draws_from_another_law_are_caught(tiny: Tiny) -> None:
    assert law_of_suffixes(tiny.words(max_tokens=100_000), [*FEW, "<other>"], 1.0, power=1.2) < 1e-9


def test_special_tokens_are_never_written(tmp_path: Path) -> None:
    """Nor the outputs that a checkpoint has beyond its tokenizer; what they would have had is shared out."""
    specials = {"bos_token": "sat", "eos_token": "</s>", "pad_token": "red", "unk_token": "<other>"}
    tokenizer = word_tokenizer(FEW, **specials)
    lm = causal_lm(
        save(tmp_path / "specials", llama(len(tokenizer) + 4, spread=0.12), tokenizer),
        device="cpu",
        max_tokens=100_000,
    )
    allowed = [word for word in FEW if word not in specials.values()]
    assert lm.vocabulary.allowed.sum() == len(allowed)
    assert law_of_suffixes(lm, allowed, 0.8) > 1e-4
    batch = lm.vocabulary.encode(["dog cat", "dog", "dog sat"])
    found = lm.suffix_log_probs(batch, torch.tensor([1, 1, 1]), prompt="the old", temperature=0.8)
    rows = batch.token_lists()
    assert_same(found[:2], [by_hand(lm, row, 1, "the old", 0.8) for row in rows[:2]])
    assert found[2] == -math.inf
    assert_same(lm.suffix_log_probs(batch, torch.tensor([2, 1, 2]))[2:], [by_hand(lm, rows[2], 2)])


def test_prompts_and_texts_must_fit(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch, cuts = cut_up(lm, 1)
    longest = lm.vocabulary.longest
    new, _, _ = lm.draw_suffixes(batch, cuts, Rng.start(0, 10), temperature=3.0, most=longest)
    assert int(new.lengths.max()) == longest
    with pytest.raises(ValueError, match=rf"a prompt of 1 tokens and texts of up to {longest + 1} are over .* shorten"):
        lm.draw_suffixes(batch, cuts, Rng.start(0, 10), most=longest + 1)
    most = int(batch.lengths.max()) - 1
    with pytest.raises(ValueError, match=rf"{most + 1} tokens are to be kept of a text of at most {most}; cut it"):
        lm.draw_suffixes(batch, batch.lengths, Rng.start(0, 10), most=most)


def test_no_rows(tiny: Tiny) -> None:
    lm = tiny.causal()
    none = torch.zeros(0, dtype=torch.int64)
    new, log_prob, ended = lm.draw_suffixes(lm.vocabulary.encode([]), none, Rng.start(0, 0), most=5)
    assert (len(new), log_prob.shape, ended.shape) == (0, (0,), (0,))
    assert lm.suffix_log_probs(lm.vocabulary.encode([]), none).shape == (0,)
    assert lm.usage.passes == 0


def test_reading_leaves_the_prompt_as_it_was(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch, cuts = cut_up(lm)
    settings: dict[str, Any] = {"prompt": "The old dog", "most": MOST}
    first = lm.draw_suffixes(batch, cuts, Rng.start(0, 20), **settings)
    again = lm.draw_suffixes(batch, cuts, Rng.start(0, 20), **settings)
    assert first[0].token_lists() == again[0].token_lists()
    assert first[1].equal(again[1])


def test_texts_are_written_together(tiny: Tiny) -> None:
    """A prompt is read once, so is what the texts have in common, and then there is a pass for each place."""
    lm = tiny.causal()
    batch = lm.vocabulary.encode([TEXTS[0]] * 8)
    cuts = torch.arange(8)
    new, _, _ = lm.draw_suffixes(batch, cuts, Rng.start(0, 8), prompt="The old dog", most=MOST)
    written = new.lengths - cuts
    assert lm.usage.passes <= 1 + int(written.max())
    beginnings = {tuple(row[:size]) for row in new.token_lists() for size in range(1, len(row) + 1)}
    prompt = int(lm.vocabulary.encode(["The old dog"]).lengths)
    assert lm.usage.tokens - lm.usage.padding == prompt + len(beginnings)


def test_chains_are_the_same_alone_and_among_others(tiny: Tiny) -> None:
    # what a random model writes in bytes is hardly ever the spelling of a text
    lm = tiny.words()
    sampler = MetropolisHastings(SuffixResampling(lm, "the old dog", temperature=0.5, max_length=MOST))
    batch = lm.vocabulary.encode(["the dog sat", "old red cat and the dog ran", "cat"] * 3).repeat(2)
    batch = batch.rows(batch.lengths <= MOST)

    def run(rows: list[int]) -> tuple[list[list[int]], list[float], list[float]]:
        lm = tiny.words()
        objective = 2.0 * Fluency(lm, "the old dog")
        own = Batch.of(batch.rows(rows).token_lists(), lm.vocabulary)
        sampler = MetropolisHastings(SuffixResampling(lm, "the old dog", temperature=0.5, max_length=MOST))
        state = sampler.init(objective, own)
        with torch.inference_mode():
            for step in range(4):
                state, info = sampler.step(objective, state, Rng.start(2, len(batch)).rows(rows).at(step))
        return state.batch.token_lists(), state.evaluation.energy.tolist(), info.log_ratio.tolist()

    whole = run(list(range(len(batch))))
    assert sampler.kinds == ("suffix",)
    assert whole[0] != batch.token_lists()
    for rows in ([3], [11, 2], shuffled(len(batch)).tolist()):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
