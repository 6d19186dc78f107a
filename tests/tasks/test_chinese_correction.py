"""Chinese correction on a toy: what is mended, what is kept, and the exact law of its sampler."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

from objectives import Fluency
from textsearch.language.confusions import ListedConfusions
from textsearch.models.ngram.both_sides import NgramMaskedLM
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.training import characters_of, train_ngrams
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.objective import evaluate
from textsearch.rng import Rng
from textsearch.tasks.chinese_correction import channel_of, correct_characters, gibbs

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
PRICES = {"same sound": 1.0}


@cache
def models() -> tuple[NgramLM, RightToLeftLM]:
    tokenizer = characters_of([*CORPUS, "圆员"], 1)
    vocabulary = TokenizerVocabulary(tokenizer, 999)
    one, other = (
        NgramLM(train_ngrams(CORPUS, tokenizer, order=4, direction=way), vocabulary)
        for way in ("left_to_right", "right_to_left")
    )
    return one, RightToLeftLM(other)


def mended(texts: list[str], **settings: Any) -> list[str]:
    forward, backward = models()
    mlm = NgramMaskedLM(forward, backward)
    told: dict[str, Any] = {"backward": backward, "prices": PRICES} | settings
    return correct_characters(texts, lm=forward, mlm=mlm, confusions=SOUNDS, **told)


@pytest.mark.parametrize("block", [1, 2])
def test_characters_of_the_same_sound_are_mended(block: int) -> None:
    wrong = ["我再公圆里看花", "在见了我的朋友", "他做作业"]
    assert mended(wrong, block=block) == ["我在公园里看花", "再见了我的朋友", "他做作业"]
    # the control: at a high price nothing is worth a change
    assert mended(wrong, block=block, strictness=50.0) == wrong


def test_what_the_model_cannot_write_and_what_is_kept_stay() -> None:
    texts = ["我再公圆里看ABC，花😀", "我再公圆里看`公圆`了", "", "ABC"]
    assert mended(texts, block=1) == ["我在公园里看ABC，花😀", "我在公园里看`公圆`了", "", "ABC"]


@pytest.mark.parametrize("block", [1, 2])
def test_the_sampler_draws_from_the_channel_s_law(block: int) -> None:
    forward, backward = models()
    channel = channel_of(["再公圆"], forward.vocabulary, SOUNDS, PRICES)
    energy = Fluency(forward) + Fluency(backward) + channel
    texts = [a + "公" + b for a in "再在" for b in "圆园员"]
    rows = channel.written.repeat(len(texts))
    place = torch.tensor(forward.vocabulary.read(texts))
    law = (
        -evaluate(
            energy,
            rows.with_tokens(torch.zeros(6, dtype=torch.int64), place[:, 0]).with_tokens(
                torch.full((6,), 2), place[:, 2]
            ),
        ).energy
    ).softmax(0)
    count = 4000
    frozen = torch.tensor([[False, True, False]])
    sampler = gibbs(NgramMaskedLM(forward, backward), channel, block)
    start = channel.written.frozen(frozen if block == 1 else torch.zeros_like(frozen)).repeat(count)
    state = sampler.init(energy, start)
    for step in range(9):
        state, _ = sampler.step(energy, state, Rng.start(3, count).at(step))
    drawn = state.batch.texts()
    found = torch.tensor([drawn.count(text) for text in texts]) / count
    assert ((found - law).abs() < 5 * (law * (1 - law) / count).sqrt() + 2e-3).all()


def test_models_of_words_are_refused() -> None:
    forward, _ = models()
    vocabulary = TokenizerVocabulary(forward.vocabulary.tokenizer, 999)
    with pytest.raises(ValueError, match="characters, and the model reads"):
        channel_of(["我[MASK]"], vocabulary, SOUNDS, PRICES)
    with pytest.raises(ValueError, match=r"block=3 must"):
        mended(["我"], block=3)
