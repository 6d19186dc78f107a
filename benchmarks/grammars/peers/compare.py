"""Runs all jobs: every method of ours and of the peers on every language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.grammars.languages import Language
from benchmarks.grammars.peers import figures
from benchmarks.grammars.peers.jobs import OURS, THEIRS, Job
from benchmarks.grammars.peers.jobs import run as run_job
from benchmarks.grammars.rows import Clock, Rows, fill
from benchmarks.grammars.tables import Truth

ROWS = 20
"""Texts side by side, and particles of a population."""


def run(
    given: Sequence[Language],
    truths: Callable[[str], Truth],
    vocabulary: Any,
    model: Path,
    python: Path,
    rows: Rows,
    *,
    folder: Path,
    draws: int,
    seconds: float,
    seed: int,
    clock: Clock,
    tell: Callable[[str], None],
) -> None:
    """Figures of all methods on the languages, as far as there is time; what is in the rows is not run again.

    Args:
        given: the languages.
        truths: gives the exact law of one.
        vocabulary: of the model.
        model: its folder.
        python: that of the peers' environment.
        rows: what is known, and where figures go.
        folder: for the files of the jobs.
        draws: that are wanted of each job.
        seconds: of processor time, of each job.
        seed: of all of it.
        clock: ends it.
        tell: what is going on.
    """

    def figures_of(language: Language, method: str) -> dict[str, Any]:
        truth = truths(language.name)
        job = Job(
            language.name, method, str(model), truth.prompt, language.pattern, truth.longest, draws, ROWS, seconds, seed
        )
        return figures.record(truth, vocabulary, method, run_job(job, python, folder))

    jobs = (
        ((language.name, method), partial(figures_of, language, method))
        for language in given
        for method in (*OURS, *THEIRS)
    )
    fill(rows, jobs, clock, tell)
