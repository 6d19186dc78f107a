"""Generations: tables, records and text."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from samplers import MetropolisHastings
from samplers.proposals import Replace
from textsearch import FunctionObjective, Generations, generate
from textsearch.result import Acceptance
from textsearch.testing import TableMaskedLM, letters


def generations(
    alphabet: str = "ab", inputs: tuple[str, ...] = ("ab", "bb"), name: str = "few a", **arguments: Any
) -> Generations:
    sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters(alphabet), seed=0)))
    few = FunctionObjective(lambda texts: [float(text.count("a")) for text in texts], name=name)
    order = FunctionObjective(lambda texts: [0.25 * text.startswith("b") for text in texts], name="order")
    settings: dict[str, Any] = {"steps": 15, "seed": 0, "chains": 4} | arguments
    return generate(few + order, sampler, list(inputs), **settings)


RESULT = generations()


def test_ranked_is_sorted_and_names_no_text_twice() -> None:
    rows = list(RESULT.ranked())
    energies = RESULT.best_energies[rows]
    assert (np.diff(energies) >= 0).all()
    keys = [(int(RESULT.inputs[row]), RESULT.best_texts[row]) for row in rows]
    assert len(set(keys)) == len(keys) < len(RESULT)
    assert set(keys) == set(zip(RESULT.inputs.tolist(), RESULT.best_texts, strict=True))
    # the same text of another input is another result
    assert len({text for _, text in keys}) < len(keys)


def test_records_are_the_ranked_texts_and_fit_into_json() -> None:
    records = json.loads(json.dumps(RESULT.to_records()))
    assert [record["text"] for record in records] == [RESULT.best_texts[row] for row in RESULT.ranked()]
    for record in records:
        assert record["energy"] == sum(record["terms"].values())
        assert list(record["terms"]) == ["few a", "order"]
        assert record["energy"] == record["text"].count("a") + 0.25 * record["text"].startswith("b")


def test_pandas_has_one_row_a_chain() -> None:
    frame = RESULT.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [
        "input",
        "chain",
        "text",
        "energy",
        "best_text",
        "best_energy",
        "best few a",
        "best order",
    ]
    assert frame["input"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert frame["chain"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert frame["text"].tolist() == RESULT.texts
    assert np.allclose(frame["best few a"] + frame["best order"], frame["best_energy"])


def test_missing_pandas_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'textsearch-sampling\[pandas\]'"):
        RESULT.to_pandas()


def test_str_tells_texts_energies_and_acceptance() -> None:
    # the line below the table is broken to its width
    shown = " ".join(str(RESULT).split())
    for text in RESULT.best_texts:
        assert text in shown
    assert "8 chains, 15 steps" in shown
    assert "exact" in shown
    assert f"replace {RESULT.acceptance['replace'].rate:.2f}" in shown
    assert "few a" in shown
    assert "interrupted" not in shown
    assert "interrupted" in str(replace(RESULT, interrupted=True))


def test_str_is_plain_even_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in str(RESULT)


def test_the_input_is_shown_where_there_are_several() -> None:
    assert "input" in str(RESULT)
    assert "input" not in str(generations(inputs=("ab",)))


def test_the_table_is_cut_after_so_many_rows() -> None:
    table = RESULT.table(rows=2)
    assert table.row_count == 2
    assert RESULT.table().row_count == len(list(RESULT.ranked()))


@pytest.mark.parametrize("text", ["[a]", "[/a]", "[b]a[/b]", "\\[a]"])
def test_brackets_are_shown_as_they_are(text: str) -> None:
    """To the terminal they are markup: a text could lose its mask, or break the table."""
    assert text in str(generations("[/]ab\\", (text,), steps=0))
    assert text in str(generations("[/]ab\\", (text, "ab"), steps=0))


def test_brackets_in_names_are_shown_as_they_are() -> None:
    assert "[bold]" in str(generations(name="[bold]"))


def test_html_is_escaped() -> None:
    result = generations("<b>&", ("<b>&", "<<<<"), steps=0, name="<i>")
    html = result._repr_html_()
    assert "&lt;b&gt;&amp;</td>" in html
    assert "<th>&lt;i&gt;</th>" in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert html.count("<tr>") == 1 + len(list(result.ranked()))


def test_rich_prints_the_table() -> None:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(RESULT)
    assert RESULT.best_texts[0] in capture.get()


def test_results_of_no_steps_can_be_shown() -> None:
    result = generations(steps=0)
    assert "0 steps" in str(result)
    assert "ab" in result._repr_html_()
    assert len(result.to_pandas()) == len(result) == 8
    assert {record["text"] for record in result.to_records()} == {"ab", "bb"}


def test_acceptance_rate() -> None:
    assert Acceptance(8, 2).rate == 0.25
    assert str(Acceptance(0, 0).rate) == "nan"
