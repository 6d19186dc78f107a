"""Questions that a passage answers: what is found, what has the form, whose answer each question has."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.models.tiny import roomy_causal
from textsearch.language.answers import Answer, answers_of
from textsearch.models import causal_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.tasks import Asking, Models, ask
from textsearch.tasks.asking import backward, build, by_lines, forward, found_in, passage_of
from textsearch.tasks.question_form import Pair, form

BATS = "Bats find insects by echolocation, which Lazzaro Spallanzani studied in 1793 with 3.5 kg of wax."


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> TransformersCausalLM:
    return causal_lm(roomy_causal(tmp_path_factory.mktemp("causal")), device="cpu")


def test_answers_of_all_kinds_are_found() -> None:
    found = answers_of(BATS, 4)
    assert [(one.text, one.kind) for one in found] == [
        ("1793", "date"),
        ("3.5 kg", "number"),
        ("Lazzaro Spallanzani", "name"),
        ("echolocation", "term"),
    ]
    assert all(one.text in BATS for one in answers_of(BATS, 16))
    assert answers_of("He may go.") == []


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("When did Mr. Lee use 3.5 kg?", True),
        ("When did it rain", False),
        ("It rained.", False),
        ("Who? When?", False),
        ("?", False),
        ("Was it the Bridge?", False),
        ("What was the bridge's name?", False),
        ("What was the bridge’s name?", False),
        ("When did he see it?", False),
        ("What is the answer?", False),
        ("Whom did Mr. Lee meet before he left?", True),
        ("Which Bridges?", True),
    ],
)
def test_the_form_of_a_question(text: str, fine: bool, lm: TransformersCausalLM) -> None:
    [answer] = found_in("the bridge", 1)
    objective = form([Pair("Mr. Lee saw the bridge.", answer, 0)])
    energy = float(objective.energy(lm.vocabulary.encode([text])))
    assert energy == (0 if fine else math.inf)


def test_a_question_may_point_to_what_its_passage_points_to(lm: TransformersCausalLM) -> None:
    [answer] = found_in("the bridge", 1)
    texts = ["When did he see it?", "When did she see it?", "What was the question?"]
    own = form([Pair("He saw the bridge and had a question.", answer, 0)])
    assert own.energy(lm.vocabulary.encode(texts)).isfinite().tolist() == [True, False, True]


def test_passages_that_cannot_be_asked_about(lm: TransformersCausalLM) -> None:
    for passage, answer, said in (
        ("", None, "passage='' is empty"),
        ("Bats fly.", "dogs", "'Bats fly.' does not hold the answer 'dogs'"),
        ("Bats fly.", " ", "answer=' ' of 'Bats fly.' is empty"),
        ({"passage": "a", "answr": "b"}, None, "'answr': it may have passage and answer"),
    ):
        with pytest.raises(ValueError, match=said):
            passage_of(passage, answer)
    with pytest.raises(TypeError, match="3 is a number: pass a passage as a string"):
        passage_of(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"no date, number, name or term was found in 'He may go.'"):
        ask(["He may go."], causal=lm)
    with pytest.raises(TypeError, match="pass a list of passages"):
        ask("Bats fly.", causal=lm)
    with pytest.raises(ValueError, match="numbers of passages lie below"):
        ask(["Bats fly."], causal=lm, answer="Bats", numbers=[2**30])
    assert lm.usage.rows == 0


def test_white_space_within_an_answer_is_that_of_its_passage() -> None:
    passage, answer = passage_of({"passage": "She lives in New\r\nYork.", "answer": " New  York\n"})
    assert (passage, answer) == ("She lives in New York.", "New York")


def test_a_mark_of_ours_within_a_passage_is_text(lm: TransformersCausalLM) -> None:
    pair = Pair("The \ue000 sign is old.", Answer("sign", "term"), 0)
    before, behind = backward(lm, pair)
    assert before.endswith("Passage: The \ue000 sign is old.\nQuestion: ") and "\ue000" not in behind


def test_each_question_has_its_answer(lm: TransformersCausalLM) -> None:
    passages: list[Any] = ["The dog sat in London.", {"passage": "A cat ran.", "answer": "cat"}]
    result = ask(passages, causal=lm, chains=2, steps=3, drafts=2, answers=2)
    assert result.sources == ["The dog sat in London.", "A cat ran."]
    assert result.inputs.tolist() == [0] * 4 + [1] * 2 == result.batch.inputs.tolist()
    records = result.to_records()
    answers = [record["answer"] for record in records if record["input"] == 0]
    # the best question about each comes before the second about any
    assert len(set(answers[:2])) == 2 and {record["answer"] for record in records if record["input"] == 1} == {"cat"}
    for record in records:
        assert str(record["text"]).endswith("?") and str(record["answer"]).lower() not in str(record["text"]).lower()


def test_the_energy_is_both_directions(lm: TransformersCausalLM) -> None:
    settings = Asking(answer="the mat", chains=1, weight=3.0, drafts=2)
    problem = build(["The dog sat on the mat."], settings, Models(causal=lm))
    texts = ["Where is it?", "Who said no?", "Was it the mat?"]
    batch = lm.vocabulary.encode(texts)
    pair = Pair("The dog sat on the mat.", found_in("the mat", 1)[0], 0)
    pair = Pair(pair.passage, type(pair.answer)("the mat", "term"), 0)
    own = by_lines(lm)
    before, behind = backward(own, pair)
    there = -own.score(batch, forward(own, pair)).log_prob
    back = -own.score(own.vocabulary.encode(["the mat"] * 3), [before + text + behind for text in texts]).log_prob
    expected = (there + 3.0 * back).masked_fill(torch.tensor([False, False, True]), math.inf)
    assert torch.allclose(problem.objective.energy(batch), expected)
    # the control: the weight is felt
    assert not torch.allclose(problem.objective.energy(batch)[:2], (there + back)[:2])
