"""Text that must parse, drawn from a language model: every sampler against the exact law of finite languages.

    python -m benchmarks.grammars --out results
    python -m benchmarks.grammars --part patterns --patterns regex_patterns.txt --out results

1. truth: finite languages, all of whose strings are scored. Total variation and KL of each method against tokens, on
   tables of the real model.
2. peers: `genlm-control` and `llguidance` beside ours on the model itself, in an environment that is made in the folder
   `peers` from the package index.
3. patterns: regular expressions of a file, one a line, and sentences that hold all words of a set.
4. schemas: JSON schemas of growing depth.
5. words: the sets of words by `force_words` and by constrained beam search as it is in the papers.
6. powers: p^4, where it is known, on finite languages and over all texts of a toy, and on a long text.

Writes `grammars.json` after each language and seed, and `grammars.png`, and keeps what is there and not asked for.
Tables of the languages are kept in the folder `tables`. Peers, patterns, schemas and words have a line for each job in
`peers.jsonl` and so on, written at once. The same command goes on where it was broken off, and `--minutes` breaks it
off between two jobs. All run on one thread.
"""

from __future__ import annotations

import argparse
import json
import pickle
import platform
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.grammars import (
    every_text,
    hard_report,
    infinite,
    long_text,
    patterns,
    powers,
    report,
    schemas,
    truth,
    words,
)
from benchmarks.grammars.figure import draw
from benchmarks.grammars.infinite import Effort
from benchmarks.grammars.languages import LANGUAGES
from benchmarks.grammars.peers import compare, environment, figures
from benchmarks.grammars.rows import Clock, Rows
from benchmarks.grammars.tables import Truth
from textsearch.models import causal_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.checkpoints.default import smollm2_folder

PARTS = ("truth", "peers", "patterns", "schemas", "words", "powers")

PEER_LANGUAGES = ("cities", "dates", "sums", "people", "selects")
BY_NAME = {language.name: language for language in LANGUAGES}


@dataclass(frozen=True)
class Size:
    """How much is run.

    Attributes:
        languages: of the first part, by name; empty for all.
        chains: on tables.
        steps: of each.
        populations: of weighted draws.
        patterns: lines of the file, evenly spread; 0 for all.
        families: sets of words.
        schemas: evenly spread; 0 for all.
        effort: of a method on a pattern, a set of words or a schema.
        long_run: draws of the runs that field marginals are compared with.
        text: tokens of the long text, at most.
        text_tokens: that a chain of it reads.
        peer_draws: wanted of each method on each language.
        peer_seconds: of processor time, for each of them.
    """

    languages: tuple[str, ...]
    chains: int
    steps: int
    populations: int
    patterns: int
    families: int
    schemas: int
    effort: Effort
    long_run: int
    text: int
    text_tokens: int
    peer_draws: int
    peer_seconds: float


SIZES = {
    "quick": Size(("cities", "dates", "sums"), 1_000, 24, 16, 0, 10, 0, Effort(4, 2, 6, 20.0), 40, 48, 300, 200, 10.0),
    "medium": Size((), 1_000, 48, 16, 0, 10, 0, Effort(4, 2, 6, 20.0), 40, 64, 1_000, 200, 10.0),
    "full": Size((), 10_000, 100, 40, 0, 10, 0, Effort(40, 32, 40, 600.0), 400, 128, 4_000, 2_000, 120.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--languages", nargs="+", help="of truth and peers; by default the size's, and those of peers")
    parser.add_argument("--seeds", type=int, default=1, help="runs of truth, for intervals")
    parser.add_argument("--steps", type=int, default=0, help="moves of every chain of words, after its search")
    parser.add_argument("--patterns", type=Path, help="a regular expression a line")
    parser.add_argument("--families", type=int, help="sets of words among the patterns; by default the size's")
    parser.add_argument("--limit", type=int, help="patterns, or schemas, evenly spread; by default the size's")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=infinite.METHODS,
        default=tuple(infinite.METHODS),
        help="of patterns and schemas",
    )
    parser.add_argument("--seconds", type=float, help="of a method on a pattern; three times that on a schema")
    parser.add_argument("--minutes", type=float, help="begin no job after so long; run again to go on")
    parser.add_argument("--again", action="store_true", help="run languages again that are in the results already")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--seed", type=int, default=0, help="the first")
    args = parser.parse_args()
    if args.patterns and not args.patterns.is_file():
        parser.error(f"{args.patterns} is no file")
    if strange := [name for name in args.languages or () if name not in BY_NAME]:
        parser.error(f"{strange[0]!r} is none of {', '.join(BY_NAME)}")
    if args.seeds < 1:
        parser.error(f"--seeds {args.seeds}: at least 1")
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    size = SIZES[args.size]
    if args.seconds is not None:
        size = replace(size, effort=replace(size.effort, seconds=args.seconds))
    run = Run(args, size, causal_lm(), args.out / "grammars.json")
    run.found["machine"] = {"cores": torch.multiprocessing.cpu_count(), "torch": torch.__version__, "cpu": _processor()}
    parts = (run.truth, run.peers, run.patterns, run.schemas, run.words, run.powers)
    for name, part in zip(PARTS, parts, strict=True):
        if name in args.part:
            for table in part():
                run.console.print(table)


class Run:
    """The parts of one call of the command, each a method that gives what is printed.

    Args:
        args: of the command.
        size: how much is run.
        lm: the model.
        written: the file of the figures that are not kept job by job.
    """

    def __init__(self, args: argparse.Namespace, size: Size, lm: TransformersCausalLM, written: Path) -> None:
        self.args, self.size, self.lm, self._written = args, size, lm, written
        self.found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
        self.console, self.tell = Console(width=180), Console(stderr=True).print
        self.clock = Clock(None if args.minutes is None else 60 * args.minutes)
        self.seeds = range(args.seed, args.seed + args.seeds)

    def truth(self) -> list[Table]:
        """Finite languages on tables."""
        own, size = self.found.setdefault("truth", {}), self.size
        setup = {"chains": size.chains, "steps": size.steps, "populations": size.populations}
        for seed in self.seeds:
            for name in self.args.languages or size.languages or BY_NAME:
                runs = own.setdefault(name, {})
                known = runs.get(str(seed))
                if known and known["setup"] == setup and not self.args.again:
                    continue
                if self.clock.over:
                    break
                found = truth.records(self.known(name), **setup, power=1.0, seed=seed, tell=self.tell)
                runs[str(seed)] = {"setup": setup, **found}
                self.save()
        languages = {name: truth.merged(list(runs.values())) for name, runs in own.items() if runs}
        draw(languages).savefig(self.args.out / "grammars.png", dpi=130)
        return report.truth_tables(languages)

    def peers(self) -> list[Table]:
        """Ours and others on the model itself."""
        folder = self.args.out / "peers"
        python = environment.interpreter(folder / "environment")
        self.found["peers"] = environment.versions(python)
        self.save()
        draws, seconds, seed = self.size.peer_draws, self.size.peer_seconds, self.args.seed
        rows = Rows(self.args.out / "peers.jsonl", {"draws": draws, "seconds": seconds, "seed": seed})
        names = self.args.languages or PEER_LANGUAGES
        compare.run(
            [BY_NAME[name] for name in names],
            self.known,
            self.lm.vocabulary,
            smollm2_folder(),
            python,
            rows,
            folder=folder / "draws",
            draws=draws,
            seconds=seconds,
            seed=seed,
            clock=self.clock,
            tell=self.tell,
        )
        return figures.tables(names, rows.known)

    def patterns(self) -> list[Table]:
        """Regular expressions and sets of words."""
        args, size = self.args, self.size
        lines = args.patterns.read_text(encoding="utf-8").splitlines() if args.patterns else []
        given = patterns.problems(
            lines,
            size.patterns if args.limit is None else args.limit,
            size.families if args.families is None else args.families,
        )
        rows = Rows(args.out / "patterns.jsonl", {**asdict(size.effort), "seed": args.seed})
        patterns.run(
            given, args.methods, self.lm, rows, effort=size.effort, seed=args.seed, clock=self.clock, tell=self.tell
        )
        return hard_report.pattern_tables(given, rows.known)

    def schemas(self) -> list[Table]:
        """JSON schemas."""
        args, size = self.args, self.size
        effort = replace(size.effort, seconds=3 * size.effort.seconds)
        rows = Rows(args.out / "schemas.jsonl", {**asdict(effort), "seed": args.seed})
        chosen = schemas.chosen(size.schemas if args.limit is None else args.limit)
        schemas.run(
            chosen,
            args.methods,
            self.lm,
            rows,
            effort=effort,
            long_run=size.long_run,
            deepest=1,
            seed=args.seed,
            clock=self.clock,
            tell=self.tell,
        )
        return hard_report.schema_tables(chosen, rows.known)

    def words(self) -> list[Table]:
        """Sets of words by `force_words`, and by beam search."""
        steps, seed = self.args.steps, self.args.seed
        rows = Rows(self.args.out / "words.jsonl", {"chains": words.CHAINS, "steps": steps, "seed": seed})
        words.run(steps, seed, self.lm, rows, clock=self.clock, tell=self.tell)
        return [words.table(rows.known)] if rows.known else []

    def powers(self) -> list[Table]:
        """p^4."""
        own, size, seed = self.found.setdefault("powers", {}), self.size, self.args.seed
        own["toys"] = powers.toys(
            self.lm, chains=size.chains, steps=size.steps, populations=size.populations, seed=seed, tell=self.tell
        )
        self.save()
        own["every text"] = every_text.records(chains=size.chains, steps=4 * size.steps, seed=seed, tell=self.tell)
        self.save()
        own["text"] = long_text.records(
            self.lm, longest=size.text, chains=8, budget=size.text_tokens, seed=seed, tell=self.tell
        )
        self.save()
        return report.powers_tables(own)

    def known(self, name: str) -> Truth:
        """A language as it was read before, if it was."""
        language, folder = BY_NAME[name], self.args.out / "tables"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.pickle"
        if path.exists():
            found: Truth = pickle.loads(path.read_bytes())
            if found.strings == language.strings and found.prompt == self.lm.ask(language.request):
                return found
        found = Truth.of(language, self.lm)
        path.write_bytes(pickle.dumps(found))
        return found

    def save(self) -> None:
        """Write the figures."""
        self._written.write_text(json.dumps(self.found, ensure_ascii=False, indent=1), encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
