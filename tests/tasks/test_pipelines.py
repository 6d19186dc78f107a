"""`textsearch.pipeline`: one input, several, or a table; the answers are those of the task."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import textsearch
from samplers import MetropolisHastings
from samplers.proposals import Replace
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch import FunctionObjective, Generations, causal_lm, generate, tasks
from textsearch.language.confusions import ListedConfusions
from textsearch.result.columns import column_of, flat, form_of, table_of
from textsearch.tasks import correct, resolve
from textsearch.testing import TableMaskedLM, letters

MOVES = Replace(TableMaskedLM.random(letters("ab"), seed=0))
FEW_B = FunctionObjective(lambda texts: [float(text.count("b")) for text in texts], name="b")
FEW = ListedConfusions({"dog": {"dogs": "inflection"}})
calls: list[list[Any]] = []


def toy(
    inputs: Any, *, seed: int = 0, chains: int = 3, lang: str = "en", causal: Any = None, **settings: Any
) -> Generations:
    """A run for each input; one with a ! is refused."""
    calls.append(list(inputs))
    for one in inputs:
        if "!" in str(one):
            raise ValueError(f"{one!r} holds a !")
    return generate(
        FEW_B, MetropolisHastings(MOVES), ["ab"] * len(inputs), seed=seed, chains=chains, steps=1, **settings
    )


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    calls.clear()
    for name in ("ask", "keywords", "write", "paraphrase"):
        monkeypatch.setattr(tasks, name, toy)


@pytest.mark.usefixtures("stub")
@pytest.mark.parametrize(
    ("task", "given", "asked", "one"),
    [
        ("keywords", ["dog", "park"], [["dog", "park"]], True),
        ("keywords", ("hot dog", "park"), [("hot dog", "park")], True),
        ("keywords", "dog park", [["dog", "park"]], True),
        ("keywords", "hot dog, park", [["hot dog", "park"]], True),
        ("keywords", [["dog"], ["cat", "park"]], [["dog"], ["cat", "park"]], False),
        ("keywords", pd.Series(["dog park", "cat"]), [["dog", "park"], ["cat"]], False),
        ("write", {"prefix": "A"}, [{"prefix": "A"}], True),
        ("write", [{"prefix": "A"}, {"prefix": "B"}], [{"prefix": "A"}, {"prefix": "B"}], False),
        ("ask", {"passage": "A dog."}, [{"passage": "A dog."}], True),
        ("paraphrase", "A dog.", ["A dog."], True),
        ("paraphrase", iter(["A dog.", "A cat."]), ["A dog.", "A cat."], False),
        ("paraphrase", ["A dog."], ["A dog."], False),
        ("paraphrase", [], [], False),
    ],
)
def test_one_input_or_several(task: str, given: Any, asked: list[Any], one: bool) -> None:
    found = textsearch.pipeline(task, seed=1)(given)
    assert [value for call in calls for value in call] == asked
    answers = [found] if one else found
    assert len(answers) == len(asked)
    for own in answers:
        assert [set(text) for text in own] == [{"text", "energy", "terms"}] * len(own) and own
        assert [text["energy"] for text in own] == sorted(text["energy"] for text in own)


@pytest.mark.usefixtures("stub")
def test_settings_of_the_pipeline_and_of_a_call() -> None:
    pipe = textsearch.pipeline("paraphrase", top=1, batch_inputs=2)
    assert [len(own) for own in pipe(["a", "b", "c"])] == [1, 1, 1]
    assert [len(call) for call in calls] == [2, 1]
    assert len(pipe("a", top=5, chains=8, seed=2)) > 1
    assert repr(pipe) == "pipeline('paraphrase', top=1, batch_inputs=2)"


@pytest.mark.usefixtures("stub")
def test_a_table_gives_a_table() -> None:
    frame = pd.DataFrame({"words": ["dog park", "cat"], "other": [1, 2]}, index=[7, 9])
    found = textsearch.pipeline("keywords", top=2)(frame, column="words")
    assert list(found.columns) == ["input", "words", "text", "energy", "b (term)"]
    assert set(found["input"]) == {0, 1} and set(found["words"]) == {"dog park", "cat"}
    assert calls == [[["dog", "park"], ["cat"]]]
    assert found.loc[found["input"] == 1, "words"].eq("cat").all()
    # of a file without a head the columns are numbers
    found = textsearch.pipeline("paraphrase", top=1)(pd.DataFrame({0: ["a"], 1: ["b"]}), column=1)
    assert found[1].tolist() == ["b"]
    assert list(textsearch.pipeline("paraphrase")(frame[:0], column="words").columns) == [
        "input",
        "words",
        "text",
        "energy",
    ]


@pytest.mark.usefixtures("stub")
def test_errors_name_the_value_and_the_remedy() -> None:
    pipe, frame = textsearch.pipeline("paraphrase"), pd.DataFrame({"text": ["a", None]})
    twice = pd.concat([frame, frame], axis=1)
    for call, error, message in (
        (lambda: textsearch.pipeline("paraphrases"), ValueError, "is no task: did you mean 'paraphrase'"),
        (lambda: textsearch.pipeline(3), ValueError, "task=3 is no task: choose from ask"),  # type: ignore[arg-type]
        (lambda: textsearch.pipeline("correct", step=3), TypeError, r"step=3 is no setting of correct: did you mean"),
        (lambda: pipe("a", num_return_sequences=2), TypeError, "did you mean chains"),
        (lambda: pipe("a!"), ValueError, r"^'a!' holds a !$"),
        (lambda: pipe(["a", "b!"]), ValueError, r"^input 1, 'b!', is refused: 'b!' holds a !$"),
        (lambda: pipe(3), TypeError, "3 is a number: no input of paraphrase, and no list of them"),
        (lambda: pipe("a", top=0), ValueError, "top=0 must be at least 1"),
        (lambda: pipe(frame), ValueError, r"of the columns \['text'\] says not which of them holds the inputs"),
        (lambda: pipe(frame, column="texts"), ValueError, "column='texts' is no column of the table: did you mean 't"),
        (lambda: pipe(frame, column="text"), ValueError, "row 1 of the column 'text' holds"),
        (lambda: pipe(frame.astype("string"), column="text"), ValueError, "row 1 of the column 'text' holds"),
        (lambda: pipe(twice, column="text"), ValueError, "column='text' is the name of 2 columns of the table"),
        (lambda: pipe(["a"], column="text"), TypeError, "is a list, not a DataFrame or a Dataset: leave column= out"),
    ):
        with pytest.raises(error, match=message):
            call()


def test_a_named_model_is_loaded_once_and_the_answers_are_those_of_the_task(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Any] = []

    def counted(name: Any) -> Any:
        loads.append(name)
        return causal_lm(name)

    # what `resolve` remembers of other calls is left out
    monkeypatch.setattr(resolve, "_causal", counted)
    texts = ["The dog sat on the mat.", "A cat ran."]
    names: dict[str, Any] = {"causal": str(tiny.causal_path), "masked": tiny.masked_path}
    pipe = textsearch.pipeline("correct", steps=3, confusions=FEW, **names)
    found = [pipe(text) for text in texts], pipe(texts)
    assert len(loads) == 1
    for text, alone in zip(texts, found[0], strict=True):
        result = correct([text], steps=3, confusions=FEW, **names)
        assert [one["text"] for one in alone] == [result.best_texts[0]]
    assert found[1][0] == found[0][0]


class FakeDataset:
    """What is asked of a `Dataset`."""

    def __init__(self, columns: Mapping[str, list[Any]]) -> None:
        self.columns_of, self.column_names = dict(columns), list(columns)
        self.features: dict[str, Any] = {}
        self.num_rows = len(next(iter(columns.values())))

    def select(self, rows: Any) -> Any: ...

    def __getitem__(self, name: str) -> Iterator[Any]:
        return iter(self.columns_of[name])

    @staticmethod
    def from_dict(columns: Mapping[str, list[Any]]) -> FakeDataset:
        return FakeDataset(columns)


@pytest.mark.usefixtures("stub")
def test_a_dataset_gives_a_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(Dataset=FakeDataset))
    found = textsearch.pipeline("paraphrase", top=1)(FakeDataset({"text": ["a", "b"]}), column="text")
    # a column of the user's that is called like one of ours is still there
    assert found.column_names == ["input", "source", "text", "energy", "b (term)"]
    assert list(found["source"]) == ["a", "b"]
    result = toy(["a", "b"])
    assert result.to_dataset().column_names == list(result.to_pandas().columns)


def test_the_real_datasets() -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"text": ["a", "b"]})
    assert form_of(table) == "datasets" and column_of(table, "text") == ["a", "b"]
    with pytest.raises(TypeError, match="a streamed one"):
        column_of(table.to_iterable_dataset(), "text")
    result = toy(["a", "b"])
    frame = result.to_dataset().to_pandas()
    pd.testing.assert_frame_equal(frame, result.to_pandas(), check_dtype=False)


@pytest.mark.parametrize("form", ["pandas", "datasets"])
def test_a_missing_package_is_named(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, form, None)
    with pytest.raises(ImportError, match=rf"to_x needs {form}: pip install 'textsearch-sampling\[{form}\]'"):
        table_of(flat([{"text": "a"}]), form, "to_x")
