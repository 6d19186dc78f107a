"""What peers are asked and what they answer, as files of JSON: they share neither packages nor a process with us."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

METHODS = ("llguidance mask", "genlm AWRS", "genlm SMC")
"""Token by token under a mask; adaptive weighted rejection and plain particles, both with resampling."""


@final
@dataclass(frozen=True)
class Job:
    """One language, one way to draw from it.

    Attributes:
        name: of the language.
        method: one of `METHODS`.
        prompt: what the model reads first, special tokens written out.
        language: {"regex": ...}, {"lark": ...} or {"json_schema": ...}.
        draws: wanted; particles count as draws.
        particles: of one population, for methods that have them.
        max_tokens: of a text, its end counted.
        seconds: no population is begun after so many.
        seed: of the random numbers.
    """

    name: str
    method: str
    prompt: str
    language: Mapping[str, Any]
    draws: int
    particles: int
    max_tokens: int
    seconds: float
    seed: int

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method={self.method!r} is none of {', '.join(METHODS)}")


@final
@dataclass(frozen=True)
class Draw:
    """A text as tokens of the model, its end left out.

    Attributes:
        tokens: ids.
        log_weight: nats; 0 for draws that are all worth the same, -inf for a particle that died.
        population: the number of the run that it is a particle of.
        ended: whether its end was drawn.
    """

    tokens: tuple[int, ...]
    log_weight: float
    population: int
    ended: bool


@final
@dataclass(frozen=True)
class Answer:
    """What came of a job.

    Attributes:
        job: what was asked.
        draws: all of them, dead ones too.
        seconds: that the draws took, the loading of the model and the compiling of the language apart.
        compiling: seconds that the language took.
        tokens: that the model read, padding included.
        passes: calls of the model.
        error: what went wrong, or "".
    """

    job: Job
    draws: tuple[Draw, ...]
    seconds: float
    compiling: float
    tokens: int
    passes: int
    error: str


def write(path: Path, model: Path, jobs: Sequence[Job]) -> None:
    """The file that `runner.py` reads."""
    path.write_text(json.dumps({"model": str(model), "jobs": [asdict(job) for job in jobs]}), encoding="utf-8")


def read(path: Path, jobs: Sequence[Job]) -> list[Answer]:
    """The file that `runner.py` writes, a line for each job that it came to; jobs that it did not come to have failed.

    >>> import tempfile
    >>> job = Job("ab", "genlm AWRS", "", {"regex": "a|b"}, 1, 1, 3, 1.0, 0)
    >>> line = '{"number": 0, "draws": [[[64], null, 0, true]], "seconds": 1, "compiling": 0, "tokens": 9, "passes": 2}'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "answers.jsonl")
    ...     _ = path.write_text(line, encoding="utf-8")
    ...     one, other = read(path, [job, job])
    >>> one.draws, other.error
    ((Draw(tokens=(64,), log_weight=-inf, population=0, ended=True),), 'no answer')
    """
    found: dict[int, Answer] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in map(json.loads, lines):
        draws = tuple(
            Draw(tuple(tokens), -math.inf if weight is None else float(weight), population, ended)
            for tokens, weight, population, ended in line.get("draws", ())
        )
        found[line["number"]] = Answer(
            jobs[line["number"]],
            draws,
            line.get("seconds", 0.0),
            line.get("compiling", 0.0),
            line.get("tokens", 0),
            line.get("passes", 0),
            line.get("error", ""),
        )
    return [
        found[number] if number in found else Answer(job, (), 0.0, 0.0, 0, 0, "no answer")
        for number, job in enumerate(jobs)
    ]


def run(python: Path, folder: Path, model: Path, jobs: Sequence[Job], seconds: float) -> list[Answer]:
    """Let the interpreter of the peers' environment do the jobs, for so many seconds at most."""
    folder.mkdir(parents=True, exist_ok=True)
    asked, answered = folder / "jobs.json", folder / "answers.jsonl"
    answered.unlink(missing_ok=True)
    write(asked, model, jobs)
    runner = Path(__file__).with_name("runner.py")
    try:
        done = subprocess.run(
            [python, runner, asked, answered], timeout=seconds, capture_output=True, text=True, check=False
        )
        trouble = "" if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
    except subprocess.TimeoutExpired:
        trouble = f"not done after {seconds:g} s"
    answers = read(answered, jobs)
    return [
        Answer(answer.job, (), 0.0, 0.0, 0, 0, trouble) if answer.error == "no answer" and trouble else answer
        for answer in answers
    ]
