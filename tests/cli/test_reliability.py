"""Runs that are killed at any moment and gone on with: the file is the unbroken one, byte for byte."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.models.tiny import Tiny, tiny

__all__ = ["tiny"]

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def started(program: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    def heed() -> None:
        # a shell's job in the background is started with Ctrl-C ignored, and would leave it so
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    own = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, *program], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=own, preexec_fn=heed
    )


def finished(program: Sequence[str], folder: Path) -> None:
    run = started(program, folder)
    _, said = run.communicate()
    assert run.returncode == 0, said


def killed(program: Sequence[str], folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill so many runs, going on after each; how they ended.

    Raises:
        AssertionError: an exit code, a file or a message is not as it should be.
    """
    rng, ends = random.Random(seed), Counter[str]()
    answers = folder / "answers.jsonl"
    began = time.monotonic()
    finished(program, folder)
    seconds = time.monotonic() - began
    whole, note = answers.read_bytes(), (folder / "answers.jsonl.settings.json").read_bytes()
    ends_of_lines = {0, *(place + 1 for place, byte in enumerate(whole) if byte == ord("\n"))}
    answers.unlink()
    while sum(ends[number.name] for number in SIGNALS) < kills:
        number = rng.choice(SIGNALS)
        before = answers.read_bytes() if answers.exists() else b""
        run = started(program, folder)
        try:
            _, said = run.communicate(timeout=rng.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            run.send_signal(number)
            _, said = run.communicate()
        held = answers.read_bytes() if answers.exists() else b""
        code = run.returncode
        name = {0: "finished"}.get(code, number.name)
        ends[name] += 1
        what = f"{number.name}: exit code {code}, {len(held)} of {len(whole)} bytes; {said.decode()[-2000:]}"
        # before Python can handle signals at all, they end it as they end any program
        assert code in (0, -number, *([] if number == signal.SIGKILL else [128 + number])), what
        assert whole.startswith(held), what
        if code == 128 + number:
            ends["handled"] += 1
            # whole answers were added, or nothing was: what a kill had cut short is there still, or taken off
            assert held == before or len(held) in ends_of_lines, what
            told = [line for line in said.splitlines() if b" is refused: " not in line]
            assert b"Traceback" not in said and len(told) <= 2 and b"interrupted" in told[-1], what
        if code == 0:
            assert held == whole, what
            answers.unlink()
        if rng.random() < 0.2 and held and code != 0:
            # what a machine that stops in the middle of a write leaves
            answers.write_bytes(held[: rng.randrange(len(held))])
    finished(program, folder)
    assert answers.read_bytes() == whole
    assert (folder / "answers.jsonl.settings.json").read_bytes() == note
    assert sorted(file.name for file in folder.iterdir()) == [
        "answers.jsonl",
        "answers.jsonl.settings.json",
        "texts.txt",
    ]
    return ends


def test_killed_runs(tmp_path: Path) -> None:
    """A few, of a task without models; the next test has many, of a real one."""
    (tmp_path / "texts.txt").write_text("\n".join(f"slow {n} \N{SNOWMAN}" for n in range(12)), encoding="utf-8")
    program = [
        "-m",
        "tests.cli.light",
        "correct",
        "--file",
        "texts.txt",
        "--output",
        "answers.jsonl",
        "--batch-inputs",
        "3",
    ]
    ends = killed([*program, "--quiet"], tmp_path, kills=4, seed=3)
    assert ends["handled"] > 0


@pytest.mark.reliability
def test_fifty_killed_runs(tiny: Tiny, tmp_path: Path) -> None:
    texts = [
        f"The {a} {b} [MASK] on the [MASK]."
        for a in ("old", "red", "big", "hot")
        for b in ("dog", "cat", "man", "tree")
    ]
    texts[5:5] = ["nothing to be filled"]
    (tmp_path / "texts.txt").write_text("\n\n".join(texts * 2) + "\n", encoding="utf-8")
    models = ["--causal", str(tiny.causal_path), "--masked", str(tiny.masked_path)]
    program = ["-m", "textsearch", "infill", "--file", "texts.txt", "--output", "answers.jsonl", "--batch-inputs", "3"]
    ends = killed([*program, "--chains", "2", "--steps", "40", "--quiet", *models], tmp_path, kills=50, seed=0)
    print(dict(ends))
    assert min(ends[number.name] for number in SIGNALS) > 5
