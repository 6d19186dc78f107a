"""Causal models: log p of a text is the sum over its tokens and its end, however it is asked for; draws follow it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from tests.models.tiny import FEW, TEXTS, Tiny, byte_tokenizer, llama, save, seeded, shuffled, word_tokenizer
from tests.models.tiny import tiny as tiny
from textsearch.batch import Batch
from textsearch.models import causal as causal_module
from textsearch.models import causal_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.reading.writing import nucleus
from textsearch.rng import Rng

PROMPTS = ["", "d", "The old dog", "In Paris, on Monday: naïve 猫"]

every_prompt = pytest.mark.parametrize("prompt", PROMPTS, ids=["no prompt", "one token", "short", "long"])


def log_prob_after(model: Any, tokens: list[int], given: int) -> float:
    """log p of tokens[given:] given those before, from all logits of one plain pass: no padding, mask or cache."""
    with torch.inference_mode():
        log_probs = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double().log_softmax(-1)
    return float(sum(log_probs[place - 1, tokens[place]] for place in range(given, len(tokens))))


def by_hand(lm: TransformersCausalLM, text: str, prompt: str = "", end: bool = True) -> float:
    """log p(text, end | prompt) as that of the prompt and the text together less that of the prompt."""
    start = lm.vocabulary.tokenizer(prompt)["input_ids"] if prompt else [lm.bos]
    tokens = [*start, *lm.vocabulary.tokenizer(text)["input_ids"], *([lm.eos] if end else [])]
    return log_prob_after(lm.model, tokens, 1) - log_prob_after(lm.model, start, 1)


def assert_same(found: Tensor, wanted: list[float], tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), atol=tolerance, rtol=0)


@every_prompt
def test_scores_are_those_of_a_plain_forward_pass(tiny: Tiny, prompt: str) -> None:
    lm = tiny.causal()
    scores = lm.score(lm.vocabulary.encode(TEXTS), prompt)
    assert scores.log_prob.dtype == torch.float64
    assert_same(scores.log_prob, [by_hand(lm, text, prompt) for text in TEXTS])
    assert scores.tokens.tolist() == [len(lm.vocabulary.tokenizer(text)["input_ids"]) + 1 for text in TEXTS]


def test_the_end_counts_though_it_is_also_the_padding(tiny: Tiny) -> None:
    lm = tiny.causal()
    assert lm.eos == lm.bos == lm.vocabulary.tokenizer.pad_token_id
    found = lm.score(lm.vocabulary.encode(TEXTS)).log_prob
    without = torch.tensor([by_hand(lm, text, end=False) for text in TEXTS], dtype=torch.float64)
    assert (without - found > 0.01).all()
    assert without[TEXTS.index("")] == 0


def test_a_prompt_changes_the_score(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch = lm.vocabulary.encode(TEXTS)
    scores = torch.stack([lm.score(batch, prompt).log_prob for prompt in PROMPTS])
    assert ((scores[:, None] - scores).abs() + torch.eye(len(PROMPTS))[:, :, None] > 0.05).all()


def test_start_and_end_tokens_can_be_chosen(tiny: Tiny) -> None:
    lm = tiny.causal(bos=40, eos=7)
    assert (lm.bos, lm.eos) == (40, 7)
    assert_same(lm.score(lm.vocabulary.encode(TEXTS)).log_prob, [by_hand(lm, text) for text in TEXTS])


def fresh(tiny: Tiny, prompt: str, **settings: Any) -> Callable[[Batch], Tensor]:
    """Scores of a model that remembers nothing."""
    lm = tiny.causal(**settings)

    def score(batch: Batch) -> Tensor:
        return lm.forgetful().score(batch, prompt).log_prob

    return score


@cache
def ways_of_asking(tiny: Tiny, prompt: str) -> dict[str, Tensor]:
    lm = tiny.causal()
    batch = lm.vocabulary.encode(TEXTS * 2)
    score = fresh(tiny, prompt)
    order = shuffled(len(batch))
    lm.score(batch.rows([3, 5, 0]), prompt)
    return {
        "batched": score(batch),
        "own tokens": tiny.causal().score(batch, prompt).log_prob,
        "partly remembered": lm.score(batch, prompt).log_prob,
        "remembered": lm.score(batch, prompt).log_prob,
        "padded": score(batch.widen(60)),
        "reordered": score(batch.rows(order))[order.argsort()],
        "twice in a batch": score(batch.repeat(2))[::2],
        "one by one": torch.cat([score(batch.rows([row])) for row in range(len(batch))]),
        "two by two": torch.cat([score(batch.rows([row, row + 1])) for row in range(0, len(batch), 2)]),
        "a row a pass": fresh(tiny, prompt, max_tokens=1)(batch),
        "all in one pass": fresh(tiny, prompt, max_tokens=100_000)(batch),
    }


WAYS = ["own tokens", "partly remembered", "remembered", "padded", "reordered", "twice in a batch", "one by one"]
WAYS += ["two by two", "a row a pass", "all in one pass"]


@every_prompt
@pytest.mark.parametrize("way", WAYS)
def test_the_way_of_asking_changes_no_bit(tiny: Tiny, way: str, prompt: str) -> None:
    ways = ways_of_asking(tiny, prompt)
    apart = (ways[way] - ways["batched"]).abs()
    assert ways[way].equal(ways["batched"]), f"{int(apart.gt(0).sum())} rows differ, by up to {apart.max():.1e}"


def test_texts_of_another_tokenizer_are_read_as_text(tiny: Tiny) -> None:
    lm, masked = tiny.causal(), tiny.masked()
    batch = masked.vocabulary.encode(TEXTS)
    assert lm.score(batch).log_prob.equal(lm.score(lm.vocabulary.encode(batch.texts())).log_prob)


def test_own_token_ids_are_taken_as_they_are(tiny: Tiny) -> None:
    lm = tiny.causal()
    letters = lm.vocabulary.tokenizer.convert_tokens_to_ids(list("dog"))
    scores = lm.score(Batch.of([letters], lm.vocabulary))
    assert scores.tokens.tolist() == [4]
    assert_same(scores.log_prob, [log_prob_after(lm.model, [lm.bos, *letters, lm.eos], 1)])


def test_no_rows(tiny: Tiny) -> None:
    lm = tiny.causal()
    scores = lm.score(lm.vocabulary.encode([]), "The old dog")
    assert scores.log_prob.shape == scores.tokens.shape == (0,)
    assert lm.usage.passes == 0
    assert lm.next_log_probs([]).shape == (0, lm.vocabulary.size)
    assert lm.continuations("The", Rng.start(0, 0)) == []


def test_a_text_scored_before_costs_nothing(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch = lm.vocabulary.encode(TEXTS)
    lm.score(batch)
    read = {tuple(row[:size]) for row in batch.token_lists() for size in range(len(row) + 1)}
    assert lm.usage.tokens - lm.usage.padding == len(read)
    before = lm.usage.passes
    lm.score(batch.repeat(3).widen(50))
    assert lm.usage.passes == before
    lm.score(lm.vocabulary.encode([TEXTS[0] + " No!", TEXTS[0]]))
    assert lm.usage.tokens - lm.usage.padding == len(read) + int(lm.vocabulary.encode([" No!"]).lengths)
    assert lm.usage.passes == before + 1


def test_a_prompt_is_read_once(tiny: Tiny) -> None:
    lm = tiny.causal()
    prompt, one, other = lm.vocabulary.encode(["The old dog", "dog", "cat"]).token_lists()
    lm.score(lm.vocabulary.encode(["dog"]), "The old dog")
    assert (lm.usage.passes, lm.usage.reused) == (1, 0)
    lm.score(lm.vocabulary.encode(["cat"]), "The old dog")
    assert lm.usage.tokens - lm.usage.padding == len(prompt) + len(one) + len(other)
    assert (lm.usage.passes, lm.usage.reused) == (2, len(prompt))
    lm.next_log_probs([""], "The old dog")
    assert lm.usage.passes == 2


def test_prompts_with_the_same_texts_are_not_confused(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch = lm.vocabulary.encode(TEXTS)
    first = [lm.score(batch, prompt).log_prob for prompt in PROMPTS]
    again = [lm.score(batch, prompt).log_prob for prompt in PROMPTS]
    for prompt, one, two in zip(PROMPTS, first, again, strict=True):
        assert one.equal(two)
        assert_same(two, [by_hand(lm, text, prompt) for text in TEXTS])


def test_reading_a_text_leaves_its_prompt_as_it_was(tiny: Tiny) -> None:
    lm = tiny.causal()
    lm.score(lm.vocabulary.encode(["a long text on cats and dogs"]), "The old dog")
    lm.continuations("The old dog", Rng.start(0, 3), most=5)
    found = lm.score(lm.vocabulary.encode(TEXTS), "The old dog").log_prob
    assert found.equal(tiny.causal().score(lm.vocabulary.encode(TEXTS), "The old dog").log_prob)


def test_what_is_forgotten_is_read_again(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causal_module, "_TEXTS", 3)
    monkeypatch.setattr(causal_module, "_PROMPTS", 2)
    lm = tiny.causal()
    batch = lm.vocabulary.encode(TEXTS)
    for prompt in PROMPTS * 2:
        assert lm.score(batch, prompt).log_prob.equal(tiny.causal().score(batch, prompt).log_prob)
    assert len(lm._known) == 3
    assert len(lm._starts) == 2


def test_a_prompt_of_no_tokens_is_no_prompt(tiny: Tiny) -> None:
    lm = tiny.words()
    batch = lm.vocabulary.encode(["dog sat", ""])
    assert lm.vocabulary.encode([" "]).lengths.tolist() == [0]
    assert lm.score(batch, " ").log_prob.equal(lm.score(batch).log_prob)


def one_each(count: int) -> list[str]:
    """A prompt for each row, of unlike lengths, out of order."""
    return [[*PROMPTS, "The red cat"][number % 5] for number in shuffled(count).tolist()]


def test_a_prompt_for_each_row(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch = lm.vocabulary.encode(TEXTS * 3)
    prompts = one_each(len(batch))
    found = lm.score(batch, prompts).log_prob
    assert_same(found, [by_hand(lm, text, prompt) for text, prompt in zip(TEXTS * 3, prompts, strict=True)])
    assert len(set(found.tolist())) == len(set(zip(TEXTS * 3, prompts, strict=True)))


@pytest.mark.parametrize("max_tokens", [1, 100_000])
def test_the_prompts_of_other_rows_change_no_bit(tiny: Tiny, max_tokens: int) -> None:
    batch = tiny.masked().vocabulary.encode(TEXTS * 3)
    prompts = one_each(len(batch))
    found = tiny.causal(max_tokens=max_tokens).score(batch, prompts).log_prob
    for prompt in set(prompts):
        index = torch.tensor([own == prompt for own in prompts])
        assert tiny.causal().score(batch.rows(index), prompt).log_prob.equal(found[index])


@every_prompt
def test_a_least_log_prob_spares_reading_and_changes_nothing_else(
    tiny: Tiny, prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal_module, "_ROUND", 8)
    lm = tiny.causal()
    batch = lm.vocabulary.encode(TEXTS)
    whole = lm.score(batch, prompt).log_prob
    for share in (0.3, 0.6, 0.99, 1.0, 1.5):
        least = share * whole.mean() * torch.ones_like(whole)
        spared = lm.forgetful()
        found = spared.score(batch, prompt, least).log_prob
        inside = whole >= least
        assert found[inside].equal(whole[inside])
        assert ((found == whole) | (found == -torch.inf)).all()
        read = [usage.tokens - usage.padding for usage in (spared.usage, lm.usage)]
        assert read[0] < read[1] or share >= 0.99
        # what was given up is not taken for known
        assert spared.score(batch, prompt).log_prob.equal(whole)


def test_texts_met_twice_are_read_to_the_lower_of_their_limits(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch = lm.vocabulary.encode([TEXTS[3]] * 2)
    whole = lm.forgetful().score(batch).log_prob
    assert lm.score(batch, "", torch.tensor([0.0, float(whole[0]) - 1])).log_prob.equal(whole)


def test_each_row_needs_a_prompt(tiny: Tiny) -> None:
    lm = tiny.causal()
    with pytest.raises(ValueError):
        lm.score(lm.vocabulary.encode(["dog", "cat"]), ["a prompt"])


def test_next_log_probs_take_a_prompt_for_each_text(tiny: Tiny) -> None:
    lm = tiny.causal()
    prompts = one_each(len(TEXTS))
    found = lm.next_log_probs(TEXTS, prompts)
    wanted = torch.cat([lm.next_log_probs([text], prompt) for text, prompt in zip(TEXTS, prompts, strict=True)])
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("length", [30, 50, 58])
def test_prompts_near_the_limit_of_learned_positions(tmp_path: Path, length: int) -> None:
    """All tokens fit; the padding after them would not."""
    from transformers import GPT2Config, GPT2LMHeadModel

    size = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.3}
    config = GPT2Config(vocab_size=len(byte_tokenizer()), bos_token_id=0, eos_token_id=0, **size)
    lm = causal_lm(save(tmp_path / "learned", seeded(GPT2LMHeadModel, config), byte_tokenizer()), device="cpu")
    prompt = "!" * length
    assert lm.vocabulary.encode([prompt]).lengths.tolist() == [length]
    texts = ["dog", "", "???"]
    assert_same(lm.score(lm.vocabulary.encode(texts), prompt).log_prob, [by_hand(lm, text, prompt) for text in texts])


@every_prompt
def test_next_log_probs_are_those_of_a_plain_forward_pass(tiny: Tiny, prompt: str) -> None:
    lm = tiny.causal()
    found = lm.next_log_probs(TEXTS, prompt)
    tokenizer = lm.vocabulary.tokenizer
    start = tokenizer(prompt)["input_ids"] if prompt else [lm.bos]
    with torch.inference_mode():
        wanted = [
            lm.model(input_ids=torch.tensor([[*start, *tokenizer(text)["input_ids"]]])).logits[0, -1].log_softmax(-1)
            for text in TEXTS
        ]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.stack(wanted), atol=2e-5, rtol=0)


def test_next_log_probs_add_up_to_the_score(tiny: Tiny) -> None:
    lm = tiny.words()
    words = ["dog", "sat", "and", "ran"]
    steps = lm.next_log_probs([" ".join(words[:n]) for n in range(5)], "the old")
    tokens = [*lm.vocabulary.encode([" ".join(words)]).token_lists()[0], lm.eos]
    total = float(sum(row[token] for row, token in zip(steps.double(), tokens, strict=True)))
    assert_same(lm.score(lm.vocabulary.encode([" ".join(words)]), "the old").log_prob, [total])


def test_next_log_probs_do_not_depend_on_the_batch(tiny: Tiny) -> None:
    lm = tiny.causal()
    whole = lm.next_log_probs(TEXTS, "The old dog")
    assert torch.cat([lm.next_log_probs([text], "The old dog") for text in TEXTS]).equal(whole)
    assert tiny.causal(max_tokens=1).next_log_probs(TEXTS, "The old dog").equal(whole)


def law_of_draws(lm: TransformersCausalLM, prompt: str, power: float = 1.0) -> float:
    """p-value of drawn texts of at most two words under exp(power * score); all longer ones are pooled."""
    count = 20_000
    drawn = Counter(lm.continuations(prompt, Rng.start(1, count), most=3))
    words = [*FEW, "<other>"]
    texts = ["", *words, *(f"{one} {two}" for one in words for two in words)]
    assert lm.vocabulary.encode(texts).texts() == texts
    law = np.exp(power * lm.score(lm.vocabulary.encode(texts), prompt).log_prob.numpy()) * count
    observed = np.array([drawn[text] for text in texts])
    common = law > 10
    assert common.sum() > 10
    observed = np.append(observed[common], count - observed[common].sum())
    expected = np.append(law[common], count - law[common].sum())
    return float(scipy.stats.chisquare(observed, expected).pvalue)


@pytest.mark.parametrize("prompt", ["", "the old"])
def test_draws_follow_the_score(tiny: Tiny, prompt: str) -> None:
    assert law_of_draws(tiny.words(), prompt) > 1e-4


def test_draws_from_another_law_are_caught(tiny: Tiny) -> None:
    assert law_of_draws(tiny.words(), "", power=1.2) < 1e-9


def test_draws_of_a_model_with_more_outputs_than_tokens_follow_the_score(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tokenizer = word_tokenizer(FEW)
    path = save(tmp_path_factory.mktemp("padded"), llama(len(tokenizer) + 4, spread=0.12), tokenizer)
    assert law_of_draws(causal_lm(path, device="cpu"), "") > 1e-4


def test_scores_and_next_log_probs_share_a_normalisation(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Checkpoints pad their vocabularies to round sizes: both ways to a probability must treat the padding alike."""
    tokenizer = byte_tokenizer()
    lm = causal_lm(save(tmp_path_factory.mktemp("padded"), llama(len(tokenizer) + 9), tokenizer), device="cpu")
    following = lm.next_log_probs([""])
    torch.testing.assert_close(following.exp().sum(1), torch.ones(1), atol=1e-5, rtol=0)
    assert_same(lm.score(lm.vocabulary.encode([""])).log_prob, following[:, lm.eos].tolist())


def test_continuations_depend_on_seed_chain_and_step_alone(tiny: Tiny) -> None:
    lm = tiny.causal()
    rng = Rng.start(3, 40).at(5)

    def write(rng: Rng) -> list[str]:
        return lm.continuations("The old dog", rng, most=8)

    texts = write(rng)
    assert len(set(texts)) > 30
    assert write(rng) == texts
    assert tiny.causal().continuations("The old dog", rng, most=8) == texts
    order = shuffled(40)
    assert write(rng.rows(order)) == [texts[row] for row in order]
    assert [write(rng.rows([row]))[0] for row in range(40)] == texts
    assert write(rng.rows([7, 7, 3])) == [texts[7], texts[7], texts[3]]
    assert write(rng.at(6)) != texts
    assert write(Rng.start(4, 40).at(5)) != texts


def test_each_continuation_has_a_prompt_and_a_length_of_its_own(tiny: Tiny) -> None:
    lm = tiny.causal()
    prompts, most = one_each(20), [number % 7 for number in range(20)]
    texts = lm.continuations(prompts, Rng.start(3, 20), most=most)
    alone = [
        tiny.causal().continuations(prompts[row], Rng.start(3, 20).rows([row]), most=most[row])[0] for row in range(20)
    ]
    assert texts == alone
    assert texts[0] == ""
    with pytest.raises(ValueError, match="2 prompts and 3 lengths for 3 texts: give one for each"):
        lm.continuations(["a", "b"], Rng.start(3, 3), most=4)


def test_continuations_are_cut(tiny: Tiny) -> None:
    lm = tiny.words()
    longer, shorter = (lm.continuations("", Rng.start(0, 200), most=most) for most in (10, 4))
    assert max(len(text.split()) for text in shorter) == 4
    assert [" ".join(text.split()[:4]) for text in longer] == shorter
    assert lm.continuations("", Rng.start(0, 3), most=0) == ["", "", ""]


def test_low_temperature_writes_the_likeliest(tiny: Tiny) -> None:
    lm = tiny.words()
    texts = set(lm.continuations("old", Rng.start(0, 50), temperature=1e-4, most=6))
    assert len(texts) == 1
    narrow = set(lm.continuations("old", Rng.start(1, 50), top_p=1e-6, most=6))
    assert narrow == texts
    text = ""
    for _ in range(6):
        best = int(lm.next_log_probs([text], "old")[0].argmax())
        if best == lm.eos:
            break
        text = f"{text} {lm.vocabulary.pieces[best]}".strip()
    assert texts == {text}


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.999])
def test_thenucleus_is_the_smallest_set_of_the_likeliest_that_holds_enough(top_p: float) -> None:
    log_probs = (3 * torch.randn(200, 30, generator=torch.Generator().manual_seed(0)).double()).log_softmax(-1)
    log_probs[0] = torch.full((30,), 1 / 30, dtype=torch.float64).log()
    kept = nucleus(log_probs, top_p)
    inside = kept > -torch.inf
    assert kept[inside].equal(log_probs[inside])
    probs, slack = log_probs.exp().numpy(), 1e-9
    for row, mine in zip(probs, inside.numpy(), strict=True):
        assert row[mine].sum() >= top_p - slack
        # fewer would not have done, unless several are equally likely
        assert row[row > row[mine].min() + slack].sum() < top_p + slack
        assert not (~mine).any() or row[mine].min() >= row[~mine].max()


@pytest.mark.parametrize("top_p", [0.3, 0.9])
@pytest.mark.parametrize("most", [1, 4, 1000])
def test_thenucleus_of_a_row_is_its_own(top_p: float, most: int) -> None:
    generator = torch.Generator().manual_seed(0)
    peaked = (4 * torch.randn(100, 40, generator=generator).double()).log_softmax(-1)
    # with many ties, as half-precision models have them
    tied = torch.randint(0, 3, (100, 40), generator=generator).double().log_softmax(-1)
    log_probs = torch.cat([peaked, tied])
    whole = nucleus(log_probs, top_p, most)
    assert torch.cat([nucleus(row[None], top_p, most) for row in log_probs]).equal(whole)
    assert nucleus(log_probs, top_p).equal(whole)


def test_a_wholenucleus_keeps_everything() -> None:
    log_probs = torch.randn(5, 7).double().log_softmax(-1)
    assert nucleus(log_probs, 1.0).equal(log_probs)


def test_draws_stay_in_thenucleus(tiny: Tiny) -> None:
    lm = tiny.words()
    first = lm.next_log_probs([""], "the")[0].double()
    inside = nucleus(first[None], 0.6)[0] > -torch.inf
    assert 0 < inside.sum() < lm.vocabulary.size - 1
    texts = lm.continuations("the", Rng.start(2, 2000), top_p=0.6, most=1)
    drawn = {lm.vocabulary.encode([text]).token_lists()[0][0] if text else lm.eos for text in texts}
    assert drawn == set(inside.nonzero().flatten().tolist())


def test_ask_writes_in_the_chat_format(tiny: Tiny) -> None:
    lm = tiny.causal()
    assert lm.ask("Write on dogs.") == "<user>Write on dogs.\n<assistant>"
    shown = lm.ask("Write on dogs.", [("Write on cats.", "Cats sat."), ("On mats.", "Mats.")])
    assert shown == (
        "<user>Write on cats.\n<assistant>Cats sat.\n"
        "<user>On mats.\n<assistant>Mats.\n"
        "<user>Write on dogs.\n<assistant>"
    )


def test_what_is_asked_about_cannot_end_the_question(tiny: Tiny) -> None:
    """A text that holds a special token is read as text, also in an example; the format's own tokens are special."""
    lm = tiny.causal()
    special = lm.vocabulary.tokenizer.all_special_tokens[0]
    number = lm.vocabulary.tokenizer.convert_tokens_to_ids(special)
    plain, written = "Write on dogs.", f"Write on {special} dogs."
    for prompt in (lm.ask(written), lm.ask(plain, [(written, plain)])):
        assert special not in prompt
    assert lm.vocabulary.as_text(plain) == plain
    # the control: in a text that nothing takes apart it is that token
    assert number in lm.vocabulary.tokenizer(written)["input_ids"]
    assert number not in lm.vocabulary.tokenizer(lm.vocabulary.as_text(written))["input_ids"]


def test_ask_needs_a_chat_template(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="no chat template: write the prompt as plain text"):
        tiny.words().ask("Write on dogs.")
