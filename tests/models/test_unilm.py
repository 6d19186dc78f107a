"""A masked model read from left to right after a source: an exact factorisation, told in one pass."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import processors
from torch import Tensor

from tests.models.tiny import PIECES, SPECIALS, TEXTS, Tiny, bert, save, seeded, shape, shuffled, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from textsearch.batch import Batch
from textsearch.models import masked_lm, unilm
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.unilm import UniLM, visible

SOURCES = ["The old dog sat.", "", "In Paris, on Monday", "a cat"]
CLS, SEP, MASK = (SPECIALS.index(piece) for piece in ("[CLS]", "[SEP]", "[MASK]"))


def by_hand(lm: UniLM, text: list[int], source: str, own: bool = False) -> float:
    """log p(text | source), each token in a plain pass of its own: the source, what is before the token, and a mask.

    With `own` the token stands there itself, in place of the mask.
    """
    given = [CLS, *lm.vocabulary.tokenizer(source, add_special_tokens=False)["input_ids"], SEP]
    told = [*text, SEP] if lm.ends else text
    log_prob = 0.0
    for place, token in enumerate(told):
        tokens = [*given, *told[:place], token if own else MASK]
        sees = torch.zeros(len(tokens), len(tokens), dtype=torch.bool)
        for i in range(len(tokens)):
            # the source sees the source, everything behind it what is to its left
            sees[i, : max(i + 1, len(given))] = True
        segments = torch.tensor([[0] * len(given) + [1] * (place + 1)])
        with torch.inference_mode():
            logits = lm.masked.model(
                input_ids=torch.tensor([tokens]),
                token_type_ids=segments,
                attention_mask=torch.where(sees, 0.0, -1e30)[None, None],
            ).logits[0, -1]
        log_prob += float(logits[: lm.vocabulary.size].double().log_softmax(-1)[token])
    return log_prob


def assert_same(found: Tensor, wanted: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), atol=2e-4, rtol=0)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_one_pass_tells_what_a_pass_a_token_tells(tiny: Tiny, source: str, ends: bool) -> None:
    lm = UniLM(tiny.masked(), ends)
    batch = lm.vocabulary.encode(TEXTS)
    scores = lm.score(batch, source)
    assert scores.log_prob.dtype == torch.float64
    assert_same(scores.log_prob, [by_hand(lm, row, source) for row in batch.token_lists()])
    assert scores.tokens.tolist() == [len(row) + ends for row in batch.token_lists()]
    longest = int(batch.lengths.argmax())
    seen = by_hand(lm, batch.token_lists()[longest], source, own=True)
    assert abs(seen - float(scores.log_prob[longest])) > 0.1


FEW = [*SPECIALS, "dog", "cat", "sat", "##s"]


@cache
def few(folder: Path) -> TransformersMaskedLM:
    return masked_lm(save(folder / "few", bert(len(FEW)), wordpiece_tokenizer(FEW)), device="cpu")


def every_text(lm: UniLM, length: int, without: int | None = None) -> Batch:
    tokens = [token for token in range(len(FEW)) if token != without]
    return Batch.of([list(row) for row in product(tokens, repeat=length)], lm.vocabulary)


def total(lm: UniLM, length: int) -> float:
    return float(lm.score(every_text(lm, length), "dog sat").log_prob.exp().sum())


def test_the_texts_of_a_length_add_up_to_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    lm = UniLM(few(tmp_path_factory.getbasetemp()))
    for length in range(4):
        assert total(lm, length) == pytest.approx(1, abs=1e-5)


def sees_itself(times: Tensor, masks: Tensor, present: Tensor) -> Tensor:
    """A broken twin: a mask sees the token that it stands for."""
    sees = (times[:, None, :] <= times[:, :, None]) & (present & ~masks)[:, None, :]
    return sees | torch.eye(times.shape[1], dtype=torch.bool)


def sees_the_right(times: Tensor, masks: Tensor, present: Tensor) -> Tensor:
    """A broken twin: tokens of the text see what is to their right, and so do the masks that look at them."""
    beside = (times[:, None, :] > 0) & (times[:, :, None] > 0) & ~masks[:, :, None]
    return visible(times, masks, present) | beside & (present & ~masks)[:, None, :]


@pytest.mark.parametrize("broken", [sees_itself, sees_the_right])
def test_a_leak_is_caught(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    masked = tiny.masked()
    lm = UniLM(few(tmp_path_factory.getbasetemp()))
    monkeypatch.setattr(unilm, "visible", broken)
    assert abs(total(lm, 3) - 1) > 0.01
    # a model that does such a thing is refused
    with pytest.raises(ValueError, match="BertForMaskedLM does not keep to positions and to a mask of who sees whom"):
        UniLM(masked)


def test_with_their_ends_all_texts_add_up_to_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    masked = few(tmp_path_factory.getbasetemp())
    lm, endless = UniLM(masked, ends=True), UniLM(masked)
    short = sum(float(lm.score(every_text(lm, n, SEP), "dog sat").log_prob.exp().sum()) for n in (0, 1, 2))
    # three tokens and more: all that begins with three
    longer = float(endless.score(every_text(lm, 3, SEP), "dog sat").log_prob.exp().sum())
    assert short + longer == pytest.approx(1, abs=1e-5)
    assert short > 1e-3


def test_who_sees_whom_by_hand() -> None:
    # source, source, text, text, masks of three tokens, padding
    times = torch.tensor([[0, 0, 1, 2, 1, 2, 3, 0]])
    masks = torch.tensor([[False] * 4 + [True] * 3 + [False]])
    present = torch.tensor([[True] * 7 + [False]])
    assert visible(times, masks, present)[0, :7].int().tolist() == [
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0, 0],
        [1, 1, 1, 0, 0, 1, 0, 0],
        [1, 1, 1, 1, 0, 0, 1, 0],
    ]


@cache
def ways_of_asking(tiny: Tiny, ends: bool) -> dict[str, Tensor]:
    masked = tiny.masked()
    batch = masked.vocabulary.encode(TEXTS * 2)
    sources = [SOURCES[row % 4] for row in range(len(batch))]

    def score(rows: Tensor, width: int = 0, max_tokens: int = 4096) -> Tensor:
        lm = UniLM(TransformersMaskedLM(masked.model, masked.vocabulary, max_tokens), ends)
        return lm.score(batch.rows(rows).widen(width), [sources[row] for row in rows.tolist()]).log_prob

    every = torch.arange(len(batch))
    order = shuffled(len(batch))
    used = UniLM(masked, ends)
    used.score(batch.rows([3, 5, 0]), [sources[3], sources[5], sources[0]])
    return {
        "batched": score(every),
        "partly remembered": used.score(batch, sources).log_prob,
        "remembered": used.score(batch, sources).log_prob,
        "padded": score(every, width=60),
        "reordered": score(order)[order.argsort()],
        "twice in a batch": score(torch.cat([every, every]))[len(batch) :],
        "one by one": torch.cat([score(every[row : row + 1]) for row in range(len(batch))]),
        "a row a pass": score(every, max_tokens=1),
    }


WAYS = ["partly remembered", "remembered", "padded", "reordered", "twice in a batch", "one by one", "a row a pass"]


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_the_way_of_asking_changes_no_bit(tiny: Tiny, way: str, ends: bool) -> None:
    ways = ways_of_asking(tiny, ends)
    apart = (ways[way] - ways["batched"]).abs()
    assert ways[way].equal(ways["batched"]), f"{int(apart.gt(0).sum())} rows differ, by up to {apart.max():.1e}"


def test_texts_of_another_tokenizer_are_read_as_text(tiny: Tiny) -> None:
    lm = UniLM(tiny.masked())
    batch = tiny.causal().vocabulary.encode(TEXTS)
    assert lm.score(batch, "a cat").log_prob.equal(lm.score(lm.vocabulary.encode(TEXTS), "a cat").log_prob)


def test_what_is_asked_counts_with_the_masked_model(tiny: Tiny) -> None:
    lm = UniLM(tiny.masked())
    assert lm.masked.usage.passes == 0
    batch = lm.vocabulary.encode(["dog", "cat", "dog"])
    lm.score(batch, "a cat")
    usage = lm.masked.usage
    assert (usage.passes, usage.rows, usage.tokens, usage.hits) == (1, 2, 32, 1)
    lm.score(batch, "a cat")
    assert (usage.passes, usage.hits) == (1, 4)
    lm.score(lm.vocabulary.encode([]), "a cat")
    assert usage.passes == 1


def test_what_is_forgotten_is_read_again(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unilm, "_TEXTS", 3)
    lm = UniLM(tiny.masked())
    batch = lm.vocabulary.encode(TEXTS)
    for source in SOURCES * 2:
        assert lm.score(batch, source).log_prob.equal(UniLM(lm.masked).score(batch, source).log_prob)
    assert len(lm._known) == 3


@pytest.mark.parametrize("ends", [False, True])
def test_a_source_and_a_text_too_long_together(tiny: Tiny, ends: bool) -> None:
    lm = UniLM(tiny.masked(), ends)
    room = lm.vocabulary.longest - ends
    fits = lm.vocabulary.encode(["!" * (room - 31)])
    assert lm.score(fits, "." * 31).log_prob.isfinite().all()
    with pytest.raises(
        ValueError, match=f"a source of 31 tokens and a text of {room - 30} are over .* {room} for both"
    ):
        lm.score(lm.vocabulary.encode(["!" * (room - 30)]), "." * 31)


def test_a_model_that_counts_its_positions_from_elsewhere(tmp_path: Path) -> None:
    from transformers import RobertaConfig, RobertaForMaskedLM

    config = RobertaConfig(**shape(len(PIECES)), max_position_embeddings=66, pad_token_id=1)
    lm = UniLM(masked_lm(save(tmp_path / "r", seeded(RobertaForMaskedLM, config), wordpiece_tokenizer()), device="cpu"))
    batch = lm.vocabulary.encode(TEXTS)
    # in a plain pass RoBERTa numbers the positions itself
    assert_same(lm.score(batch, "a cat").log_prob, [by_hand(lm, row, "a cat") for row in batch.token_lists()])


def test_a_model_without_positions_is_refused(tiny: Tiny) -> None:
    masked = tiny.masked()

    class NoPositions:
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> None: ...

    with pytest.raises(ValueError, match=r"NoPositions takes no position_ids, .* of the BERT or RoBERTa kind"):
        UniLM(TransformersMaskedLM(NoPositions(), masked.vocabulary))


def test_a_model_without_such_masks_is_refused(tmp_path: Path) -> None:
    from transformers import DebertaV2Config, DebertaV2ForMaskedLM

    config = DebertaV2Config(**shape(len(PIECES)), max_position_embeddings=64, relative_attention=True)
    masked = masked_lm(save(tmp_path / "d", seeded(DebertaV2ForMaskedLM, config), wordpiece_tokenizer()), device="cpu")
    with pytest.raises(ValueError, match=r"DebertaV2ForMaskedLM (takes no|does not keep to) .*BERT or RoBERTa kind"):
        UniLM(masked)


def framed(tiny: Tiny, single: str) -> TransformersMaskedLM:
    """With a tokenizer that puts special tokens around single texts, and knows no pairs."""
    masked = tiny.masked()
    masked.vocabulary.tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return masked


def test_a_tokenizer_that_knows_no_pairs(tiny: Tiny) -> None:
    """A text stands behind what ends the source."""
    lm = UniLM(framed(tiny, "[CLS] $A [SEP]"), ends=True)
    batch = lm.vocabulary.encode(TEXTS)
    assert_same(lm.score(batch, "a cat").log_prob, [by_hand(lm, row, "a cat") for row in batch.token_lists()])


def test_a_tokenizer_that_ends_no_text(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="puts nothing behind a text, so nothing can stand between source and text"):
        UniLM(framed(tiny, "[CLS] $A"))
