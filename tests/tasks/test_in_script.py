"""Chinese tasks in the script of the user, with tiny models that know simplified characters alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tasks.chinese import Chinese
from tests.tasks.chinese import chinese as chinese
from textsearch import stream
from textsearch.language.typed import Typed
from textsearch.models.causal import TransformersCausalLM
from textsearch.service.submission import Submission
from textsearch.tasks import Infilling, correct, infill, keywords, write
from textsearch.tasks.in_script import AsTyped, Reading, keyword_sets, requests, sentences
from textsearch.tasks.request import Request
from textsearch.tasks.settings import KeywordSentences, Paraphrasing, Writing
from textsearch.testing import check_objective, letters

pytest.importorskip("opencc")


def told(chinese: Chinese, **settings: Any) -> dict[str, Any]:
    return {"lang": "zh", "causal": chinese.causal(), "masked": chinese.masked(), "chains": 2, **settings}


def test_infill_keeps_all_but_the_gaps(chinese: Chinese) -> None:
    texts = ["AB 的公園[MASK][MASK]很 多?「學生」", "AB 的公园[MASK][MASK]很 多?“学生”", "學校某某小某孩子"]
    result = infill(texts[:2], steps=6, **told(chinese))
    assert result.sources == texts[:2]
    for number, found in zip(result.inputs.tolist(), result.best_texts, strict=True):
        begin, end = texts[number].split("[MASK][MASK]")
        assert found.startswith(begin) and found.endswith(end) and len(found) == len(begin + end) + 2
    assert {str(one["text"])[:5] for one in result.listed} == {"AB 的公"}
    assert all(str(one["text"]).endswith(("?「學生」", "?“学生”")) for one in result.listed)
    for found in infill(texts[2:], steps=3, gap="某", **told(chinese)).best_texts:
        assert found[:2] == "學校" and found[4] == "小" and found[6:] == "孩子"
    # the control: read as they are, they cannot be
    with pytest.raises(ValueError, match="has no pieces"):
        infill(texts[:1], script="none", **told(chinese))


@pytest.mark.parametrize(("script", "shown"), [("auto", "學校區"), ("simplified", "學校区"), ("hongkong", "學校區")])
def test_what_is_new_is_in_the_script_that_is_asked_for(chinese: Chinese, script: str, shown: str) -> None:
    result = infill(["學校[MASK]"], exact=True, script=script, **told(chinese))
    assert shown in [one["text"] for one in result.listed]


def test_keywords_stand_as_they_were_typed(chinese: Chinese) -> None:
    sets = [["春天", "公園", "學生"], ["春天", "公园", "學 校"], ["里", "裡", "火车?"]]
    result = keywords(sets, steps=10, seed=1, **told(chinese))
    for number, text in zip(result.inputs.tolist(), result.best_texts, strict=True):
        assert all(word in text for word in sets[number] if not word.endswith("?")), text
    assert result.best_energies.max() < float("inf")
    assert result.sources == ["春天, 公園, 學生", "春天, 公园, 學 校", "里, 裡, 火车?"]
    assert "as typed" in result.terms


def test_an_answer_does_not_depend_on_scripts_of_other_inputs(chinese: Chinese) -> None:
    sets = [["春天", "公园"], ["春天", "公園"]]
    alone, together = (list(stream(keywords, sets, steps=3, batch_inputs=n, **told(chinese))) for n in (1, 2))
    assert alone == together
    records: list[Any] = alone
    simplified, traditional = ([one["text"] for one in record["texts"]] for record in records)
    assert all("公园" in text for text in simplified) and all("公園" in text for text in traditional)


def test_simplified_keywords_have_no_term_besides(chinese: Chinese) -> None:
    assert "as typed" not in keywords([["春天", "公园"]], steps=1, **told(chinese)).terms


def test_write_puts_back_what_is_fixed(chinese: Chinese) -> None:
    asked: list[dict[str, Any]] = [
        {"prefix": "公園 的學生", "suffix": "里", "words": [9, 12]},
        {"acrostic": "學車"},
        {"template": "在*{2}學校， *{2,3}裡的。", "forbidden": ["里", "风"]},
        {"required": ["裡", "里"], "words": [6, 9]},
        {"couplet": "學車，風"},
    ]
    result = write(asked, steps=8, seed=3, **told(chinese))
    for number, text in zip(result.inputs.tolist(), result.best_texts, strict=True):
        if number == 0:
            assert text.startswith("公園 的學生") and text.rstrip("。！？")[-1] == "里"
        elif number == 1:
            assert text[0] == "學" and text[8] == "車" and len(text) == 16
        elif number == 2:
            assert text[3:6] == "學校，"
            assert text.endswith("裡的。") and "里" not in text and "风" not in text
        elif number == 4:
            assert len(text) == 5 and text[2] == "，" and text[4] == "。"
        else:
            assert "裡" in text and "里" in text
    assert result.sources[1] == "acrostic 學車" and result.sources[4] == "couplet 學車，風"


def test_a_couplet_may_rhyme() -> None:
    asked = Request(couplet="春风又绿江南岸", rhyme="山")
    assert asked.restated().template == "*{7}。"
    # the control: a word that stands there does not
    with pytest.raises(ValueError, match="rhyme='山' contradicts the end"):
        Request(suffix="大学。", rhyme="山")
    # sounds of traditional characters are known, also where a request is looked at as it was typed
    assert Request(couplet="春風又綠江南岸", rhyme="綠").couplet == "春風又綠江南岸"
    with pytest.raises(ValueError, match="'x', which has no tone"):
        Request(couplet="春風又x江南岸")
    # it is answered in its own script, though it is read in the other
    assert requests([{"couplet": "春風又綠江南岸"}], Writing(lang="zh"))[0].typed.script == "traditional"


def test_correct_returns_what_it_does_not_exchange(chinese: Chinese) -> None:
    texts = ["AB 公園裡的學生, 在 1999 里大小。", "AB 公园里的学生,在火山。 "]
    settings = told(chinese, chains=1) | {"masked": None}
    assert correct(texts, steps=0, **settings).best_texts == texts
    for text, found in zip(texts, correct(texts, steps=20, keep=["學生"], **settings).best_texts, strict=True):
        assert len(text) == len(found) and (text is texts[1] or "學生" in found)
        assert all(a == b for a, b in zip(text, found, strict=True) if a in "AB ,1999。")


def test_spaces_beside_chinese_characters_are_not_read_and_come_back() -> None:
    """Tokenizers of Chinese lose them, and a text that models cannot read is refused."""
    texts = [" 我很喜欢 iPhone 手机,有 3.5 万 。", "他在 公園 裡"]
    found = sentences(texts, Paraphrasing(lang="zh"))
    assert [one.value for one in found] == [" 我很喜欢iPhone手机，有3.5万。", "他在公园里"]
    assert [one.told(one.value) for one in found] == texts
    # the control: what is new has none
    assert found[0].told("我很喜欢iPhone书，有4.5万。") == "我很喜欢 iPhone书,有4.5万 。"


def test_marks_are_full_width_unless_that_is_not_what_was_asked_for() -> None:
    typed = Typed("simplified")
    assert Reading("", typed, "").told("春天,好.") == "春天，好。"
    assert Reading("", typed, "", lambda text: "，" not in text).told("春天,好.") == "春天,好."
    # a stop within a sentence would make two of one
    own = keyword_sets([["春天"]], KeywordSentences(lang="zh"))[0]
    assert own.told("春天,好。") == "春天，好。" and own.told("春天.好。") == "春天.好。"


def test_the_term_obeys_the_laws_of_objectives() -> None:
    term = AsTyped(keyword_sets([["發", "髮"], ["發"]], KeywordSentences(lang="zh")))
    batch = letters("发来。").encode(["发来发。", "发来。"])
    assert term.energy(batch).tolist() == [0.0, 0.0]
    # one character cannot be both, and 來 alone is neither
    assert term.energy(letters("发来。").encode(["发来。", "来。"])).tolist() == [float("inf")] * 2
    check_objective(term, batch)


def test_a_script_is_refused_where_there_is_none(chinese: Chinese) -> None:
    with pytest.raises(ValueError, match="script='taiwan' is none of auto, simplified, traditional, hongkong, none"):
        Infilling(lang="zh", script="taiwan")
    with pytest.raises(ValueError, match="script='traditional' is of Chinese: pass lang='zh'"):
        Writing(script="traditional")
    # a service and its page write English
    with pytest.raises(ValueError, match="keywords has no setting 'script'"):
        Submission(task="keywords", inputs=[["dog"]], settings={"script": "traditional"})


def test_a_couplet_that_the_causal_model_cannot_read_is_refused_at_once(
    chinese: Chinese, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [{"couplet": "春天"}, {"couplet": "龙天"}]
    with monkeypatch.context() as quiet:
        # no model takes a step
        quiet.setattr(TransformersCausalLM, "score", None)
        quiet.setattr(TransformersCausalLM, "next_log_probs", None)
        with pytest.raises(ValueError, match=r"request 1 \(couplet 龙天\) cannot be read by the causal model: .*龙"):
            write(asked, steps=1, **told(chinese))
    records = list(stream(write, asked, steps=1, **told(chinese)))
    assert "texts" in records[0] and "cannot be read" in str(records[1]["error"])
