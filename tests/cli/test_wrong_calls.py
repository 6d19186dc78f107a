"""Calls that cannot be meant: each is one line that says what to write, before anything is loaded."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.cli import lines, stub
from tests.cli.stub import call

pytestmark = pytest.mark.usefixtures("stubbed")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "keywords, mine, paraphrase, run, sample, serve, studio, watch or write"),
        (["keyword", "dog"], "did you mean keywords?"),
        (["Correct", "She go."], "did you mean correct?"),
        (["summarise", "text"], "choose from ask"),
        (["--seed", "1", "keywords", "dog"], "options come after the command"),
        (["ask"], "name a passage"),
        (["ask", "a", "--answer", " "], "--answer ' ' is empty"),
        (["correct"], "name a text"),
        (["infill"], "name a text with gaps"),
        (["keywords"], "name the words"),
        (["paraphrase"], "name a sentence"),
        (["write"], "say what is wanted"),
        (["keywords", "dog", "--lang", "english"], "take en (English), zh (Chinese)"),
        (["keywords", "dog", "--lang", "zh"], "no Chinese model comes with textsearch"),
        (["correct", "我", "--lang", "zh"], "no Chinese model comes with textsearch"),
        (["correct", "我", "--lang", "zh", "--causal", "a/b", "--tokenised"], "--tokenised is of English"),
        (["correct", "我", "--lang", "zh", "--causal", "a/b", "--listed", "未,己已"], "is no line of confusions"),
        (["correct", "dog", "--listed", "未末,己已"], "is of Chinese characters: pass --lang zh"),
        (["keywords", "dog", "--chains", "0"], "--chains 0 must be at least 1"),
        (["keywords", "dog", "--chains", "99999999999"], "--chains 99999999999 must be at most 100000"),
        (["keywords", "dog", "--steps", "-1"], "--steps -1 must be at least 0"),
        (["keywords", "dog", "--seed", "x"], "--seed 'x' must be a whole number"),
        (["keywords", "dog", "--seed=99999999999999999999"], "--seed"),
        (["keywords", "dog", "--seed", "1.5"], "--seed 1.5 must be a whole number"),
        (["keywords", "dog", "--top", "0"], "--top 0 must be at least 1"),
        (["keywords", "dog", "--batch-inputs", ""], "--batch-inputs '' must be a whole number"),
        (["keywords", "dog", "--temperature", "0"], "--temperature 0 must be a number above 0"),
        (["keywords", "dog", "--temperature", "nan"], "--temperature nan"),
        (["keywords", "dog", "--temperature", "inf"], "--temperature inf"),
        (["keywords", "dog", "--temperature", "warm"], "--temperature 'warm' must be a number"),
        (["correct", "a", "--strictness", "nan"], "--strictness"),
        (["correct", "a", "--strictness", "-1"], "--strictness"),
        (["paraphrase", "a", "--diversity", "0"], "--diversity"),
        (["paraphrase", "a", "--similarity", "inf"], "--similarity"),
        (["write", "--topic", "a", "--topic-weight", "nan"], "--topic-weight"),
        (["write", "--label", "good"], "--classifier"),
        (["sample"], "say what a text must be: one of --grammar, --json-schema, --regex, --choices"),
        (["sample", "--prompt", "a"], "say what a text must be"),
        (["sample", "--choices", "a,b"], "name a prompt"),
        (["sample", "a", "--choices", "a,b", "--regex", "a"], "--regex and --choices both say what a text must be"),
        (["sample", "a", "--choices", " , "], "choices holds '', which is no text to read"),
        (["sample", "a", "--choices", "[1, 2]"], "choices[0]=1 is no string"),
        (["sample", "a", "--choices", '["a"'], "begins as a list in JSON and is none"),
        (["sample", "a", "--regex", "a+\n"], "ends with the end of a line"),
        (["sample", "a", "--regex", ""], "matches the empty text alone"),
        (["sample", "a", "--regex", "("], "is no regular expression"),
        (
            ["sample", "a", "--grammar", "missing.lark"],
            "no file 'missing.lark', and no grammar of this name comes with",
        ),
        (["sample", "a", "--grammar", "iso_dat"], "choose from"),
        (["sample", "a", "--grammar", ""], "there is no file ''"),
        (["sample", "a", "--json-schema", ""], "the name is empty"),
        (["sample", "a", "--grammar", "."], "cannot read '.'"),
        (["sample", "a", "--json-schema", "missing.json"], "cannot read 'missing.json': No such file"),
        (["sample", "a", "--json-schema", "weights.bin"], "is no JSON"),
        (["sample", "a", "--json-schema", "null.json"], "'null.json' holds null, which is no schema"),
        (["sample", "a", "--choices", "a,b", "--draws", "0"], "--draws"),
        (["sample", "a", "--choices", "a,b", "--power", "0"], "--power 0"),
        (
            ["sample", "a", "--choices", "a,b", "--sampler", "nuts"],
            "--sampler nuts is none of auto, rejection, chains, particle-gibbs, weighted-rejection, masked",
        ),
        (["sample", "a", "--choices", "a,b", "--max-length", "0"], "--max-length"),
        (["sample", "a", "--choices", "a,b", "--temperature", "0.7"], "No such option: --temperature"),
        (["keywords", "dog", "--chain", "3"], "(Possible options: --chains, --ch"),
        (
            ["keywords", "dog", "--regex", "a+"],
            "--regex; it belongs to sample, write; textsearch keywords --help lists",
        ),
        (["keywords", "dog", "--nonesuch"], "--nonesuch; textsearch keywords --help lists what may stand here"),
        (["studio", "--port", "-1"], "--port -1 must be at least 0"),
        (["run", "{}", "--stop-after", "0"], "--stop-after 0 must be at least 1"),
        (["run", ""], "the name is empty"),
        (["run", "[]"], "[] is no submission"),
        (
            ["run", "missing.json"],
            "cannot read 'missing.json': No such file or directory; name a file or folder of a run",
        ),
        (["run", "none.bin"], "cannot read 'none.bin': it is no text in UTF-8; name a file"),
        (["run", '{"terms": [{"name": "Keywords"}]}'], "Keywords needs keywords, and is told none"),
        (["run", "{}", "more"], "(more); textsearch run --help lists what may stand here"),
        (["run"], "textsearch run --help says what it is"),
        (["keywords", "dog", "--checkpoint", "weights.bin"], "'weights.bin' is a file: name a folder"),
        (["keywords", "dog", "--checkpoint", "weights.bin/deeper"], "weights.bin' is a file: name a folder"),
        (["keywords", "dog", "--checkpoint", ""], "the name is empty: write one, or leave the option out"),
        (["keywords", "dog", "--output", ""], "the name is empty: write one"),
        (["keywords", "--file", ""], "the name is empty: write one"),
        (["run", "{}", "--checkpoint", "weights.bin"], "'weights.bin' is a file: name a folder"),
        (["studio", "--folder", "weights.bin"], "'weights.bin' is a file: name a folder"),
        (["studio", "--folder", ""], "the name is empty: write one"),
        (["keywords", "dog", "--chains"], "--chains"),
        (["keywords", "dog", "--json", "--jsonl"], "leave one of them out"),
        (["keywords", "dog", "--json", "--output", "x"], "leave one of them out"),
        (["keywords", "dog", "--file", "missing.txt"], "missing.txt"),
        (["keywords", "dog", "--causal", "no/such/model"], "there is no folder 'no/such/model'"),
        (["keywords", "dog", "--causal", "./no-such"], "there is no folder './no-such'"),
        (["keywords", "dog", "--masked", "~/model"], "there is no folder '~/model'"),
        (["keywords", "dog", "--masked", ""], "there is no folder ''"),
        (["paraphrase", "dog", "--encoder", "."], "holds no config.json"),
        (["write", "--prefix", "a", "--classifier", "weights.bin"], "is a file"),
    ],
)
def test_a_slip_is_one_line(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights.bin").touch()
    Path("none.bin").write_bytes(b"\xff\x00")
    Path("null.json").write_text("null", encoding="utf-8")
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr and len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stdout == "" and not stub.calls


def test_a_mark_at_the_beginning_of_a_file_is_none_of_its_text(tmp_path: Path) -> None:
    """As editors of Windows put it there, and ends of lines of their own."""
    for option, name, text, read in (
        ("--grammar", "a.lark", 'start: "a"\r\n', 'start: "a"\n'),
        ("--json-schema", "a.json", "true", True),
    ):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert call("sample", "a", option, str(tmp_path / name)).exit_code == 0
        assert stub.calls[-1][1][option[2:].replace("-", "_")] == read


def test_words_without_quotes_are_told_to_be_sets_of_their_own() -> None:
    assert "2 sets of one word each" in (said := call("keywords", "dog", "park").stderr) and '"dog park"' in said
    for own in (["dog park"], ["dog", "hot dog, park"], ["dog", "park", "--quiet"]):
        assert "sets of one word" not in call("keywords", *own).stderr


def test_a_run_without_steps_says_so() -> None:
    assert "no steps" in call("keywords", "dog park", "--steps", "0").stderr
    assert "accepted: replace" in call("keywords", "dog park").stderr


def walk(count: int, seed: int, folder: Path) -> dict[int, int]:
    """Run command lines; how many ended with each exit code."""
    rng, codes = random.Random(seed), {0: 0, 1: 0, 2: 0}
    for number in range(count):
        where = folder / str(number)
        where.mkdir()
        lines.make_files(where)
        # what stands there and is to be kept; an empty file may be written to
        before = {file: data for file in where.iterdir() if (data := file.read_bytes())}
        arguments, given = lines.line(rng)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(where)
            began = time.perf_counter()
            result = call(*arguments, given=given)
            seconds = time.perf_counter() - began
        why = f"line {number}: {arguments!r}\n{result.output[-2000:]}"
        assert result.exception is None or isinstance(result.exception, SystemExit), why
        assert result.exit_code in codes and "Traceback" not in result.output, why
        assert seconds < 5, why
        assert len(result.stderr) < 30_000 and "\x1b" not in result.output, why
        if result.exit_code == 2:
            assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("error: "), why
            assert result.stdout == "", why
        if result.exit_code == 1:
            assert "is refused" in result.stderr, why
        assert {file: file.read_bytes() for file in before} == before, why
        codes[result.exit_code] += 1
    return codes


def test_command_lines_at_random(tmp_path: Path) -> None:
    assert min(walk(60, 0, tmp_path).values()) > 0


@pytest.mark.reliability
def test_two_thousand_command_lines(tmp_path: Path) -> None:
    codes = walk(2000, 1, tmp_path)
    print(codes)
    assert set(codes) == {0, 1, 2} and min(codes.values()) > 30
