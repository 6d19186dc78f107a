"""A masked and a causal model multiplied: functions of the context alone, so that moves know both their ways."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from samplers.proposals import InsertDelete, Replace, SpanEdit
from tests.models.tiny import PIECES, TEXTS, Tiny, bert, every_position, save, shuffled, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from textsearch.batch import Batch
from textsearch.models import guided as guided_module
from textsearch.models import masked_lm
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.rng import Rng

FIRST = {
    "dog": (" dog", "Dog"),
    "cats": (" cats", "Cats"),
    "london": (" London", "London"),
    "i": (" I", "I"),
    "house": (" house", "House"),
    "##ing": ("ing", "##ing"),
    "##s": ("s", "##s"),
    ",": (",", ","),
    ".": (".", "."),
    "(": (" (", "("),
    "-": ("-", "-"),
}
"""How tokens are written, after a word and at the beginning of a text."""


def guided(tiny: Tiny, **settings: Any) -> GuidedMaskedLM:
    return GuidedMaskedLM(tiny.masked(), tiny.causal(), **settings)


def masked_at(lm: GuidedMaskedLM, texts: Sequence[str]) -> tuple[Batch, Tensor, Tensor]:
    """Each text once for each of its positions, that one masked."""
    batch = lm.vocabulary.encode(texts)
    rows, positions = every_position(batch.lengths)
    batch = batch.rows(rows)
    masks = torch.full_like(positions, lm.vocabulary.mask_id)
    return batch.with_tokens(positions, masks), torch.arange(len(rows)), positions


def apart(one: Tensor, two: Tensor) -> float:
    return float((one - two).abs().max())


@pytest.mark.parametrize("weight", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("prompt", ["", "Write on dogs:"])
def test_normalised(tiny: Tiny, weight: float, prompt: str) -> None:
    lm = guided(tiny, weight=weight, prompt=prompt)
    found = lm.log_probs(*masked_at(lm, TEXTS))
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.exp().sum(1), torch.ones(len(found), dtype=torch.float64))


def test_weight_zero_is_the_masked_model(tiny: Tiny) -> None:
    lm = guided(tiny, weight=0.0)
    batch, rows, positions = masked_at(lm, TEXTS)
    wanted = lm.masked.log_probs(batch, rows, positions).double().log_softmax(-1)
    torch.testing.assert_close(lm.log_probs(batch, rows, positions), wanted)


@pytest.mark.parametrize(
    ("text", "place", "left"),
    [
        ("the old [MASK] sat on a mat.", 2, "The old"),
        ("[MASK] old dog", 0, ""),
        ("in london, i saw [MASK]", 5, "In London, I saw"),
        ("walk[MASK] here", 4, "Walk"),
        ("the [MASK] old [MASK] sat", 3, "Old"),
        ("the [MASK] [MASK] sat", 2, ""),
        ("so [MASK] sat [MASK] there", 1, "So"),
    ],
)
@pytest.mark.parametrize("prompt", ["", "Write on dogs:"])
def test_the_product_by_hand(tiny: Tiny, text: str, place: int, left: str, prompt: str) -> None:
    weight = 0.7
    lm = guided(tiny, weight=weight, prompt=prompt)
    assert_product(lm, text, place, left, prompt, weight)


def assert_product(lm: GuidedMaskedLM, text: str, place: int, left: str, prompt: str, weight: float) -> None:
    batch = lm.vocabulary.encode([text])
    asked = torch.tensor([0]), torch.tensor([place])
    found = lm.log_probs(batch, *asked)[0]
    own = lm.masked.log_probs(batch, *asked)[0].double()
    following = lm.causal.next_log_probs([left], prompt)[0].double()
    first = [
        lm.causal.vocabulary.encode([within if left else at_the_start]).token_lists()[0][0]
        for within, at_the_start in FIRST.values()
    ]
    vocabulary = lm.vocabulary
    assert isinstance(vocabulary, TokenizerVocabulary)
    tokens = torch.tensor([vocabulary.pieces.index(piece) for piece in FIRST])
    # up to the constant that normalises
    wanted = (own[tokens] + weight * following[first]).log_softmax(-1)
    torch.testing.assert_close(found[tokens].log_softmax(-1), wanted, atol=1e-5, rtol=0)


def test_any_vocabulary_can_be_guided(tiny: Tiny, tmp_path: Path) -> None:
    """The first tokens are found by how words are written after others; no certain word is needed for that."""
    pieces = [piece for piece in PIECES if piece not in ("so", "##o")]
    path = save(tmp_path / "few", bert(len(pieces)), wordpiece_tokenizer(pieces))
    lm = GuidedMaskedLM(masked_lm(path, device="cpu"), tiny.causal(), weight=0.7)
    assert_product(lm, "the old [MASK] sat", 2, "The old", "", 0.7)


def test_any_word_may_lack_a_token(tiny: Tiny, tmp_path: Path) -> None:
    pieces = [piece for piece in PIECES if piece != "so"]
    path = save(tmp_path / "few", bert(len(pieces)), wordpiece_tokenizer(pieces))
    lm = GuidedMaskedLM(masked_lm(path, device="cpu"), tiny.causal(), weight=0.7)
    assert_product(lm, "the old [MASK] sat", 2, "The old", "", 0.7)


def factor(lm: GuidedMaskedLM, *texts: str, place: int) -> Tensor:
    """(B, V) the causal model's part at one place of each text, up to a constant."""
    batch = lm.vocabulary.encode(texts)
    asked = torch.arange(len(texts)), torch.full((len(texts),), place)
    found = lm.log_probs(batch, *asked) - lm.masked.log_probs(batch, *asked).double()
    return found - found.mean(1, keepdim=True)


def test_what_is_asked_for_is_not_looked_at(tiny: Tiny) -> None:
    lm = guided(tiny)
    batch = lm.vocabulary.encode(["the old dog sat", "the old cat sat", "the old , sat"])
    masks = torch.full((3,), lm.vocabulary.mask_id)
    place = torch.tensor([2, 2, 2])
    found = lm.log_probs(batch.with_tokens(place, masks), torch.arange(3), place)
    assert found[0].equal(found[1])
    assert found[0].equal(found[2])
    unmasked = factor(lm, "the old dog sat", "the old cat sat", place=2)
    assert apart(unmasked[0], unmasked[1]) < 1e-5


def test_the_causal_part_sees_the_left_only(tiny: Tiny) -> None:
    lm = guided(tiny)
    parts = factor(lm, "the old [MASK] sat", "the old [MASK] ran on a mat.", "the red [MASK] sat", place=2)
    assert apart(parts[0], parts[1]) < 1e-5
    assert apart(parts[0], parts[2]) > 0.1


def test_the_masked_part_sees_the_right(tiny: Tiny) -> None:
    lm = guided(tiny)
    batch = lm.vocabulary.encode(["the old [MASK] sat", "the old [MASK] ran"])
    found = lm.log_probs(batch, torch.arange(2), torch.tensor([2, 2]))
    assert apart(found[0], found[1]) > 0.1


def test_open_masks_cut_the_left(tiny: Tiny) -> None:
    lm = guided(tiny)
    parts = factor(lm, "a [MASK] dog [MASK] mat", "the [MASK] dog [MASK] house", "a cat dog [MASK] mat", place=3)
    assert apart(parts[0], parts[1]) < 1e-5
    assert apart(parts[0], parts[2]) > 0.1
    # one that lies after the site cuts nothing
    parts = factor(lm, "a red dog [MASK] [MASK] mat", "a red dog [MASK] on mat", place=3)
    assert apart(parts[0], parts[1]) < 1e-5


def test_a_prompt_for_each_input(tiny: Tiny) -> None:
    prompts = ["Write on dogs:", "", "In Paris"]
    lm = guided(tiny, prompt=prompts)
    batch = lm.vocabulary.encode(["the [MASK] sat"] * 3).rows([2, 0, 1, 0])
    found = lm.log_probs(batch, torch.tensor([3, 0, 2, 1]), torch.tensor([1, 1, 1, 1]))
    for row, number in zip(found, (0, 2, 1, 0), strict=True):
        single = guided(tiny, prompt=prompts[number])
        wanted = single.log_probs(batch.rows([0]), torch.tensor([0]), torch.tensor([1]))[0]
        assert row.equal(wanted)
    assert len({float(row[0]) for row in found}) == 3


@cache
def ways_of_asking(tiny: Tiny) -> dict[str, Tensor]:
    lm = guided(tiny, prompt="Write on dogs:")
    batch, rows, positions = masked_at(lm, TEXTS)
    order = shuffled(len(rows))
    return {
        "batched": lm.log_probs(batch, rows, positions),
        "remembered": lm.log_probs(batch, rows, positions),
        "padded": guided(tiny, prompt=lm.prompt).log_probs(batch.widen(40), rows, positions),
        "reordered": guided(tiny, prompt=lm.prompt).log_probs(batch, rows[order], positions[order])[order.argsort()],
        "one by one": torch.cat(
            [
                GuidedMaskedLM(lm.masked, lm.causal, lm.prompt).log_probs(batch, rows[[k]], positions[[k]])
                for k in range(len(rows))
            ]
        ),
    }


@pytest.mark.parametrize("way", ["remembered", "padded", "reordered", "one by one"])
def test_the_way_of_asking_changes_no_bit(tiny: Tiny, way: str) -> None:
    ways = ways_of_asking(tiny)
    assert ways[way].equal(ways["batched"]), f"differs by up to {apart(ways[way], ways['batched']):.1e}"


def test_contexts_read_before_cost_nothing(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    causal = tiny.causal()
    lm = GuidedMaskedLM(tiny.masked(), causal)
    batch, rows, positions = masked_at(lm, TEXTS)
    first = lm.log_probs(batch, rows, positions)
    before = causal.usage.passes
    assert lm.log_probs(batch, rows, positions).equal(first)
    assert causal.usage.passes == before
    monkeypatch.setattr(guided_module, "_REMEMBERED", 2)
    forgetful = guided(tiny)
    for _ in range(2):
        assert forgetful.log_probs(batch, rows, positions).equal(first)
    assert len(forgetful._known) == 2


def ways_there_and_back(proposal: SpanEdit, text: str) -> list[tuple[float, float]]:
    """Pairs of what is one number, log q(y | x) or log q(x | y): told on the way from x to y, and on the way back."""
    start = proposal.vocabulary.encode([text]).repeat(100)
    there = proposal.propose(start, Rng.start(0, 100))
    moved = (there.log_backward > -torch.inf) & ~there.batch.same_text(start)
    distinct = {tuple(there.batch.token_lists()[i]): i for i in moved.nonzero().flatten().tolist()}
    index = torch.tensor(list(distinct.values())[:20]).repeat_interleave(200)
    back = proposal.propose(there.batch.rows(index), Rng.start(1, len(index)))
    home = back.batch.same_text(start.rows(torch.zeros_like(index)))
    pairs = []
    for one, two in ((there.log_backward[index], back.log_forward), (there.log_forward[index], back.log_backward)):
        pairs += list(zip(one[home].tolist(), two[home].tolist(), strict=True))
    return pairs


def proposal_of(kind: str, model: GuidedMaskedLM | TransformersMaskedLM) -> SpanEdit:
    # of one piece: several are filled in an order of their own, and the ways there and back would be many
    return (Replace if kind == "replace" else InsertDelete)(model, pieces=(1.0,))


@pytest.mark.parametrize("kind", ["replace", "insert and delete"])
@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_the_way_back_costs_what_it_said(tiny: Tiny, kind: str, weight: float) -> None:
    lm = guided(tiny, weight=weight, prompt="Write on dogs:")
    # no two neighbours alike: each move between two texts is then the only one
    pairs = ways_there_and_back(proposal_of(kind, lm), "the old dog sat")
    assert len(pairs) >= 20
    assert max(abs(one - two) for one, two in pairs) < 1e-4
    assert len({round(one, 3) for one, _ in pairs}) > 3


def test_a_model_that_follows_the_chain_is_caught(tiny: Tiny) -> None:
    """A factor that depends on more than the context, here on how often it was asked, has no way back."""

    class Drifting:
        vocabulary = property(lambda self: self.lm.vocabulary)

        def __init__(self, lm: GuidedMaskedLM) -> None:
            self.lm, self.asked = lm, 0

        def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
            self.asked += 1
            return self.lm.log_probs(batch, rows, positions) * (1 + 0.02 * self.asked)

    pairs = ways_there_and_back(Replace(Drifting(guided(tiny)), pieces=(1.0,)), "the old dog sat")
    assert max(abs(one - two) for one, two in pairs) > 0.01
