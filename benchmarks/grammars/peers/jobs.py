"""Jobs of the comparison with peers: what is asked, the process that draws under a limit of time, and what it wrote."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

MASKED, REJECTION = "masked decoding", "adaptive rejection"
CHAINS, AWRS = "suffix MH, uniform cuts", "weighted rejection (AWRS)"
THEIR_MASK, THEIR_AWRS, THEIR_SMC = "llguidance mask", "genlm AWRS", "genlm SMC"

OURS = {REJECTION: "exact", CHAINS: "exact", AWRS: "consistent", MASKED: "biased"}
THEIRS = {THEIR_AWRS: "consistent", THEIR_SMC: "consistent", THEIR_MASK: "biased"}
"""Methods with what holds of their law."""

ALONE = 180.0
"""Seconds for loading the model and compiling the language, and for a group of draws that has begun, beside a job's."""


@final
@dataclass(frozen=True)
class Job:
    """One language, one way to draw from it.

    Attributes:
        language: its name.
        method: of `OURS` or `THEIRS`.
        model: a folder.
        prompt: what the model reads first, special tokens written out.
        pattern: a regular expression of the language.
        max_tokens: of a text, its end not counted.
        draws: after which no group is begun.
        rows: texts side by side, or particles of a population.
        seconds: of processor time, after which no group is begun.
        seed: of the random numbers.
    """

    language: str
    method: str
    model: str
    prompt: str
    pattern: str
    max_tokens: int
    draws: int
    rows: int
    seconds: float
    seed: int

    def __post_init__(self) -> None:
        if self.method not in OURS | THEIRS:
            raise ValueError(f"method={self.method!r} is none of {', '.join(OURS | THEIRS)}")


@final
@dataclass(frozen=True)
class Draw:
    """A text as tokens of the model, its end left out.

    Attributes:
        tokens: ids.
        log_weight: nats; 0 for draws that are all worth the same, -inf for a particle that died.
        group: the population, or the step of all chains, that it is of.
        ended: whether its end was drawn.
    """

    tokens: tuple[int, ...]
    log_weight: float
    group: int
    ended: bool


@final
@dataclass(frozen=True)
class Drawn:
    """What came of a job.

    Attributes:
        draws: all of whole groups, dead ones too.
        compiling: seconds that the language took.
        first: seconds until the first group was there.
        seconds: that all groups took.
        read: tokens that the model read for them.
        trouble: what went wrong, or "".
    """

    draws: tuple[Draw, ...]
    compiling: float = 0.0
    first: float = 0.0
    seconds: float = 0.0
    read: int = 0
    trouble: str = ""


def drawn(lines: str, trouble: str = "") -> Drawn:
    """What a process wrote before it ended or was ended.

    >>> lines = '''{"compiling": 0.5}
    ... {"tokens": [64], "log_weight": null, "group": 0, "ended": true}
    ... {"drawn": 1, "seconds": 2.0, "read": 9}
    ... {"tokens": [65], "log_wei'''
    >>> drawn(lines).draws, drawn(lines).seconds
    ((Draw(tokens=(64,), log_weight=-inf, group=0, ended=True),), 2.0)
    """
    draws: list[Draw] = []
    compiling, marks = 0.0, [{"drawn": 0, "seconds": 0.0, "read": 0}]
    for line in lines.split("\n"):
        try:
            one = json.loads(line)
        except ValueError:
            continue  # nothing, or a line that was being written
        if "tokens" in one:
            weight = -math.inf if one["log_weight"] is None else one["log_weight"]
            draws.append(Draw(tuple(one["tokens"]), weight, one["group"], one["ended"]))
        elif "drawn" in one:
            marks.append(one)
        else:
            compiling = one["compiling"]
    last, first = marks[-1], marks[min(1, len(marks) - 1)]
    return Drawn(
        tuple(draws[: int(last["drawn"])]), compiling, first["seconds"], last["seconds"], int(last["read"]), trouble
    )


def run(job: Job, python: Path, folder: Path) -> Drawn:
    """Let a process do a job; it is ended where it takes much longer than it should.

    Args:
        job: see there.
        python: that of the peers' environment.
        folder: for the files of the job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{job.language} {job.method}".replace(",", "").replace(" ", "-")
    asked, written = folder / f"{name}.json", folder / f"{name}.jsonl"
    asked.write_text(json.dumps(asdict(job)), encoding="utf-8")
    written.unlink(missing_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    if job.method in OURS:
        command = [sys.executable, "-m", "benchmarks.grammars.peers.ours"]
    else:
        command = [str(python), str(Path(__file__).with_name("runner.py"))]
        environment.pop("PYTHONPATH", None)  # what we run with is no part of theirs
    trouble = ""
    limit = 2 * job.seconds + ALONE
    try:
        done = subprocess.run(
            [*command, asked, written], timeout=limit, capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            trouble = f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
    except subprocess.TimeoutExpired:
        trouble = f"broken off after {limit:g} s"
    return drawn(written.read_text(encoding="utf-8") if written.exists() else "", trouble)
