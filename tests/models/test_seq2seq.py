"""Sequence-to-sequence models: log p(text | source) is that of a plain pass, however it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import processors
from torch import Tensor

from tests.models.tiny import FEW, TEXTS, Tiny, save, shuffled, word_tokenizer, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from tests.models.tiny_seq2seq import bart, folder, load
from tests.models.tiny_seq2seq import bart_path as bart_path
from tests.models.tiny_seq2seq import checkpoint as checkpoint
from textsearch.batch import Batch
from textsearch.models import causal_lm, masked_lm, sentence_encoder, seq2seq_lm
from textsearch.models import seq2seq as module
from textsearch.models.checkpoints.loading import right_loader
from textsearch.models.reading.length_buckets import padded_width
from textsearch.models.seq2seq import TransformersSeq2Seq
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.testing import letters

SOURCES = ["The old dog", "", "In Paris, on Monday: naïve 猫", "d"]


def by_hand(lm: TransformersSeq2Seq, text: str, source: str, begin: tuple[int, ...] = (), end: bool = True) -> float:
    """log p(text, end | source) from all logits of one plain pass: no padding, and nothing remembered."""
    tokenizer = lm.vocabulary.tokenizer
    told = [*tokenizer(text, add_special_tokens=False)["input_ids"], *([lm.eos] if end else [])]
    given = torch.tensor([tokenizer(source)["input_ids"] or [lm.eos]])
    decoded = torch.tensor([[lm.start, *begin, *told[: len(told) - end]]])
    with torch.inference_mode():
        logits = lm.model(input_ids=given, decoder_input_ids=decoded).logits[0].double()
    log_probs = logits[len(begin) :, : lm.vocabulary.size].log_softmax(-1)
    return float(sum(log_probs[place, token] for place, token in enumerate(told)))


def assert_same(found: Tensor, wanted: list[float], tolerance: float = 1e-3) -> None:
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), atol=tolerance, rtol=0)


@pytest.mark.parametrize("source", SOURCES)
def test_scores_are_those_of_a_plain_pass(checkpoint: Path, source: str) -> None:
    lm = load(checkpoint)
    scores = lm.score(lm.vocabulary.encode(TEXTS), source)
    assert scores.log_prob.dtype == torch.float64
    assert_same(scores.log_prob, [by_hand(lm, text, source) for text in TEXTS])
    assert scores.tokens.tolist() == [len(lm.vocabulary.tokenizer(text)["input_ids"]) + 1 for text in TEXTS]


def test_the_end_counts(checkpoint: Path) -> None:
    lm = load(checkpoint)
    found = lm.score(lm.vocabulary.encode(TEXTS), SOURCES[0]).log_prob
    without = torch.tensor([by_hand(lm, text, SOURCES[0], end=False) for text in TEXTS], dtype=torch.float64)
    assert (without - found > 1e-3).all()


def test_the_source_is_read(checkpoint: Path) -> None:
    lm = load(checkpoint)
    batch = lm.vocabulary.encode(TEXTS)
    scores = torch.stack([lm.score(batch, source).log_prob for source in SOURCES])
    assert ((scores[:, None] - scores).abs() + torch.eye(len(SOURCES))[:, :, None] > 1e-3).all()


def test_all_texts_add_up_to_one(tmp_path: Path) -> None:
    size = len(FEW) + 2
    lm = load(save(tmp_path / "few", bart(size), word_tokenizer(FEW)))
    words = lm.vocabulary.tokenizer.convert_ids_to_tokens(list(range(1, size)))
    short = lm.score(Batch.of([[], *([i] for i in range(1, size))], lm.vocabulary), "dog cat").log_prob
    # those of two words and more: all that begins with two words
    longer = sum(math.exp(by_hand(lm, f"{a} {b}", "dog cat", end=False)) for a, b in product(words, repeat=2))
    assert float(short.exp().sum()) + longer == pytest.approx(1, abs=1e-6)
    unended = sum(math.exp(by_hand(lm, word, "dog cat", end=False)) for word in ["", *words])
    assert unended + longer > 1.5


@cache
def ways_of_asking(path: Path) -> dict[str, Tensor]:
    lm = load(path)
    # texts and sources that fill their tiles to the last column, and others
    batch = lm.vocabulary.encode([*TEXTS, *("dog " * count for count in range(4, 20))])
    sources = [("The old dog", "", "!" * 16, "!" * 17)[row % 4] for row in range(len(batch))]
    order = shuffled(len(batch))
    count = len(batch)

    def score(rows: Tensor, width: int = 0, max_tokens: int = 2048) -> Tensor:
        fresh = TransformersSeq2Seq(lm.model, lm.vocabulary, lm.start, lm.eos, max_tokens)
        chosen = [sources[row] for row in rows.tolist()]
        return fresh.score(batch.rows(rows).widen(width), chosen).log_prob

    every = torch.arange(count)
    used = lm.forgetful()
    used.score(batch.rows([3, 5, 0]), [sources[3], sources[5], sources[0]])
    by_source = torch.zeros(count, dtype=torch.float64)
    for number in range(4):
        by_source[number::4] = score(every[number::4])
    return {
        "batched": score(every),
        "partly remembered": used.score(batch, sources).log_prob,
        "remembered": used.score(batch, sources).log_prob,
        "padded": score(every, width=60),
        "reordered": score(order)[order.argsort()],
        "twice in a batch": score(torch.cat([every, every]))[count:],
        "one by one": torch.cat([score(every[row : row + 1]) for row in range(count)]),
        "source by source": by_source,
        "a row a pass": score(every, max_tokens=1),
        "all in one pass": score(every, max_tokens=100_000),
    }


WAYS = ["partly remembered", "remembered", "padded", "reordered", "twice in a batch", "one by one"]
WAYS += ["source by source", "a row a pass", "all in one pass"]


@pytest.mark.parametrize("family", ["t5", "bart"])
@pytest.mark.parametrize("way", WAYS)
def test_the_way_of_asking_changes_no_bit(tmp_path_factory: pytest.TempPathFactory, family: str, way: str) -> None:
    ways = ways_of_asking(folder(tmp_path_factory.getbasetemp() / "seq2seq", family))
    apart = (ways[way] - ways["batched"]).abs()
    assert ways[way].equal(ways["batched"]), f"{int(apart.gt(0).sum())} rows differ, by up to {apart.max():.1e}"


def test_texts_of_another_tokenizer_are_read_as_text(bart_path: Path) -> None:
    lm = load(bart_path)
    batch = TokenizerVocabulary(wordpiece_tokenizer(), 62).encode(TEXTS)
    assert lm.score(batch, "d").log_prob.equal(lm.score(lm.vocabulary.encode(batch.texts()), "d").log_prob)


def test_own_token_ids_are_taken_as_they_are(bart_path: Path) -> None:
    lm = load(bart_path)
    letters = lm.vocabulary.tokenizer.convert_tokens_to_ids(list("dog"))
    assert lm.score(Batch.of([letters], lm.vocabulary), "d").tokens.tolist() == [4]


def test_no_rows(bart_path: Path) -> None:
    lm = load(bart_path)
    scores = lm.score(lm.vocabulary.encode([]), "The old dog")
    assert scores.log_prob.shape == scores.tokens.shape == (0,)
    assert lm.usage.passes == 0


def test_a_source_is_read_once_and_a_text_scored_once(bart_path: Path) -> None:
    lm = load(bart_path)
    batch = lm.vocabulary.encode(["dog", "cat", "dog"])
    lm.score(batch, "The old dog")
    # one row of source, two of texts
    assert (lm.usage.passes, lm.usage.rows, lm.usage.tokens, lm.usage.hits) == (2, 3, 3 * padded_width(1), 1)
    lm.score(batch, "The old dog")
    assert (lm.usage.passes, lm.usage.rows, lm.usage.hits) == (2, 3, 4)
    lm.score(lm.vocabulary.encode(["no"]), "The old dog")
    assert (lm.usage.passes, lm.usage.rows) == (3, 4)


def test_what_is_forgotten_is_read_again(bart_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TEXTS", 3)
    monkeypatch.setattr(module, "_SOURCES", 2)
    lm = load(bart_path)
    batch = lm.vocabulary.encode(TEXTS)
    for source in SOURCES * 2:
        assert lm.score(batch, source).log_prob.equal(lm.forgetful().score(batch, source).log_prob)
    assert len(lm._known) == 3
    lm.score(batch.rows([0, 1, 2, 3]), SOURCES)
    assert len(lm._sources) == 2


def framed_tokenizer() -> Any:
    """That of BART: <s> before each text and </s> behind."""
    tokenizer = word_tokenizer(["<s>", *FEW], bos_token="<s>", eos_token="</s>", pad_token="</s>", unk_token="<other>")
    pieces = [("<s>", 1), ("</s>", 0)]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=pieces
    )
    return tokenizer


def test_special_tokens_before_a_text_are_read_and_not_counted(tmp_path: Path) -> None:
    lm = load(save(tmp_path / "framed", bart(len(FEW) + 3), framed_tokenizer()))
    texts = ["dog", "", "the old cat sat"]
    scores = lm.score(lm.vocabulary.encode(texts), "red dog")
    assert_same(scores.log_prob, [by_hand(lm, text, "red dog", begin=(1,)) for text in texts])
    assert scores.tokens.tolist() == [2, 1, 5]
    apart = [abs(float(one) - by_hand(lm, text, "red dog")) for text, one in zip(texts, scores.log_prob, strict=True)]
    assert min(apart) > 1e-2


def test_a_text_that_cannot_be_written_has_no_probability(tmp_path: Path) -> None:
    lm = load(save(tmp_path / "framed", bart(len(FEW) + 3), framed_tokenizer()))
    batch = letters("dogx").encode(["dog", "x"])
    assert lm.score(batch, "red dog").log_prob.isfinite().tolist() == [True, False]
    with pytest.raises(ValueError, match="no pieces for part of 'blue dog'"):
        lm.score(batch, "blue dog")


def test_too_long(bart_path: Path) -> None:
    lm = load(bart_path)
    longest = lm.vocabulary.longest
    row = Batch.of([[5] * longest], lm.vocabulary)
    assert lm.score(row, "!" * longest).log_prob.isfinite().all()
    with pytest.raises(ValueError, match=f"a text of {longest + 1} tokens is over the model's limit of {longest}"):
        lm.score(row, "!" * (longest + 1))
    with pytest.raises(ValueError, match=f"a text of {longest + 1} tokens is over the model's limit of {longest}"):
        lm.score(letters("!").encode(["!" * (longest + 1)]), "d")


def test_start_and_end_can_be_chosen(bart_path: Path) -> None:
    lm = load(bart_path, start=40, eos=7)
    assert (lm.start, lm.eos) == (40, 7)
    assert_same(lm.score(lm.vocabulary.encode(TEXTS), "d").log_prob, [by_hand(lm, text, "d") for text in TEXTS])


def test_no_start(tmp_path: Path) -> None:
    model = bart(len(FEW) + 2)
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
    path = save(tmp_path / "startless", model, word_tokenizer(FEW))
    with pytest.raises(ValueError, match="names no start and end tokens: pass start= and eos="):
        seq2seq_lm(path)
    assert load(path, start=0).start == 0


@pytest.mark.parametrize(("kind", "loader"), [("masked", "masked_lm"), ("causal", "causal_lm")])
def test_a_checkpoint_of_another_kind_names_its_loader(tiny: Tiny, kind: str, loader: str) -> None:
    with pytest.raises(ValueError, match=rf"Unrecognized .* another kind: load it with {loader}\(\)"):
        seq2seq_lm(getattr(tiny, f"{kind}_path"))


@pytest.mark.parametrize("loader", [masked_lm, causal_lm, sentence_encoder])
def test_half_of_it_is_not_used_for_something_else(bart_path: Path, loader: Callable[[Path], Any]) -> None:
    """Some would load: a BART as a masked model sees the token that it is to tell, moved by one."""
    with pytest.raises(ValueError, match=r"load it with seq2seq_lm\(\)"):
        loader(bart_path)


def test_another_kind_of_config_is_none_of_ours(tmp_path: Path) -> None:
    from transformers import ViTConfig

    ViTConfig().save_pretrained(tmp_path)
    assert right_loader(str(tmp_path)) is None


def test_no_such_folder() -> None:
    with pytest.raises(ValueError, match=r"cannot load the model '/no/such/folder': .* pass the path of a folder, or"):
        seq2seq_lm("/no/such/folder")
