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
from textsearch.models.usage import Usage
from textsearch.result import Acceptance
from textsearch.result.tables import Sheet
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


def rows_of(sheet: Sheet) -> dict[str, list[str]]:
    """First cell -> the others, as printed."""
    lines = [line.split() for line in str(sheet).splitlines() if line.strip() and not line.startswith("─")]
    return {line[0]: line[1:] for line in lines}


def test_moves_tell_rates_and_jumps() -> None:
    run = generations(steps=40)
    count = run.acceptance["replace"]
    sheet = run.moves()
    rows = rows_of(sheet)
    jumps = [f"{count.jump:.3f}", f"{count.energy_jump:.3f}"]
    assert rows["replace"] == [str(count.proposed), str(count.accepted), f"{count.rate:.1%}", *jumps]
    # one kind is all there is
    assert rows["all"] == rows["replace"]
    more = replace(run, acceptance={"replace": Acceptance(10, 5, 5.0, 1.0), "swap": Acceptance(30, 3, 9.0, 3.0)})
    assert rows_of(more.moves())["all"] == ["40", "8", "20.0%", "0.350", "0.100"]
    assert rows_of(generations(steps=0).moves())["replace"] == ["0", "0"]


def test_accounting_tells_who_asked_how_much() -> None:
    usage = {"fluency": Usage(10, 2000, 4000, 1000, 500), "moves": Usage(5, 1000, 2000, 0, 0)}
    run = replace(RESULT, usage=usage)
    rows = rows_of(run.accounting())
    assert rows["fluency"] == ["10", "2,000", "4,000", "25%", "500", "20%"]
    assert rows["moves"] == ["5", "1,000", "2,000", "0%", "0", "0%"]
    assert rows["all"] == ["15", "3,000", "6,000", "17%", "500", "14%"]
    # 3,000 rows for 8 chains of 15 steps
    assert "25.00 rows a step of a chain" in str(run.accounting())
    assert rows_of(replace(RESULT, usage={}).accounting())["all"] == ["0", "0", "0", "0"]
    assert list(rows_of(RESULT.accounting()))[:3] == ["charged", "replace", "all"]


def test_sheets_are_shown_everywhere() -> None:
    sheet = Sheet(("move", "[b]"), (("<i>[/b]", "1"),), total=("all", "1"), caption="<nothing>")
    assert "<i>[/b]" in str(sheet)
    assert "\x1b" not in str(sheet)
    html = sheet._repr_html_()
    assert "<td>&lt;i&gt;[/b]</td>" in html
    assert "<caption>&lt;nothing&gt;</caption>" in html
    assert html.count("<tr>") == 3
    console = Console(width=80)
    with console.capture() as capture:
        console.print(sheet)
    assert "<i>[/b]" in capture.get()


def test_str_tells_texts_energies_and_acceptance() -> None:
    # the line below the table is broken to its width
    shown = " ".join(str(RESULT).split())
    for text in RESULT.best_texts:
        assert text in shown
    assert "8 chains, 15 steps" in shown
    assert "exact" in shown
    assert f"{RESULT.acceptance['replace'].rate:.0%} accepted" in shown
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
