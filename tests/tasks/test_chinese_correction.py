"""Chinese correction on a toy: what is mended, what is kept, and what is refused."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from textsearch.language.chinese_confusions import ChineseConfusions, listed_in
from textsearch.language.confusions import ListedConfusions
from textsearch.language.literals import Kept
from textsearch.models.ngram.both_sides import NgramMaskedLM
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.training import characters_of, train_ngrams
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.objective import evaluate
from textsearch.tasks import correct, sample
from textsearch.tasks.chinese_correction import (
    ERROR_RATE,
    HAN,
    RIGHT,
    SHARES,
    build,
    meant_by,
    prices_of_mistakes,
)
from textsearch.tasks.problem import Models
from textsearch.tasks.settings import Correction

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
        ({"listed": ["未末"]}, "is of Chinese characters: pass lang='zh'"),
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
    # a same sound has a share of .30, and either of 在 and 园 is mistaken for one character alone, or for two
    nats = prices_of_mistakes(5)[2] - 2 * math.log(0.30)
    assert here.terms[0, 0] == 0.0 and float(there.terms[0, 0]) == pytest.approx(nats)


def test_mistakes_of_a_text_are_a_law_whose_first_one_is_the_least_likely() -> None:
    for places in (1, 7, 40):
        prices = prices_of_mistakes(places)
        each = [math.comb(places, count) * math.exp(-nats) for count, nats in enumerate(prices)]
        mean = sum(count * weight for count, weight in enumerate(each)) / sum(each)
        assert mean == pytest.approx(ERROR_RATE * places)
        assert RIGHT < 1 / sum(each) < 1
        steps = [after - before for before, after in itertools.pairwise(prices)]
        assert steps == sorted(steps, reverse=True)
    # the control: of independent mistakes each would cost as much as the first
    assert steps[0] - steps[1] > 1.0


def test_what_is_written_for_a_character_is_a_law_and_frequent_ones_are_likelier() -> None:
    alike = "的地得嘚"
    confusions = ListedConfusions({one: dict.fromkeys(alike.replace(one, ""), "same sound") for one in alike})
    nats = dict(zip(alike, meant_by([alike], confusions, lambda _: True, Kept.of(()))[0], strict=True))
    for meant in alike:
        written = {one: math.exp(-nats[one][meant]) for one in alike if one != meant}
        assert sum(written.values()) == pytest.approx(SHARES["same sound"])
        # the control: an even share is neither that of the frequent nor that of the rare one
        even = SHARES["same sound"] / len(written)
        assert min(written.values()) < 0.9 * even < 1.1 * even < max(written.values())
    assert nats["的"]["得"] < nats["嘚"]["得"]
    # who is mistaken for whom goes both ways, how often does not
    assert nats["的"]["嘚"] != nats["嘚"]["的"]
    one_way = ListedConfusions({"的": {"得": "same sound"}})
    assert meant_by(["的"], one_way, lambda _: True, Kept.of(()))[0][0]["得"] == pytest.approx(-math.log(0.30))


def test_an_unknown_character_is_mended_and_another_script_is_not() -> None:
    sounds = ListedConfusions({"圓": {"园": "same sound"}, "裡": {"里": "same sound"}, "書": {"书": "same sound"}})
    assert mended(["我在公圓里看花"], confusions=sounds, script="none") == ["我在公园里看花"]
    assert mended(["我在公圓裡看書"], confusions=sounds, script="none") == ["我在公圓裡看書"]
    problem = build(
        ["我在公圓里看花"], Correction(lang="zh", script="none", confusions=sounds), Models(causal=models()[0])
    )
    here = evaluate(problem.objective, problem.start)
    assert float(here.terms[0, -1]) == pytest.approx(0.6 * math.log(HAN))


def test_equal_gains_do_not_depend_on_the_group() -> None:
    """Readings of one promise keep the order in which they are listed, whatever the other texts are."""
    pytest.importorskip("pypinyin")
    tokenizer = characters_of(["妥淫妄安看"], 1)
    causal = NgramLM(train_ngrams(["妥淫妄安看"], tokenizer, order=2), TokenizerVocabulary(tokenizer, 999))

    def drawn(texts: list[str], seed: int) -> str:
        given: dict[str, Any] = {"steps": 3, "temperature": 20.0, "seed": seed, "numbers": range(8 - len(texts), 8)}
        return correct(texts, lang="zh", causal=causal, **given).texts[-1]

    for seed in range(8):
        assert drawn(["妥"], seed) == drawn(["淫", "妥"], seed) == drawn(["妄", "看", "妥"], seed)


def test_a_character_is_not_listed_for_itself() -> None:
    pytest.importorskip("pypinyin")
    assert listed_in(["未末未", "己 己已"]) == {"未": {"末": "listed"}, "己": {"已": "listed"}}
    with pytest.raises(ValueError, match="'未未' is no line of confusions"):
        listed_in(["未未"])
    itself = ListedConfusions({"再": {"再": "same sound", "在": "same sound"}})
    assert mended(["我再公园里看花"], confusions=itself) == ["我在公园里看花"]


def test_a_masked_model_that_knows_other_characters_judges_none() -> None:
    """Whether a text is answered does not depend on those beside it."""
    tokenizer = characters_of(["花书看"], 1)
    vocabulary = TokenizerVocabulary(tokenizer, 999)
    one, other = (
        NgramLM(train_ngrams(["花书看"], tokenizer, order=2, direction=way), vocabulary)
        for way in ("left_to_right", "right_to_left")
    )
    few = NgramMaskedLM(one, RightToLeftLM(other))
    assert mended(["他做作业"], masked=few) == mended(["看书", "他做作业"], masked=few)[1:]


def test_ngrams_that_a_task_cannot_use_are_named(tmp_path: Path) -> None:
    """A model that is given by its folder is asked for what the task needs, too."""
    tokenizer = characters_of(CORPUS, 1)
    train_ngrams(CORPUS, tokenizer, order=3, direction="right_to_left").save(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(TypeError, match="has no draw_suffixes, which the task uses to write on"):
        sample([""], regex="公园", causal=str(tmp_path))


def test_confusions_can_be_copied_and_hashed() -> None:
    pytest.importorskip("pypinyin")
    one = ChineseConfusions({"未": {"末": "listed"}})
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one and len({one, ChineseConfusions()}) <= 2


def test_halves_of_characters_are_refused() -> None:
    for lang in ("en", "zh"):
        with pytest.raises(ValueError, match=r"holds half of a character \(a surrogate\)"):
            correct(["我再\ud800"], lang=lang, causal="nowhere", masked="nowhere")
