"""The table of what a request may ask for: each line keeps its word, and a new one is a class and a line."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import pytest
import torch
from typer.testing import CliRunner

from objectives import Pattern
from objectives.keywords import words
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from tests.objectives.laws import ENGLISH, TEXTS
from textsearch.cli import app
from textsearch.objective import Objective
from textsearch.tasks import write
from textsearch.tasks.constraints import table
from textsearch.tasks.constraints.base import Constraint, Rules, WordRule
from textsearch.tasks.request import Request

VALUES: dict[str, Any] = {
    "prefix": "The dog",
    "suffix": "the mat",
    "template": "The *{2} sat",
    "required": ("old dog", "cat"),
    "forbidden": ("dog", "hot cat"),
    "words": (3, 5),
    "characters": (20, None),
    "regex": "dog.*cat",
    "rhyme": "cat",
    "acrostic": "tds",
    "couplet": "春回大地",
    "label": "long",
    "topic": "animals",
    "context": "It was hot.",
}


def test_every_line_has_a_value_here() -> None:
    assert [one.name for one in table.CONSTRAINTS] == list(VALUES)


@pytest.mark.parametrize("one", table.CONSTRAINTS, ids=lambda one: one.name)
def test_a_line_keeps_its_word(one: Constraint) -> None:
    value = VALUES[one.name]
    assert one.read(value) == value and not one.empty
    request = Request(**{one.name: value})
    assert getattr(request, one.name) == value and str(request) == f"{one.name} {one.said(value)}"
    # what JSON and what a command line make of it
    given = json.loads(json.dumps(value))
    assert Request.of({one.name: given}) == request and hash(Request.of({one.name: given})) == hash(request)
    typed = {"words": "3-5", "characters": "20-"}.get(one.name, ", ".join(value) if one.empty == () else value)
    assert Request.of({one.name: one.typed(typed)}) == request
    assert not one.typed("")
    assert Request(**{one.name: one.empty}) == Request() and getattr(Request(), one.name) == one.empty
    for wrong in (object(), 1.5, {"a": 1}):
        with pytest.raises((TypeError, ValueError), match=one.name):
            Request.of({one.name: wrong})
    assert one.weight or one.hard([value]) is not None
    assert one.help and one.name.islower()


@pytest.mark.parametrize("one", [one for one in table.CONSTRAINTS if not one.weight], ids=lambda one: one.name)
def test_hard_terms_take_a_value_for_each_input(one: Constraint) -> None:
    batch = ENGLISH.encode(TEXTS)
    term = one.hard([VALUES[one.name]] * 2)
    assert term is not None
    pair = replace(batch, inputs=torch.arange(len(batch)) % 2)
    term.check(pair)
    assert set(term.energy(pair).tolist()) <= {0.0, float("inf")}


def test_importing_the_table_is_light() -> None:
    code = "import sys, textsearch.tasks.constraints.table; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@final
@dataclass(frozen=True)
class EndsWithLetter(Constraint):
    """The last letter of the text, marks apart."""

    name: str = "ends_with_letter"
    help: str = "Its last letter."
    drafts: bool = False

    def check(self, value: str, request: Any) -> None:
        """Against how it must end."""
        if request.suffix and not request.suffix.rstrip(".!?").endswith(value):
            raise ValueError(f"ends_with_letter={value!r} contradicts suffix={request.suffix!r}")

    def rules(self, value: str) -> Rules:
        """Of the last word."""
        return Rules(last=WordRule(("ends with", value), lambda word: word.endswith(value)))

    def hard(self, values: Sequence[str]) -> Objective:
        """A regular expression."""
        return Pattern([rf"(?i){value}\W*$" for value in values])


@pytest.fixture
def with_another(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A table of one line more, and the command as it is with that."""
    command = importlib.import_module("textsearch.cli.write")
    with monkeypatch.context() as patched:
        patched.setattr(app, "registered_commands", list(app.registered_commands))
        patched.setattr(table, "CONSTRAINTS", (*table.CONSTRAINTS, EndsWithLetter()))
        importlib.reload(command)
        yield
    registered = list(app.registered_commands)
    importlib.reload(command)
    app.registered_commands[:] = registered


def last_letters(texts: Sequence[str]) -> set[str]:
    return {[word for word in words(text) if word.isalpha()][-1][-1] for text in texts}


def test_a_new_constraint_is_a_class_and_a_line(with_another: None, tiny: Tiny) -> None:
    wanted: list[dict[str, Any]] = [
        {"ends_with_letter": "t", "words": [3, 5]},
        {"acrostic": "tds", "ends_with_letter": "t"},
    ]
    own: dict[str, Any] = {"masked": tiny.masked(), "causal": tiny.causal(), "chains": 3, "steps": 6}
    result = write([*wanted, {"prefix": "The dog"}], seed=0, **own)
    assert last_letters(result.texts[:6]) == last_letters(result.best_texts[:6]) == {"t"}
    assert result.sources[1] == "acrostic tds; ends_with_letter t"
    # the control: a request that does not ask for it
    assert last_letters(result.texts[6:]) != {"t"}
    with pytest.raises(ValueError, match="ends_with_letter='t' contradicts suffix='the dog'"):
        write([{"ends_with_letter": "t", "suffix": "the dog"}], causal="no/such/model")
    with pytest.raises(ValueError, match=r"'ends_with_leter' is nothing .*: did you mean 'ends_with_letter'"):
        Request.of({"ends_with_leter": "t"})
    models = ["--causal", str(tiny.causal_path), "--masked", str(tiny.masked_path), "--chains", "2", "--steps", "3"]
    line = ["write", "--ends-with-letter", "t", "--words", "3-5", "--json", "--quiet", *models]
    found = CliRunner().invoke(app, line)
    assert found.exit_code == 0, found.output
    assert last_letters([record["text"] for record in json.loads(found.stdout)]) == {"t"}
    assert "Its last letter." in CliRunner().invoke(app, ["write", "--help"]).output


def test_what_is_not_in_the_table_is_no_option() -> None:
    with pytest.raises(ValueError, match="'ends_with_letter' is nothing that a request may ask for"):
        Request.of({"ends_with_letter": "t"})
    assert "Its last letter." not in CliRunner().invoke(app, ["write", "--help"]).output
