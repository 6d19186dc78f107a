"""Chinese: characters as words, no spaces, full-width punctuation, and keywords without a prompt."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from objectives import (
    Forbidden,
    Keywords,
    Length,
    LengthBetween,
    Pattern,
    Prefix,
    Repeats,
    Suffix,
    Template,
    WholeWords,
)
from objectives.acrostic import Acrostic
from samplers.starts.drafts import one_sentence
from tests.models.tiny import PIECES as ENGLISH_PIECES
from tests.models.tiny import tiny_encoder
from tests.tasks.chinese import SETS, Chinese, write_vocabulary
from tests.tasks.chinese import chinese as chinese
from textsearch import Generations
from textsearch.cache import cache_folder
from textsearch.cli import app
from textsearch.language import segmentation as segment
from textsearch.language.surface import join_words
from textsearch.models import sentence_encoder
from textsearch.models.checkpoints import hub
from textsearch.models.checkpoints.loading import load_tokenizer
from textsearch.objective import Objective
from textsearch.tasks import KeywordSentences, infill, paraphrase, solve, write
from textsearch.tasks.languages import CHINESE, ENGLISH, language, pieces_of
from textsearch.tasks.request import Request
from textsearch.tasks.sentences import marked
from textsearch.tasks.starts.bridges import bridges
from textsearch.tasks.unprompted import energy, unprompted
from textsearch.tasks.verses import in_lines
from textsearch.testing import check_objective, letters

TEXTS = [
    "春天的公园里有很多孩子。",
    "他 在 1999 年，是AB里的人！",
    "",
    "《花》（风）：“雪，月”？",
    "大[MASK]的[MASK]。",
]


def test_a_folder_of_characters_reads_every_script(chinese: Chinese) -> None:
    """BERT's own tokenizer finds no piece for 1999 nor AB, and writes spaces between Latin letters."""
    for vocabulary in (chinese.masked().vocabulary, chinese.causal().vocabulary):
        texts = [text.replace("他", "人").replace("年", "了") for text in TEXTS]
        batch = vocabulary.encode(texts)
        assert batch.texts() == [text.replace(" ", "") for text in texts]
        assert batch.lengths.tolist() == [len(text.replace(" ", "").replace("[MASK]", "_")) for text in texts]
        assert bool(batch.word_starts[batch.present].all())
        assert pieces_of(vocabulary) == (1.0,)
        with pytest.raises(ValueError, match="has no pieces for part of '龙'"):
            vocabulary.encode(["龙"])
    assert chinese.masked()._frame == ([2], [3])


def test_a_vocabulary_with_longer_pieces_is_still_wordpiece(tmp_path: Path) -> None:
    """The control: one piece of two letters, and words are words again."""
    write_vocabulary(tmp_path, ENGLISH_PIECES)
    tokenizer = load_tokenizer(str(tmp_path), trust_remote_code=False)
    assert tokenizer.tokenize("The dogs") == ["the", "dogs"]


def test_scores_depend_on_the_characters_alone(chinese: Chinese) -> None:
    lm, vocabulary = chinese.causal(), chinese.masked().vocabulary
    texts = ["春天的公园。", "1999大小。"]
    with torch.inference_mode():
        own, other = lm.score(lm.vocabulary.encode(texts)), lm.forgetful().score(vocabulary.encode(texts))
    assert own.log_prob.tolist() == other.log_prob.tolist()
    assert own.tokens.tolist() == [7, 8]


@pytest.mark.parametrize("text", ["春天的公园里有很多孩子。", "", "他在1999年，买了iPhone手机！", "“你好”。《书》"])
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(segment.chinese_words(text)) == text
    assert join_words(list("春天，（好）！")) == "春天，（好）！"


def test_keywords_of_texts() -> None:
    text = "春天来了，公园里有很多孩子，孩子们在公园的河边玩耍。"
    for by in ("tf-idf", "textrank"):
        found = segment.chinese_keywords(text, 3, by=by)
        assert len(found) == 3 and "公园" in found and all(word in text for word in found)
    assert segment.chinese_keywords("。", 3) == []
    assert segment.english_keywords("", 3) == []
    assert segment.english_keywords("The dog ran after the dog's frisbee, and it didn't stop.", 2) == ["dog", "frisbee"]
    for function in (segment.chinese_keywords, segment.english_keywords):
        with pytest.raises(ValueError, match="most=0 must be at least 1"):
            function(text, 0)
    with pytest.raises(ValueError, match="by='rank' is neither"):
        segment.chinese_keywords(text, by="rank")


def test_jieba_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    segment._segmenter.cache_clear()
    try:
        with pytest.raises(ImportError, match=r"pip install 'textsearch-sampling\[chinese\]'"):
            segment.chinese_words("春天")
    finally:
        monkeypatch.undo()
        segment._segmenter.cache_clear()


def test_jieba_keeps_its_dictionary_in_the_users_own_folder() -> None:
    """By default it is read back, code and all, from a folder that everybody may write to."""
    assert segment._segmenter().tmp_dir == str(cache_folder())
    assert (cache_folder() / "jieba.cache").exists()


def test_whole_words(chinese: Chinese) -> None:
    sets = [["河流"], ["河流", "山区"], ["春天"]]
    term = WholeWords(sets, segment.chinese_words)
    texts = ["有一个河流。", "河流域是火山区。", "花。"]
    batch = chinese.masked().vocabulary.encode([text.replace("火", "大") for text in texts])
    assert term.energy(batch).tolist()[0] == 0
    assert term.energy(batch).tolist()[2] == 1
    assert (5.0 * term).energy(batch)[2] == 5.0
    # what jieba makes of it is what counts
    cut = [WholeWords([["河流"]], lambda text: [text[:3], text[3:]]), WholeWords([["河流"]], lambda text: list(text))]
    assert [float(one.energy(chinese.masked().vocabulary.encode(["河流域的。"]))) for one in cut] == [1.0, 0.0]
    check_objective(
        WholeWords([["ab"]] * 5, lambda text: text.split()), letters("ab ").encode(["ab a", "aab", "b ab", "", "ab"])
    )
    with pytest.raises(ValueError, match="keywords has 3 values, but there are 4 inputs"):
        term.check(chinese.masked().vocabulary.encode(["花"] * 4))
    with pytest.raises(TypeError, match="keywords='河流' is one string; pass a list of keywords"):
        WholeWords("河流", segment.chinese_words)


def test_repeats(chinese: Chinese) -> None:
    batch = chinese.masked().vocabulary.encode(["学校的学校。", "学校，校学。", "春天春天春天。", "", "1999。"])
    assert Repeats().energy(batch).tolist() == [1.0, 0.0, 3.0, 0.0, 0.0]
    check_objective(Repeats(), letters("ab ").encode(["a b a b", "ab", "b b b", "", "ab ab ab"]))


def test_hard_terms_take_characters_for_words(chinese: Chinese) -> None:
    vocabulary = chinese.masked().vocabulary

    def holds(term: Objective, *texts: str) -> list[bool]:
        return [energy == 0 for energy in term.energy(vocabulary.encode(texts)).tolist()]

    assert holds(Keywords(["公园", "孩子"]), "孩子在公园。", "孩子在公的园。") == [True, False]
    assert holds(Keywords(["学校", "校学"]), "学校学。", "学校学校学。") == [False, True]
    assert holds(Keywords(["公园", "孩子"], in_order=True), "孩子在公园。", "公园有孩子。") == [False, True]
    assert holds(Forbidden(["花"]), "雪花。", "雪。") == [False, True]
    assert holds(Pattern("^春.*夏"), "春天，夏天。", "夏天，春天。") == [True, False]
    good = ["春天。", "春天！", "“春天”的花，是花。", "《花》（大）的人。"]
    bad = ["春。天。", "春天", "，花。", "花，。", "花、，人。", "”花。", "“花。", "《花。》", "。"]
    assert holds(Pattern(CHINESE.sentence()), *good, *bad) == [True] * len(good) + [False] * len(bad)
    kept = marked([Keywords(["是！花"]).forms("是！花"), Keywords(["花"]).forms("花")], CHINESE.ends)
    assert holds(Pattern(CHINESE.sentence(kept)), "春天是！花。", "春天是！。", "是！花是！花。") == [True, False, True]
    assert holds(Prefix("春天"), "春天了。", "了春天。") == [True, False]
    assert holds(Suffix("春天"), "是春天。", "春天是。") == [True, False]
    assert holds(Template("春*{2}夏*"), "春天的夏天。", "春的夏天。") == [True, False]
    assert holds(Acrostic("春夏", clauses=True), "春天，夏天。", "春夏天。", "春天、夏天。") == [True, False, False]
    assert holds(LengthBetween(4, 4), "春，夏。", "春夏。") == [True, False]
    assert holds(LengthBetween(2, 2, marks=False), "春，夏。", "春夏秋。") == [True, False]
    assert holds(LengthBetween(4, 4, characters=True), "春，夏。", "春夏。") == [True, False]
    assert Length(3, sd=1).energy(vocabulary.encode(["春天。", "春天天气。".replace("气", "风")])).tolist() == [
        0.0,
        2.0,
    ]
    assert one_sentence("春天。夏天") == "春天。"
    assert one_sentence("春天，") == "春天。"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model of the hub is here, and none can be fetched."""
    monkeypatch.setattr(hub, "reachable", lambda: False)
    monkeypatch.setattr(hub.HubModel, "is_here", lambda self: False)


def test_languages() -> None:
    assert language("zh") is CHINESE and language("en") is ENGLISH
    with pytest.raises(ValueError, match=r"lang='fr' .*en \(English\), zh \(Chinese\)"):
        language("fr")
    assert CHINESE.split(" 春天  公园\u3000孩子") == CHINESE.split("春天,公园；孩子") == ["春天", "公园", "孩子"]
    assert ENGLISH.split("hot dog， park") == ["hot dog", "park"]
    for one in (CHINESE, ENGLISH):
        assert sum(one.edits.values()) == pytest.approx(1.0)
    ENGLISH.check(causal=None, masked=None)
    CHINESE.check(causal="a", masked="b")
    with pytest.raises(ValueError, match=r"no Chinese model comes with textsearch.*--causal PATH .*--masked PATH"):
        CHINESE.check(causal=None, masked=None)
    with pytest.raises(ValueError, match=r"pass --masked PATH \(in Python masked=\)"):
        CHINESE.check(causal="a", masked=None)


@pytest.mark.parametrize("in_order", [False, True])
def test_bridges_hold_their_keywords(chinese: Chinese, in_order: bool) -> None:
    model = chinese.masked()
    term = Keywords(SETS, in_order=in_order) + Pattern(CHINESE.sentence())
    start = bridges(model, SETS, [14, 9, 16], term, CHINESE, chains=4, seed=0, in_order=in_order)
    assert start.inputs.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert bool((term.energy(start) == 0).all())
    assert len(set(start.texts())) > 6
    wanted = torch.tensor([14, 9, 16])[start.inputs]
    assert int((start.lengths - wanted).abs().max()) <= 2
    # a set's starts do not depend on the sets beside it
    alone = bridges(model, SETS[:1], [14], term, CHINESE, chains=4, seed=0, in_order=in_order)
    assert alone.texts() == start.texts()[:4]


def test_a_set_without_a_bridge_starts_bare(chinese: Chinese) -> None:
    model = chinese.masked()
    short = Keywords(SETS[:1]) + LengthBetween(high=7)
    assert bridges(model, SETS[:1], [14], short, CHINESE, chains=2, seed=0).texts() == ["春天公园孩子。"] * 2


def run(chinese: Chinese, **settings: Any) -> Generations:
    how = {name: settings.pop(name) for name in ("both_sides", "cold", "length") if name in settings}
    told = KeywordSentences(**{"chains": 2, "steps": 4, **settings})
    return solve(unprompted(SETS, CHINESE, chinese.causal(), chinese.masked(), told, **how))


@pytest.mark.parametrize("both_sides", [0.0, 0.5])
def test_every_sentence_holds_its_keywords(chinese: Chinese, both_sides: float) -> None:
    result = run(chinese, both_sides=both_sides)
    for text, number in zip([*result.texts, *result.best_texts], [*result.inputs] * 2, strict=True):
        assert all(word in text for word in SETS[number]), (text, SETS[number])
        assert text.endswith("。") and text.count("。") == 1
    assert result.sources == ["春天, 公园, 孩子", "河流, 山区", "学校, 学生, 数学, 大"]
    assert sum(acceptance.proposed for acceptance in result.acceptance.values()) == 6 * 4
    assert ("pseudo-likelihood" in result.usage) == bool(both_sides)


def test_the_same_seed_writes_the_same_and_other_chains_other_sentences(chinese: Chinese) -> None:
    one, again, still = run(chinese, both_sides=0.0), run(chinese, both_sides=0.0), run(chinese, steps=0)
    assert one.texts == again.texts != still.texts
    assert len(set(one.texts)) == 6


def test_the_energy_is_what_the_page_says(chinese: Chinese) -> None:
    lm, model = chinese.causal(), chinese.masked()
    batch = model.vocabulary.encode(["春天的公园有孩子。", "河流是山区。", "学校的学生大数学。"])
    with torch.inference_mode():
        total = energy(SETS, CHINESE, lm, model, lengths=[9, 6, 9], both_sides=0.25).energy(batch)
        causal = -lm.score(batch).log_prob
        texts, masked = batch.texts(), []
        for text in texts:
            gaps = [text[:i] + "[MASK]" + text[i + 1 :] for i in range(len(text))]
            asked = model.vocabulary.encode(gaps)
            places = torch.arange(len(text))
            table = model.log_probs(asked, places, places)
            own = model.vocabulary.encode([text]).tokens[0, : len(text)]
            masked.append(-float(table[places, own].sum()))
    missed = WholeWords(SETS, segment.chinese_words).energy(batch)
    verbless = torch.tensor([not segment.says_something(text) for text in texts], dtype=torch.float64)
    expected = (
        3 * Repeats().energy(batch) + 0.75 * causal + 0.25 * torch.tensor(masked, dtype=torch.float64) + 5 * missed
    )
    assert torch.allclose(total, expected + 8 * verbless, rtol=1e-5)
    # the control: lists and phrases are among them, and sentences
    assert 0 < float(verbless.sum()) < len(texts)


def test_unknown_characters_are_refused_before_any_model_runs(chinese: Chinese) -> None:
    lm, model = chinese.causal(), chinese.masked()
    with pytest.raises(ValueError, match="keyword '龙' cannot be written by the tokenizer"):
        unprompted([["龙"]], CHINESE, lm, model, KeywordSentences(chains=1, steps=1))
    assert model.usage.rows == 0 and lm.usage.rows == 0


def test_gaps_get_a_character_each(chinese: Chinese) -> None:
    texts = ["春天的[MASK][MASK]里有[MASK]。", "[MASK]大[MASK]小。"]
    result = infill(texts, lang="zh", causal=chinese.causal(), masked=chinese.masked(), chains=2, steps=4)
    for text, number in zip(result.texts, result.inputs, strict=True):
        assert re.fullmatch(texts[number].replace("[MASK]", "."), text)


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("arguments", [("keywords", "春天 公园"), ("infill", "春天[MASK]。")])
def test_the_commands(chinese: Chinese, arguments: tuple[str, ...]) -> None:
    nothing = command(*arguments, "--lang", "zh")
    assert nothing.exit_code == 2 and nothing.stdout == ""
    assert "no Chinese model comes with textsearch" in nothing.stderr and "Traceback" not in nothing.output
    wrong = command(*arguments, "--lang", "tlh")
    assert wrong.exit_code == 2 and "tlh" in wrong.stderr
    paths = ("--causal", str(chinese.causal_path), "--masked", str(chinese.masked_path))
    shown = command(*arguments, "--lang", "zh", *paths, "--chains", "1", "--steps", "2", "--json", "--quiet")
    assert shown.exit_code == 0, shown.output
    (record,) = json.loads(shown.stdout)
    assert "春天" in record["text"] and record["text"].endswith("。")


def test_an_acrostic_is_spelled_by_lines(chinese: Chinese) -> None:
    """Word by word, four characters would be the whole text."""
    requests: list[dict[str, Any]] = [{"acrostic": "春夏秋冬", "characters": 20}, {"acrostic": "风 雪"}]
    models: dict[str, Any] = {"causal": chinese.causal(), "masked": chinese.masked()}
    result = write(requests, lang="zh", chains=2, steps=4, **models)
    for text, number in zip([*result.texts, *result.best_texts], [*result.inputs] * 2, strict=True):
        lines = text.rstrip("。").split("，")
        assert "".join(line[0] for line in lines) == ("春夏秋冬", "风雪")[number], text
        assert {len(line) for line in lines} == {(4, 7)[number]}
    for wrong, complaint in (
        ({"acrostic": "春夏", "characters": 3}, "no room for 2 lines"),
        ({"acrostic": "春夏", "characters": (19, 19)}, "no room for 2 lines"),
        ({"acrostic": "春夏", "template": "春*"}, "leave template and regex out"),
    ):
        with pytest.raises(ValueError, match=complaint):
            in_lines(Request.of(wrong))
    assert in_lines(Request(acrostic="dog")) == Request(acrostic="dog")


def test_constraints_in_chinese(chinese: Chinese) -> None:
    wanted: dict[str, Any] = {"prefix": "春天", "required": ["公园"], "forbidden": ["的", "花"]}
    wanted |= {"characters": (8, 12), "regex": "^[^，]*$"}
    result = write([wanted], lang="zh", chains=2, steps=6, causal=chinese.causal(), masked=chinese.masked())
    for text in [*result.texts, *result.best_texts]:
        assert re.fullmatch("春天[^，]*。", text) and "公园" in text and not re.search("[的花]", text)
        assert 8 <= len(text) <= 12


def test_paraphrases_without_requests(chinese: Chinese, tmp_path: Path) -> None:
    source = "春天的公园里有很多孩子。"
    models: dict[str, Any] = {"causal": chinese.causal(), "masked": chinese.masked()}
    with pytest.raises(ValueError, match="pass --encoder PATH"):
        paraphrase([source], lang="zh", **models)
    encoder = sentence_encoder(tiny_encoder(tmp_path), device="cpu")
    result = paraphrase([source], lang="zh", chains=2, steps=4, encoder=encoder, **models)
    assert all(text.endswith("。") for text in result.texts)


def test_names_in_latin_letters_come_back_from_paraphrases(chinese: Chinese, tmp_path: Path) -> None:
    sources = ["春天的 AB Aa 公园里有很多孩子。", "孩子在Ba学校里，人很多。"]
    models: dict[str, Any] = {"causal": chinese.causal(), "masked": chinese.masked(), "lang": "zh", "chains": 4}
    models["encoder"] = sentence_encoder(tiny_encoder(tmp_path), device="cpu")
    for keep, held in ((True, ("AB Aa", "Ba")), (["AB Aa 公园"], ("AB Aa 公园", "Ba"))):
        result = paraphrase(sources, steps=12, keep=keep, **models)
        assert all(held[number] in text for number, text in zip(result.inputs.tolist(), result.texts, strict=True))
        assert len(set(result.texts)) > 2
    # the control: without keep they change
    found = paraphrase(sources, steps=12, keep=False, **models)
    assert not all("AB Aa" in text for text in found.texts[:4])
