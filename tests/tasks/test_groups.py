"""What a task answers to an input depends on seed and number alone, to the last bit, whoever shares the call."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from samplers import MetropolisHastings
from samplers.proposals import InsertDelete, Mixture, Replace
from tests.models.tiny import Tiny, roomy_causal, tiny_encoder
from tests.models.tiny import tiny as tiny
from tests.tasks.chinese import SETS as CHINESE_SETS
from tests.tasks.chinese import Chinese
from tests.tasks.chinese import chinese as chinese
from tests.tasks.test_write import MIX, ByLength
from textsearch import Generations, Progress, generate, partial_result, tasks
from textsearch.language.confusions import ListedConfusions
from textsearch.language.words import WordVocabulary, apart
from textsearch.models import causal_lm, masked_lm, sentence_encoder
from textsearch.rng import Rng
from textsearch.tasks.by_input import ByInput
from textsearch.testing import TableMaskedLM, check_proposal, letters

LISTED = ListedConfusions(
    {"dog": {"dogs": "inflection", "cat": "look-alike"}, "sat": {"ran": "confusion"}, "a": {"the": "small word"}},
    inserted=("the", ","),
)


@dataclass(frozen=True)
class Case:
    """A task with inputs of many lengths."""

    task: Callable[..., Generations]
    inputs: Sequence[Any]
    settings: dict[str, Any]
    heat: float | None = 10.0

    @property
    def warmed(self) -> dict[str, Any]:
        """Its settings, with the heat if it takes one."""
        return {"seed": 2, **({} if self.heat is None else {"temperature": self.heat}), **self.settings}


CASES = {
    "ask": Case(
        tasks.ask,
        [
            {"passage": "The old dog sat on the mat.", "answer": "the mat"},
            "A man said no to the cat in London.",
            {"passage": "We saw dogs on Monday.", "answer": "Monday"},
        ],
        {"chains": 2, "steps": 3, "drafts": 2},
    ),
    "keywords": Case(
        tasks.keywords,
        [["dog", "mat"], ["old house", "cat", "tree", "day"], ["cat", "cat"]],
        {"chains": 2, "steps": 4, "drafts": 2},
    ),
    "paraphrase": Case(
        tasks.paraphrase,
        [
            "The old dog ran to the mat.",
            "What did he say to you?",
            "the cat",
            "A man sat in the old house on the hill.",
        ],
        {"chains": 2, "steps": 4, "pool": 3},
    ),
    "correct": Case(
        tasks.correct,
        ["a dog sat on the mat .", "He ran .", "the old man said that a dog sat .", "dog"],
        {"chains": 2, "steps": 15, "confusions": LISTED, "strictness": 0.1},
    ),
    "infill": Case(
        tasks.infill,
        [
            "the [MASK] sat on",
            "[MASK] ran",
            "an old [MASK] and a [MASK] sat on the [MASK] in london",
            "the [MASK] [MASK]",
        ],
        {"chains": 2, "steps": 4},
    ),
    "sample": Case(
        tasks.sample,
        ["who?", "where is it, and what does it do?", "a dog"],
        {
            "choices": ["the dog", "a cat", "no", "in the house"],
            "draws": 4,
            "steps": 8,
            "tries": 3,
            "max_length": 12,
            "method": "chains",
        },
        None,
    ),
    "write": Case(
        tasks.write,
        MIX[2:7],
        {"chains": 2, "steps": 3, "classifier": ByLength(), "label_weight": 4.0, "topic_weight": 2.0},
    ),
    "acrostics": Case(
        tasks.write,
        [{"acrostic": "tdr"}, {"acrostic": "tad"}, {"prefix": "The dog", "words": [3, 8]}],
        {"chains": 2, "steps": 6},
    ),
    "Chinese keywords": Case(tasks.keywords, CHINESE_SETS, {"chains": 2, "steps": 3, "lang": "zh"}),
    "Chinese infill": Case(
        tasks.infill,
        ["花[MASK]有人", "[MASK]人", "春天的公园里有很[MASK]花[MASK]"],
        {"chains": 2, "steps": 3, "lang": "zh"},
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        "causal": roomy_causal(tmp_path_factory.mktemp("causal"), ascii_alone=True),
        "encoder": tiny_encoder(tmp_path_factory.mktemp("encoder")),
    }


def models_of(case: Case, tiny: Tiny, chinese: Chinese, folders: dict[str, Path]) -> dict[str, Any]:
    """Fresh ones: they remember nothing of other groups."""
    if "lang" in case.settings:
        return {"causal": chinese.causal(), "masked": chinese.masked()}
    if case.task in (tasks.ask, tasks.sample):
        return {"causal": causal_lm(folders["causal"], device="cpu")}
    models = {
        "causal": causal_lm(folders["causal"], device="cpu"),
        "masked": masked_lm(tiny.masked_path, device="cpu"),
    }
    if case.task in (tasks.paraphrase, tasks.write):
        models["encoder"] = sentence_encoder(folders["encoder"], device="cpu")
    return models


def told(result: Generations, number: int) -> dict[str, Any]:
    """All that a result says of an input's texts and energies."""
    mine = result.inputs == number
    rows = mine.nonzero()[0].tolist()
    return {
        "texts": [result.texts[row] for row in rows],
        "best texts": [result.best_texts[row] for row in rows],
        "energies": result.energies[mine].tolist(),
        "best energies": result.best_energies[mine].tolist(),
        "trace": result.trace[:, mine].tolist(),
        "source": result.sources[number],
        "records": [{**record, "input": 0} for record in result.to_records() if record["input"] == number],
    }


class Runs:
    """A case run on parts of its inputs, each time with models that remember nothing."""

    def __init__(self, case: Case, load: Callable[[Case], dict[str, Any]]) -> None:
        self.case, self.load = case, load
        self.every = list(range(len(case.inputs)))
        self.moved: list[int] = []

    def __call__(self, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
        case, own = self.case, [self.case.inputs[number] for number in numbers]
        result = case.task(own, numbers=numbers, **case.warmed, **self.load(case))
        # a correction tells of the end of its search alone
        changed = sum(text not in case.inputs for text in result.texts)
        self.moved.append(int(result.recorded["accepted"].sum()) + (changed if case.task is tasks.correct else 0))
        return {number: told(result, place) for place, number in enumerate(numbers)}

    def felt(self) -> list[int]:
        """The inputs to which it makes a difference who shares the call."""
        whole, turned = self(self.every), self(self.every[::-1])
        return [number for number in self.every if not whole[number] == turned[number] == self([number])[number]]


@pytest.fixture
def load(tiny: Tiny, chinese: Chinese, folders: dict[str, Path]) -> Callable[[Case], dict[str, Any]]:
    return lambda case: models_of(case, tiny, chinese, folders)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.reliability] if name in ("acrostics", "Chinese infill") else [])
        for name in CASES
    ],
)
def test_the_group_is_not_felt(name: str, load: Callable[[Case], dict[str, Any]]) -> None:
    runs = Runs(CASES[name], load)
    assert runs.felt() == []
    # some chains went somewhere, or equal answers would mean little
    assert runs.moved[0] > 1


def test_what_is_felt_is_found(load: Callable[[Case], dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: random numbers by the place in the group, and moves by what all requests of it have in common."""
    plain = replace(CASES["infill"], task=lambda texts, numbers, **settings: tasks.infill(texts, **settings))
    assert len(Runs(plain, load).felt()) > 1
    monkeypatch.setattr(
        "textsearch.tasks.writing.ByInput", lambda parts, part_of: ByInput(parts, [min(part_of)] * len(part_of))
    )
    assert 0 in Runs(CASES["write"], load).felt()


def test_each_input_is_moved_by_its_own_proposal() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    one, other = Replace(model, max_length=3), InsertDelete(model, max_length=3)
    both = ByInput([one, other], [0, 1, 0])
    assert both.kinds == ("replace", "insert", "delete")
    batch = replace(model.vocabulary.encode(["ab", "ba", "b", "aab"] * 5), inputs=torch.arange(20) % 3)
    rng = Rng.start(3, 20)
    move = both.propose(batch, rng)
    for part, rows, offset in ((one, batch.inputs != 1, 0), (other, batch.inputs == 1, 1)):
        index = rows.nonzero().squeeze(-1)
        alone = part.propose(batch.rows(index), rng.rows(index))
        assert move.batch.rows(index).texts() == alone.batch.texts()
        assert move.log_forward[index].equal(alone.log_forward) and move.log_backward[index].equal(alone.log_backward)
        assert move.kind[index].equal(alone.kind + offset)
    texts = ["".join(text) for length in range(4) for text in itertools.product("ab", repeat=length)]
    mixtures = [Mixture({one: 1.0, other: weight}) for weight in (1.0, 3.0)]
    assert "laws hold" in str(check_proposal(ByInput(mixtures, [0, 1] * 10_000), texts))
    assert len(both.propose(batch.rows([]), rng.rows([])).batch) == 0


def broken_off(progress: Progress) -> bool:
    if progress.step == 2:
        raise OSError("no space left")
    return False


@pytest.mark.parametrize("name", ["keywords", "paraphrase", "write", "Chinese keywords"])
def test_an_error_brings_the_task_s_own_view(name: str, load: Callable[[Case], dict[str, Any]]) -> None:
    case = CASES[name]
    settings = {"seed": 2, **case.settings, **load(case)}
    with pytest.raises(OSError, match="no space left") as caught:
        case.task(case.inputs, until=broken_off, **settings)
    partial = partial_result(caught.value)
    assert partial is not None and partial.interrupted and partial.steps == 2
    whole = case.task(case.inputs, **settings)
    assert partial.sources == whole.sources
    assert partial.trace.tolist() == whole.trace[:2].tolist()


@pytest.mark.parametrize("tokenised", [False, True])
def test_a_correction_broken_off(
    tokenised: bool, load: Callable[[Case], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["correct"]
    settings: dict[str, Any] = {"seed": 2, **case.settings, "tokenised": tokenised, **load(case)}
    runs: list[Generations] = []

    def kept(*arguments: Any, **others: Any) -> Generations:
        runs.append(generate(*arguments, **others))
        return runs[-1]

    with monkeypatch.context() as patch:
        patch.setattr("textsearch.tasks.problem.generate", kept)
        case.task(case.inputs, **settings)
    step = MetropolisHastings.step
    calls = 0

    def failing(*arguments: Any, **others: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise RuntimeError("the model is gone")
        return step(*arguments, **others)

    monkeypatch.setattr(MetropolisHastings, "step", failing)
    with pytest.raises(RuntimeError, match="the model is gone") as caught:
        case.task(case.inputs, **settings)
    partial = partial_result(caught.value)
    assert partial is not None and partial.steps == 3
    # the search has two parts
    assert partial.trace.tolist() == runs[0].trace[:3].tolist()
    assert partial.sources == list(case.inputs)
    words = partial.best_batch.vocabulary
    assert isinstance(words, WordVocabulary)
    written = [apart(row) for row in words.words(partial.best_batch)] if tokenised else partial.best_batch.texts()
    assert partial.best_texts == written
