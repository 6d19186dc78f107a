"""What --help prints, and that errors name an option as it is typed."""

from __future__ import annotations

import pytest
import typer

from tests.cli.stub import call
from textsearch.cli import app

COMMANDS = vars(typer.main.get_command(app))["commands"]


@pytest.mark.parametrize("name", ["", *COMMANDS])
@pytest.mark.parametrize("width", [80, 120])
def test_help_has_every_option_and_fits(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = call(*name.split(), "--help").stdout
    # Python's wrap counts a wide character as one
    assert max(len(line) for line in said.splitlines()) <= width
    assert "[bold]" not in said and "`" not in said
    if name:
        typed = {word.rstrip(",") for line in said.splitlines() if line.startswith("  --") for word in line.split()}
        options = [one for one in COMMANDS[name].params if one.param_type_name == "option"]
        assert {option.opts[0] for option in options} <= typed
    else:
        assert all(f"\n  {one} " in said for one in COMMANDS)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["sample", "x", "--choices", "a,b", "--sampler", "foo"], "--sampler foo is none of auto, rejection"),
        (["sample", "x", "--regex", "("], "--regex '(' is no regular expression"),
        (["sample", "x", "--choices", "a", "--power", "0"], "--power 0.0 must be"),
        (
            ["keywords", "a b", "--chains", "1", "--different"],
            "--different keeps the texts of an input apart, and --ch",
        ),
        (["infill", "a ___", "--different-weight", "0"], "--different-weight 0.0 must be a positive number; --no-diff"),
        (["keywords", "a b", "--temperature", "0"], "--temperature 0 must be"),
        (["correct", "a", "--lang", "zh", "--no-meaning"], "--no-meaning is of English, and --lang zh:"),
        (
            ["correct", "a", "--listed", "未末,己已"],
            "--listed ('未末', '己已') is of Chinese characters: pass --lang zh",
        ),
    ],
)
def test_errors_name_options_as_they_are_typed(line: list[str], said: str) -> None:
    assert said in call(*line).stderr
