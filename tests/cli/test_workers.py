"""The command line with workers: the same file, byte for byte, whoever wrote it and however often it was killed.

    python -m tests.cli.test_workers sentences.txt folder --kills 5 --steps 200

runs `textsearch correct --workers 2` on a file of one's own with the default models: unbroken, then with kills.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pytest

from tests.cli.stub import call
from tests.cli.test_reliability import killed
from tests.models.tiny import Tiny, tiny

__all__ = ["tiny"]

WORDS = ("old", "red", "big", "hot", "cold")


def program(tiny: Tiny, command: str, *more: str) -> list[str]:
    models = ["--causal", str(tiny.causal_path), "--masked", str(tiny.masked_path)]
    return [command, "--chains", "2", "--quiet", *models, *more]


def test_the_file_of_workers_is_that_of_one_process(tiny: Tiny, tmp_path: Path) -> None:
    texts = [f"The {word} dog [MASK] on the mat." for word in WORDS]
    texts[2:2] = ["nothing to be filled"]
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    given = ["--file", str(tmp_path / "texts.txt"), "--steps", "6"]
    files = {}
    for name, more in {"one": [], "two": ["--workers", "2", "--batch-inputs", "2"]}.items():
        run = call(*program(tiny, "infill", *given, *more), "--output", str(tmp_path / name))
        assert run.exit_code == 0 and len(run.stderr.splitlines()) == 1, run.output
        assert "input 2 (line 3" in run.stderr
        note = tmp_path / f"{name}.settings.json"
        files[name] = (tmp_path / name).read_bytes(), note.read_bytes()
    assert files["one"] == files["two"]
    # and it is gone on with by either
    (tmp_path / "two").write_bytes(files["one"][0][: len(files["one"][0]) // 2])
    run = call(*program(tiny, "infill", *given, "--workers", "2"), "--output", str(tmp_path / "two"))
    assert run.exit_code == 0 and (tmp_path / "two").read_bytes() == files["one"][0]


def test_each_group_keeps_its_run_in_a_folder(tiny: Tiny, tmp_path: Path) -> None:
    """Gone on with by the same command, it says the same; what would be asked of other texts is refused."""
    texts = [f"The {word} dog [MASK] on the mat." for word in WORDS[:3]]
    more = ["--steps", "6", "--batch-inputs", "2", "--jsonl"]
    plain = call(*program(tiny, "infill", *texts, *more))
    kept = [*program(tiny, "infill", *texts, *more), "--checkpoint", str(tmp_path / "run")]
    for _ in range(2):
        run = call(*kept)
        assert run.exit_code == 0 and run.stdout == plain.stdout, run.output
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == ["inputs-0-1", "inputs-2-2"]
    # a folder of another run is no fault of the inputs: nothing is answered, and no file of answers says that it was
    other = [*program(tiny, "infill", *texts[::-1], "--steps", "6", "--batch-inputs", "2"), "--output"]
    run = call(*other, str(tmp_path / "answers"), "--checkpoint", str(tmp_path / "run"))
    assert run.exit_code != 0 and "is another one" in run.stderr and len(run.stderr.splitlines()) == 1
    assert not (tmp_path / "answers").exists() or (tmp_path / "answers").read_bytes() == b""
    (tmp_path / "run" / "inputs-0-1" / "run.json").write_bytes(b"foreign")
    run = call(*kept)
    assert run.exit_code != 0 and "damaged" in run.stderr and run.stdout == ""
    foreign = tmp_path / "foreign" / "inputs-0-1"
    foreign.mkdir(parents=True)
    (foreign / "letter.txt").write_text("Dear\N{NO-BREAK SPACE}Zoë")
    run = call(*program(tiny, "infill", *texts, *more), "--checkpoint", str(tmp_path / "foreign"))
    assert run.exit_code != 0 and "letter.txt" in run.stderr
    assert [each.name for each in foreign.iterdir() if each.name != ".lock"] == ["letter.txt"]


def test_a_model_that_no_worker_can_load_is_one_error(tiny: Tiny, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny.masked_path, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"none")
    texts = [f"The {word} dog [MASK] on the mat." for word in WORDS]
    run = call(
        "infill", *texts, "--causal", str(tiny.causal_path), "--masked", str(broken), "--workers", "2", "--quiet"
    )
    assert run.exit_code == 2 and "cannot load the model" in run.stderr and len(run.stderr.splitlines()) == 1
    run = call("infill", *texts, "--workers", "2", "--report")
    assert run.exit_code == 2 and "--report counts what one process did" in run.stderr
    assert call("infill", *texts, "--workers", "0").exit_code == 2


@pytest.mark.reliability
def test_killed_runs_with_workers(tiny: Tiny, tmp_path: Path) -> None:
    pairs = [(a, b) for a in ("mat", "cat", "dog", "man", "tree", "house", "road", "day") for b in WORDS]
    texts = [f"The {b} {a} sat on a mat, and he dont know what they was there." for a, b in pairs]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    command = ["--file", "texts.txt", "--output", "answers.jsonl", "--batch-inputs", "4", "--steps", "40"]
    ends = killed(["-m", "textsearch", *program(tiny, "correct", *command, "--workers", "2")], tmp_path, 5, seed=0)
    print(dict(ends))
    # the control: one process writes the same
    held = (tmp_path / "answers.jsonl").read_bytes()
    assert len(held.splitlines()) == 40
    (tmp_path / "answers.jsonl").unlink()
    run = call(*program(tiny, "correct", "--file", str(tmp_path / "texts.txt"), "--steps", "40"), "--output", str(
        tmp_path / "answers.jsonl"))  # fmt: skip
    assert run.exit_code == 0 and (tmp_path / "answers.jsonl").read_bytes() == held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("folder", type=Path, help="is made, and holds the answers in the end")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    # all else is for textsearch correct; argparse would not have it behind options
    args, more = parser.parse_known_args()
    args.folder.mkdir(parents=True)
    shutil.copyfile(args.sentences, args.folder / "texts.txt")
    command = ["-m", "textsearch", "correct", "--file", "texts.txt", "--output", "answers.jsonl", "--workers", "2"]
    print(dict(killed([*command, "--quiet", *more], args.folder, args.kills, args.seed)))


if __name__ == "__main__":
    main()
