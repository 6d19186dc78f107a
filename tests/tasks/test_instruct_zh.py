"""Chinese with models of the kinds that are fetched: requests in Chinese, drafts, woven words, guided moves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from samplers.starts.woven import woven
from tests.tasks.chinese import Chinese
from tests.tasks.instruct_zh import instruct_zh as instruct_zh
from textsearch.cli import app
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.checkpoints import hub
from textsearch.tasks import infill, keywords, paraphrase, write
from textsearch.tasks.keyword_sentences import build
from textsearch.tasks.languages import CHINESE, ENGLISH
from textsearch.tasks.problem import Models
from textsearch.tasks.settings import KeywordSentences

SETS = [["春天", "公园", "孩子"], ["河流", "山区"]]
HAN = re.compile("[\u4e00-\u9fff]")


class Lengths:
    """An encoder that knows how long a text is, and how often it says spring."""

    def encode(self, texts: list[str], **_: Any) -> Tensor:
        return torch.nn.functional.normalize(torch.tensor([[len(text), 1.0 + text.count("春")] for text in texts]))


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What chat models are asked for."""
    said: list[str] = []
    real = TransformersCausalLM.ask

    def ask(self: TransformersCausalLM, request: str, examples: Any = ()) -> str:
        said.append(request)
        assert all(HAN.search(text) for pair in examples for text in pair)
        return real(self, request, examples)

    monkeypatch.setattr(TransformersCausalLM, "ask", ask)
    yield said


def test_keywords_are_asked_for(instruct_zh: Chinese, requests: list[str]) -> None:
    models: dict[str, Any] = {"causal": instruct_zh.causal(), "masked": instruct_zh.masked()}
    result = keywords(SETS, lang="zh", chains=2, steps=4, drafts=4, seed=1, **models)
    assert requests[-2:] == ["用这些词写一个短句：春天、公园、孩子", "用这些词写一个短句：河流、山区"]
    for text, number in zip([*result.texts, *result.best_texts], [*result.inputs] * 2, strict=True):
        assert all(word in text for word in SETS[number]) and text.endswith("。")
    problem = build(SETS, KeywordSentences(chains=1, steps=0, drafts=1, lang="zh"), Models(**models))
    batch = problem.start.vocabulary.encode(["春天的公园里有孩子。", "河流是山区。"])
    with torch.inference_mode():
        free, told = models["causal"].score(batch).log_prob, problem.objective.energy(batch)
    # the request is a part of the energy: without it, it would be twice the nats of the text alone
    assert bool(told.isfinite().all()) and not torch.allclose(told, -2 * free, rtol=1e-3)


def test_a_model_without_a_chat_format_is_not_asked(instruct_zh: Chinese, requests: list[str]) -> None:
    lm = instruct_zh.causal()
    lm.vocabulary.tokenizer.chat_template = None
    result = keywords(SETS[1:], lang="zh", chains=1, steps=2, causal=lm, masked=instruct_zh.masked())
    assert requests == ["。"] and "河流" in result.best_texts[0]


def test_words_are_woven_in_without_spaces(instruct_zh: Chinese) -> None:
    def lacks(text: str, number: int) -> list[str]:
        return [] if "公园" in text else ["公园"]

    found = {
        space: woven(
            instruct_zh.causal(),
            ["。"],
            lacks,
            count=8,
            seed=0,
            max_tokens=24,
            finish=lambda text, _: text,
            space=space,
        )[0]
        for space in ("", " ")
    }
    assert found[""] and not any(" 公园" in text for text in found[""])
    assert any(" 公园" in text for text in found[" "])


def test_topics_and_paraphrases_are_asked_for(instruct_zh: Chinese, requests: list[str]) -> None:
    models: dict[str, Any] = {"causal": instruct_zh.causal(), "masked": instruct_zh.masked(), "encoder": Lengths()}
    result = write([{"topic": "春天"}], lang="zh", chains=2, steps=3, **models)
    assert set(requests) == {"写一个关于春天的短句。"} and len(result.texts) == 2
    del requests[:]
    paraphrase(["春天的公园里有很多孩子。", "学生在公园？"], lang="zh", chains=2, steps=3, pool=2, **models)
    assert requests == ["用别的话说同样的意思：春天的公园里有很多孩子。", "换一种说法问同样的问题：学生在公园？"]


def test_frames_and_gaps_of_a_vocabulary_of_words_and_pieces(instruct_zh: Chinese) -> None:
    models: dict[str, Any] = {"causal": instruct_zh.causal(), "masked": instruct_zh.masked()}
    wanted = {"prefix": "春天", "required": ["公园"], "characters": (6, 12)}
    for text in write([wanted], lang="zh", chains=2, steps=3, **models).texts:
        assert text.startswith("春天") and "公园" in text and text.endswith("。")
    for text in infill(["春天的[MASK][MASK]里有[MASK]。"], lang="zh", chains=2, steps=3, **models).texts:
        assert re.fullmatch(r"春天的.+里有.+。", text)


def test_no_text_is_spelt_with_a_piece_of_a_chinese_character(instruct_zh: Chinese) -> None:
    vocabulary = instruct_zh.masked().vocabulary
    pieces = [piece for piece, allowed in zip(vocabulary.pieces, vocabulary.allowed.tolist(), strict=True) if allowed]
    assert "春" in pieces and "a" in pieces and "##a" in pieces and "##春" in vocabulary.pieces
    assert not any(piece.startswith("##") and HAN.search(piece) for piece in pieces)


def test_the_hub_is_asked_for_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    here: set[str] = set()
    monkeypatch.setattr(hub.HubModel, "is_here", lambda self: self.name in here)
    monkeypatch.setattr(hub, "reachable", lambda: True)
    filled = CHINESE.filled(Models(causal="mine"), "causal", "masked")
    assert (filled.causal, filled.masked, filled.encoder) == ("mine", "google-bert/bert-base-chinese", None)
    assert CHINESE.filled(Models(), "causal").causal == "Qwen/Qwen2.5-0.5B-Instruct"
    assert ENGLISH.filled(Models(), "causal", "masked").masked is None
    monkeypatch.setattr(hub, "reachable", lambda: False)
    with pytest.raises(ValueError, match=r"hub does not answer.* google-bert/bert-base-chinese \(0.4 GB, Apache-2"):
        CHINESE.filled(Models(causal="mine"), "causal", "masked")
    # what was fetched before is as good as a hub
    here.add("google-bert/bert-base-chinese")
    assert CHINESE.filled(Models(causal="mine"), "masked").masked == "google-bert/bert-base-chinese"


def test_the_command_says_in_one_line_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: False)
    monkeypatch.setattr(hub.HubModel, "is_here", lambda self: False)
    shown = CliRunner().invoke(app, ["keywords", "春天 公园", "--lang", "zh"], terminal_width=2000)
    said = " ".join(shown.stderr.replace("│", "").split())
    assert shown.exit_code == 2 and "hf download" in said and "--causal PATH" in said
    corrected = CliRunner().invoke(app, ["correct", "春天", "--lang", "zh"])
    assert corrected.exit_code == 2 and "bert-base" not in corrected.stderr
