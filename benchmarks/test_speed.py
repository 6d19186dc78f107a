"""The textbook loop is the same chain, and the figures are what they say; on tiny random models."""

from __future__ import annotations

import functools
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import measuring, speed, speed_tables, textbook
from objectives import Fluency, Keywords, PseudoLikelihood
from samplers.proposals import InsertDelete, Mixture, Replace, Swap
from textsearch.models import causal_lm, masked_lm
from textsearch.models.checkpoints.silence import silenced
from textsearch.models.usage import Usage
from textsearch.rng import Rng

WORDS = ["the", "a", "old", "red", "dog", "cat", "park", "ball", "sat", "ran", "saw", "on", "in", "and", ".", ","]
SHAPE = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
PROMPT = "a red cat ."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@cache
def setting(folder: Path, name: str) -> speed.Setting:
    """Both settings on random models of few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        BertTokenizerFast,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
    )

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s"]
    wordlevel: Any = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["</s>", *WORDS])}, unk_token="a"))
    wordlevel.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    with torch.random.fork_rng(), silenced():
        torch.manual_seed(0)
        lower = BertTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)})
        config: dict[str, Any] = {**SHAPE, "initializer_range": 0.4, "max_position_embeddings": 64}
        BertForMaskedLM(BertConfig(vocab_size=len(pieces), **config)).save_pretrained(folder / "masked")
        lower.save_pretrained(folder / "masked")
        llama = LlamaConfig(vocab_size=1 + len(WORDS), bos_token_id=0, eos_token_id=0, **config)
        LlamaForCausalLM(llama).save_pretrained(folder / "causal")
        words = PreTrainedTokenizerFast(tokenizer_object=wordlevel, eos_token="</s>", pad_token="</s>")
        words.save_pretrained(folder / "causal")
    masked = masked_lm(folder / "masked", device="cpu")
    start = masked.vocabulary.encode(["the old dog sat in the park and saw a red ball ."])
    if name == "masked":
        return speed.Setting(
            name,
            [(masked, False)],
            PseudoLikelihood(masked),
            Replace(masked, pieces=speed.ONE_PIECE),
            start,
            textbook.one_word(masked),
            textbook.pseudo_energy(masked),
        )
    causal = causal_lm(folder / "causal", device="cpu")
    return speed.Setting(
        name,
        [(masked, False), (causal, True)],
        Keywords(["dog", "park"]) + Fluency(causal, PROMPT),
        Mixture(
            {
                Replace(masked, pieces=speed.ONE_PIECE): 0.6,
                InsertDelete(masked, pieces=speed.ONE_PIECE): 0.3,
                Swap(masked.vocabulary): 0.1,
            }
        ),
        start,
        textbook.word_edits(masked),
        textbook.keyword_energy(causal, masked, ["dog", "park"], PROMPT),
    )


def run(one: speed.Setting, propose: textbook.Propose) -> tuple[int, int, textbook.Run]:
    texts = one.start.repeat(6)
    loop = textbook.metropolis_hastings(propose, one.energy, texts, steps=10, seed=3)
    own = speed.ours(one, texts, 3, least=10, seconds=0.0, device="cpu")
    return *speed.differences(own.visited, loop), loop


@pytest.mark.parametrize("name", ["masked", "keywords"])
def test_the_textbook_loop_is_the_same_chain(folder: Path, name: str) -> None:
    one = setting(folder, name)
    excused, wrong, loop = run(one, one.propose)
    assert wrong == 0 and excused <= 2
    assert loop.accepted > 10 and not loop.close.all(1).any()


@pytest.mark.parametrize("name", ["masked", "keywords"])
def test_another_chain_is_noticed(folder: Path, name: str) -> None:
    one = setting(folder, name)

    def broken(texts: textbook.Texts, rng: Rng) -> textbook.Proposed:
        """As if the way back were never the less likely one."""
        proposed = one.propose(texts, rng)
        return textbook.Proposed(proposed.texts, proposed.log_ratio.clamp(min=0), proposed.close)

    assert run(one, broken)[1] > 0


def test_a_cell_tells_all_figures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "product_rate", lambda device: 1e9)
    monkeypatch.setattr(speed, "ENOUGH", 4)
    one = setting(folder, "keywords")
    found = speed.cell(one, 4, turns=2, seconds=0.05, warm_up=2, seed=0, compare=True, device="cpu")
    told = speed_tables.figures(found, rate=1e9)
    assert len(told.pop("ESS/s")) == 1
    assert all(len(values) == 2 and min(values) >= 0 for values in told.values())
    assert all(told["times one that keeps energies"][i] < told["times textbook"][i] for i in range(2))
    assert max(told["in models"]) < 1
    first, second = speed_tables.tables([found | {"chains": 32}], 1e9)
    assert [str(column.header) for column in first.columns] == ["setting", "chains", *speed_tables.RATIOS]
    assert [str(column.header) for column in second.columns] == ["setting", "chains", *speed_tables.DETAILS]


def test_threads_are_compared_on_the_same_chains(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "product_rate", lambda device: 1e9)
    before = torch.get_num_threads()
    try:
        one: Any = functools.partial(setting.__wrapped__, folder, "keywords")
        found = speed.on_threads(one, 6, [1, 2], turns=2, seconds=0.05, warm_up=2, seed=0)
    finally:
        torch.set_num_threads(before)
    assert [list(turn) for turn in found["turns"]] == [["1", "2"]] * 2
    assert all(0 < own["in models"] < own["seconds a step"] for turn in found["turns"] for own in turn.values())
    table = speed_tables.threads_table([found])
    assert table.row_count == 2 and str(next(iter(table.columns[4].cells))).startswith("1.00")


def test_a_profile_adds_up(folder: Path) -> None:
    shares = speed.profile(setting(folder, "masked"), 4, warm_up=1, steps=3, seed=0, device="cpu")
    assert sum(shares.values()) == pytest.approx(1.0)
    assert {"model layers", "projection", "log-softmax"} < set(shares)
    assert not any("timed" in str(value) for value in vars(torch.Tensor).values())


def test_arithmetic_is_that_of_the_matrices(folder: Path) -> None:
    lm = setting(folder, "masked").models[0][0]
    hidden, inner, layers, size = 16, 24, 2, lm.model.config.vocab_size
    matrices = layers * (4 * hidden**2 + 2 * hidden * inner) + hidden**2
    spent = Usage(passes=1, rows=3, tokens=48, padding=18)
    each = 2 * matrices + 4 * hidden * layers * 10
    assert measuring.flops(lm, spent, causal=False) == 30 * each + 3 * 2 * hidden * size
    spent.reused = 21
    assert measuring.flops(lm, spent, causal=True) == 30 * (each + 4 * hidden * layers * 7 + 2 * hidden * size)


def test_sections_leave_out_those_within() -> None:
    watch = measuring.Stopwatch()

    class Within:
        def nap(self) -> None:
            time.sleep(0.02)

    with watch.section("all"), watch.on(Within, "nap", "nap"):
        Within().nap()
    Within().nap()
    assert 0.02 <= watch.seconds["nap"] < 0.04 and watch.seconds["all"] < 0.02
