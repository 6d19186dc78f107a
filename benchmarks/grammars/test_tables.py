"""Tables of a language say what the model says; the exact law is that of enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from benchmarks.grammars import methods
from benchmarks.grammars.distances import noise, shares, total_variation
from benchmarks.grammars.languages import Language
from benchmarks.grammars.pieces import END
from benchmarks.grammars.tables import Truth
from objectives import Choices
from samplers.proposals import FromLeft
from textsearch.batch import Batch
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.checkpoints.silence import silenced
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.rng import Rng

TEXTS = ("a", "ab", "aba", "abc", "bab", "ca", "cab")
PIECES = ("<end>", "<start>", "a", "b", "c", "ab", "ca", "bc")


@pytest.fixture(scope="module")
def lm() -> TransformersCausalLM:
    """A random model over the letters a, b, c and three pairs of them."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(PIECES)}, [("a", "b"), ("c", "a"), ("b", "c")])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<start>", eos_token="<end>")
    fast.chat_template = "{{ messages[0]['content'] }}"
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    with torch.random.fork_rng(), silenced():
        torch.manual_seed(1)
        config = LlamaConfig(vocab_size=len(PIECES), initializer_range=0.05, **shape)
        return TransformersCausalLM(LlamaForCausalLM(config).eval(), TokenizerVocabulary(fast, 32), bos=1, eos=0)


@pytest.fixture(scope="module")
def known(lm: TransformersCausalLM) -> Truth:
    def every() -> Iterator[str]:
        return iter(TEXTS)

    language = Language("toy", "bca", len(TEXTS), every, "|".join(TEXTS), "", bool)
    return Truth.of(language, lm, (1.0, 0.5))


def test_the_law_is_that_of_all_rows_enumerated(lm: TransformersCausalLM, known: Truth) -> None:
    rows = [row for size in range(1, 4) for row in itertools.product(range(2, len(PIECES)), repeat=size)]
    batch = Batch.of([list(row) for row in rows], lm.vocabulary)
    texts = batch.texts()
    own = [lm.vocabulary.encode([text]).token_lists()[0] for text in texts]
    weights = lm.score(batch, known.prompt).log_prob.exp().numpy()
    inside = [text in TEXTS and row == list(want) for text, row, want in zip(texts, own, rows, strict=True)]
    law = shares(
        [known.numbers[text] if one else -1 for text, one in zip(texts, inside, strict=True)], len(TEXTS), weights
    )
    np.testing.assert_allclose(law, known.law, atol=1e-5)
    # the broken twin counts every spelling
    other = shares([known.numbers.get(text, -1) for text in texts], len(TEXTS), weights)
    assert total_variation(other, known.law) > 0.01


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_table_prices_suffixes_as_the_model_does(lm: TransformersCausalLM, known: Truth, temperature: float) -> None:
    real, own = lm.vocabulary.encode(known.strings), known.table.vocabulary.encode(known.strings)
    for cut in range(3):
        cuts = torch.minimum(real.lengths, torch.tensor(cut))
        wanted = lm.suffix_log_probs(real, cuts, prompt=known.prompt, temperature=temperature)
        found = known.table.suffix_log_probs(own, cuts, temperature=temperature)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_what_is_drawn_under_the_mask_has_the_masked_law(known: Truth) -> None:
    proposal = FromLeft(known.table, max_length=known.longest, constraint=known.constraint, free=0.0)
    drawn, _ = proposal.draw(
        Batch.of([[]] * 4_000, known.table.vocabulary), Rng.start(0, 4_000, purpose="grammars test_tables 11")
    )
    rows = {tuple(row): i for i, row in enumerate(known.table.vocabulary.encode(known.strings).token_lists())}
    numbers = np.array([rows.get(tuple(row), len(rows)) for row in drawn.token_lists()])
    found = shares(numbers, len(rows) + 1)
    assert total_variation(found, known.masked_law) < 4 * noise(known.masked_law, 4_000)
    assert total_variation(found[:-1], known.law) > 4 * noise(known.law, 4_000)


def test_a_chain_alone_pays_for_what_it_writes_only(known: Truth) -> None:
    setting = methods.Setting(known.table, known.prompt, known.constraint, known.longest)
    state, tries = methods.starts(setting, 40, seed=0)
    assert tries >= 1
    price = methods.tokens_a_step(setting, setting.suffix("restart", free=0.0), state, seed=0)
    shorter = methods.tokens_a_step(setting, setting.suffix("uniform", free=0.0), state, seed=0)
    assert 0 < shorter < price <= known.longest


def test_what_is_remembered_is_read_once(known: Truth) -> None:
    proposal = FromLeft(known.table, max_length=known.longest, constraint=known.constraint, free=0.0)
    empty = Batch.of([[]] * 200, known.table.vocabulary)

    def read() -> int:
        before = known.table.usage.tokens
        proposal.draw(empty, Rng.start(0, 200, purpose="grammars test_tables 16"))
        return known.table.usage.tokens - before

    with known.table.remembering(empty):
        first, second = read(), read()
    # strays among it, whose rows have no nodes
    assert 0 < first <= known.table.step.numel() and second == 0
    # the broken twin remembers nothing
    assert read() == read() > 200


def test_samplers_on_a_table_leave_the_exact_law_as_it_is(known: Truth) -> None:
    setting, chains = methods.Setting(known.table, known.prompt, known.constraint, known.longest), 6_000
    count = np.random.default_rng(0).multinomial(chains, known.law)
    number = torch.arange(len(known.strings)).repeat_interleave(torch.as_tensor(count))
    begun = known.table.vocabulary.encode(known.strings).rows(number)

    def moved(sampler: Any) -> float:
        """How far a step takes the shares of the texts, in standard errors, at most."""
        own, _ = sampler.step(
            setting.objective,
            sampler.init(setting.objective, begun),
            Rng.start(1, chains, purpose="grammars test_tables 12").at(0),
        )
        after = np.array([known.numbers[text] for text in own.batch.texts()])
        change = after[:, None] == np.arange(len(known.strings))
        change = change.astype(float) - (number.numpy()[:, None] == np.arange(len(known.strings)))
        return float(np.abs(change.mean(0) / (change.std(0) / chains**0.5 + 1e-12)).max())

    assert max(moved(sampler) for sampler, _ in methods.exact_samplers(setting).values()) < 4
    # the broken twin keeps whatever is drawn under the mask
    drawn, _ = setting.masked().draw(begun, Rng.start(1, chains, purpose="grammars test_tables 13"))
    found = np.array([known.numbers.get(text, -1) for text in drawn.texts()])
    assert total_variation(shares(found, len(known.law)), known.law) > 4 * noise(known.law, chains)


def test_a_table_knows_its_own_mask_only(known: Truth) -> None:
    other = replace(known.constraint, table=replace(known.table))
    with pytest.raises(TypeError, match="its own language"):
        FromLeft(known.table, max_length=3, constraint=other).draw(
            Batch.of([[]], known.table.vocabulary), Rng.start(0, 1, purpose="grammars test_tables 14")
        )
    assert Choices(TEXTS).energy(known.table.vocabulary.encode(known.strings)).sum() == 0
    assert known.table.eos == END
