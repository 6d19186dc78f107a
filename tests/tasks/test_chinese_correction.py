"""Chinese correction on a toy: what is mended, what is kept, what is refused, and the exact law of its moves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from samplers import MetropolisHastings
from textsearch import FunctionObjective
from textsearch.language.confusions import ListedConfusions
from textsearch.models.ngram.both_sides import NgramMaskedLM
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.training import characters_of, train_ngrams
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.objective import evaluate
from textsearch.proposal import Move
from textsearch.rng import Rng
from textsearch.tasks import correct
from textsearch.tasks.chinese_correction import build
from textsearch.tasks.exchanges import Exchanges, Stretch
from textsearch.tasks.problem import Models
from textsearch.tasks.settings import Correction
from textsearch.testing import letters

pytest.importorskip("jieba")

CORPUS = ["我在公园里看花", "他在公园里看书", "再见了我的朋友", "我再看一次", "他做作业", "花在公园里"] * 3
SOUNDS = ListedConfusions(
    {
        "在": {"再": "same sound"},
        "再": {"在": "same sound"},
        "圆": {"园": "same sound", "员": "same sound"},
        "做": {"作": "same sound"},
        "作": {"做": "same sound"},
    }
)


@cache
def models() -> tuple[NgramLM, RightToLeftLM]:
    tokenizer = characters_of([*CORPUS, "圆员"], 1)
    vocabulary = TokenizerVocabulary(tokenizer, 999)
    one, other = (
        NgramLM(train_ngrams(CORPUS, tokenizer, order=4, direction=way), vocabulary)
        for way in ("left_to_right", "right_to_left")
    )
    return one, RightToLeftLM(other)


def mended(texts: Sequence[str], **settings: Any) -> list[str]:
    told: dict[str, Any] = {"confusions": SOUNDS, "causal": models()[0], "steps": 60, "strictness": 0.5} | settings
    return correct(texts, lang="zh", **told).best_texts


@pytest.mark.parametrize("masked", [False, True])
def test_characters_of_the_same_sound_are_mended(masked: bool) -> None:
    wrong = ["我再公圆里看花", "在见了我的朋友", "他做作业"]
    mlm = NgramMaskedLM(*models()) if masked else None
    assert mended(wrong, masked=mlm) == ["我在公园里看花", "再见了我的朋友", "他做作业"]
    # the control: at a high price nothing is worth a change
    assert mended(wrong, masked=mlm, strictness=50.0) == wrong


def test_what_the_model_cannot_write_and_what_is_kept_stay() -> None:
    texts = [" 我再公圆里看ABC，花😀\n", "我再公圆里看`公圆`了"]
    assert mended(texts) == [" 我在公园里看ABC，花😀\n", "我在公园里看`公圆`了"]
    assert mended(["我再公圆里看花"], keep=["公圆"]) == ["我在公圆里看花"]


def test_an_answer_does_not_depend_on_its_group() -> None:
    texts = ["我再公圆里看花", "他做作业", "在见了我的朋友"]
    together = correct(texts, lang="zh", causal=models()[0], confusions=SOUNDS, steps=9, seed=4, numbers=[3, 1, 7])
    alone = correct(texts[2:], lang="zh", causal=models()[0], confusions=SOUNDS, steps=9, seed=4, numbers=[7])
    assert together.texts[2] == alone.texts[0] and float(together.best_energies[2]) == float(alone.best_energies[0])


def test_listed_characters_are_mended(tmp_path: Path) -> None:
    pytest.importorskip("pypinyin")
    file = tmp_path / "listed.txt"
    file.write_text("国 园\n", encoding="utf-8")
    tokenizer = characters_of([*CORPUS, "国"], 1)
    causal = NgramLM(train_ngrams([*CORPUS, "国"], tokenizer, order=4), TokenizerVocabulary(tokenizer, 999))
    for listed in (["国园"], str(file)):
        assert mended(["他在公国里看书"], confusions=None, listed=listed, causal=causal) == ["他在公园里看书"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lang": "fr"}, "lang='fr' is no language"),
        ({"lang": "zh", "tokenised": True}, "tokenised=True is of English"),
        ({"lang": "zh", "meaning": False}, "meaning=False is of English"),
        ({"listed": ["未末"]}, "is of characters, for lang='zh'"),
        ({"lang": "zh", "listed": ["a b"]}, "is no line of confusions"),
        ({"lang": "zh", "listed": "no/such/file"}, "is no file that can be read"),
        ({"lang": "zh", "listed": ["未末"], "confusions": SOUNDS}, "both say what may be meant"),
        ({"lang": "zh"}, "no Chinese model comes with textsearch"),
    ],
)
def test_what_cannot_be_meant_is_told_before_a_model_is_loaded(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        correct(["我"], **settings)


def test_the_energy_is_the_sum_that_the_page_states() -> None:
    pytest.importorskip("pypinyin")
    problem = build(["我再公圆里"], Correction(lang="zh", confusions=SOUNDS), Models(causal=models()[0]))
    row = problem.start
    number = problem.start.vocabulary.number  # type: ignore[attr-defined]
    mended_row = replace(row, tokens=torch.tensor([[number[one] for one in "我在公园里"]]))
    here, there = (evaluate(problem.objective, one) for one in (row, mended_row))
    # a same sound has a share of .30 of one character in fifty, shared by those that 在 and 园 are taken for
    price = 2 * -math.log(0.02 * 0.30)
    assert here.terms[0, 0] == 0.0 and float(there.terms[0, 0]) == pytest.approx(price)


LETTERS = letters("abc")
STRETCHES = [
    Stretch(0, ((1,), (2,), (3,)), (0.0, 1.0, -0.5), 0.3),
    Stretch(1, ((1, 1), (2, 3)), (0.0, 0.7), 0.0),
    Stretch(2, ((1,), (3,)), (0.0, 0.2), -0.4),
]
SPACE = ["".join(text) for text in itertools.product("abc", repeat=3)]
ENERGY = FunctionObjective(lambda texts: [0.8 * text.count("c") - 0.5 * text.count("ab") for text in texts], name="toy")


class OneWay:
    """The broken twin: the way back is said to be as likely as the way there."""

    def __init__(self, moves: Exchanges) -> None:
        self.moves, self.vocabulary, self.kinds, self.check = moves, moves.vocabulary, moves.kinds, moves.check

    def propose(self, batch: Any, rng: Rng) -> Move:
        move = self.moves.propose(batch, rng)
        back = move.log_forward.where(move.log_backward > -math.inf, move.log_backward)
        return replace(move, log_backward=back)


def transitions(moves: Any, count: int) -> torch.Tensor:
    """(27, 27) how often each text becomes each, of chains of two letters' worth of moves."""
    start = LETTERS.encode(SPACE)
    start = replace(start.repeat(count), inputs=torch.zeros(len(SPACE) * count, dtype=torch.int64))
    sampler = MetropolisHastings(moves)
    state = sampler.init(ENERGY, start)
    state, _ = sampler.step(ENERGY, state, Rng.start(5, len(start)).at(0))
    found = torch.zeros(len(SPACE), len(SPACE))
    for number, text in enumerate(state.batch.texts()):
        found[number // count, SPACE.index(text)] += 1 / count
    return found


def test_moves_are_in_detailed_balance() -> None:
    law = (-evaluate(ENERGY, LETTERS.encode(SPACE)).energy).softmax(0).to(torch.float32)
    count = 500

    def worst(moves: Any) -> float:
        flow = law[:, None] * transitions(moves, count)
        deviation = (law[:, None] ** 2 * flow.div(law[:, None]).clamp(min=1 / count) / count).sqrt()
        return float(((flow - flow.T) / (deviation**2 + deviation.T**2).sqrt()).abs().max())

    moves = Exchanges(LETTERS, [STRETCHES])
    assert worst(moves) < 5.0
    assert worst(OneWay(moves)) > 5.0
