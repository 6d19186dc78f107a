"""Text that must parse, drawn from a language model: every sampler against the exact law of finite languages.

    python -m benchmarks.grammars --out results
    python -m benchmarks.grammars --part patterns --patterns regex_patterns.txt --out results

1. truth: finite languages, all of whose strings are scored. Total variation and KL of each method against tokens, on
   tables of the real model.
2. patterns: regular expressions of a file, one a line, and sentences that hold all words of a set.
3. schemas: JSON schemas of growing depth.
4. powers: p^4, where it is known, on finite languages and over all texts of a toy, and on a long text.

Writes `grammars.json` after each language and `grammars.png`, and keeps what is there and not asked for. Tables of the
languages are kept in the folder `tables`. Patterns and schemas have a line each and method in `patterns.jsonl` and
`schemas.jsonl`, written at once: the same command goes on where it was broken off, and `--minutes` breaks it off. All
run on one thread.
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

from benchmarks.grammars import every_text, hard_report, infinite, patterns, powers, report, schemas, truth
from benchmarks.grammars.figure import draw
from benchmarks.grammars.infinite import Effort
from benchmarks.grammars.languages import LANGUAGES, Language
from benchmarks.grammars.rows import Clock, Rows
from benchmarks.grammars.tables import Truth
from textsearch.models import causal_lm
from textsearch.models.causal import TransformersCausalLM

PARTS = ("truth", "patterns", "schemas", "powers")


@dataclass(frozen=True)
class Size:
    """How much is run.

    Attributes:
        languages: names; empty for all.
        chains: on tables.
        steps: of each.
        populations: of weighted draws.
        patterns: lines of the file, evenly spread; 0 for all.
        families: sets of words.
        schemas: evenly spread; 0 for all.
        effort: of a method on a pattern, a set of words or a schema.
        long_run: draws of the runs that field marginals are compared with.
        text: tokens of the long text.
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


SIZES = {
    "quick": Size(("cities", "dates", "sums"), 1_000, 24, 16, 0, 10, 0, Effort(4, 2, 6, 20.0), 40, 32),
    "full": Size((), 10_000, 100, 40, 0, 10, 0, Effort(40, 32, 40, 600.0), 400, 128),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--languages", nargs="+", help="of the first part; by default the size's")
    parser.add_argument("--patterns", type=Path, help="a regular expression a line")
    parser.add_argument("--families", type=int, help="sets of words; by default the size's")
    parser.add_argument("--limit", type=int, help="patterns, or schemas, evenly spread; by default the size's")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=infinite.METHODS,
        default=tuple(infinite.METHODS),
        help="of patterns and schemas",
    )
    parser.add_argument("--minutes", type=float, help="begin no pattern or schema after so long; run again to go on")
    parser.add_argument("--again", action="store_true", help="run languages again that are in the results already")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.patterns and not args.patterns.is_file():
        parser.error(f"{args.patterns} is no file")
    known = [language.name for language in LANGUAGES]
    if strange := [name for name in args.languages or () if name not in known]:
        parser.error(f"{strange[0]!r} is none of {', '.join(known)}")
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    written = args.out / "grammars.json"
    found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
    console, progress = Console(width=180), Console(stderr=True)
    size, lm = SIZES[args.size], causal_lm()
    found["machine"] = {"cores": torch.multiprocessing.cpu_count(), "torch": torch.__version__, "cpu": _processor()}

    def save() -> None:
        written.write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")

    if "truth" in args.part:
        own = found.setdefault("truth", {})
        chosen = args.languages or size.languages or known
        for language in LANGUAGES:
            if language.name not in chosen:
                continue
            one = _known(language, lm, args.out / "tables")
            if language.name not in own or args.again:
                own[language.name] = truth.records(
                    one,
                    chains=size.chains,
                    steps=size.steps,
                    populations=size.populations,
                    power=1.0,
                    seed=args.seed,
                    tell=progress.print,
                )
                save()
            draw(own).savefig(args.out / "grammars.png", dpi=130)
        for table in report.truth_tables(own):
            console.print(table)
    clock = Clock(None if args.minutes is None else 60 * args.minutes)
    setup = {**asdict(size.effort), "seed": args.seed}
    if "patterns" in args.part:
        rows = Rows(args.out / "patterns.jsonl", setup)
        lines = args.patterns.read_text(encoding="utf-8").splitlines() if args.patterns else []
        families = size.families if args.families is None else args.families
        given = patterns.problems(lines, size.patterns if args.limit is None else args.limit, families)
        patterns.run(
            given, args.methods, lm, rows, effort=size.effort, seed=args.seed, clock=clock, tell=progress.print
        )
        for table in hard_report.pattern_tables(given, rows.known):
            console.print(table)
    if "schemas" in args.part:
        effort = replace(size.effort, seconds=3 * size.effort.seconds)
        rows = Rows(args.out / "schemas.jsonl", {**asdict(effort), "seed": args.seed})
        chosen_schemas = schemas.chosen(size.schemas if args.limit is None else args.limit)
        schemas.run(
            chosen_schemas,
            args.methods,
            lm,
            rows,
            effort=effort,
            long_run=size.long_run,
            deepest=1,
            seed=args.seed,
            clock=clock,
            tell=progress.print,
        )
        for table in hard_report.schema_tables(chosen_schemas, rows.known):
            console.print(table)
    if "powers" in args.part:
        own = found.setdefault("powers", {})
        own["toys"] = powers.toys(
            lm, chains=size.chains, steps=size.steps, populations=size.populations, seed=args.seed, tell=progress.print
        )
        save()
        own["every text"] = every_text.records(
            chains=size.chains, steps=4 * size.steps, seed=args.seed, tell=progress.print
        )
        save()
        own["text"] = powers.long_text(lm, tokens=size.text, chains=2, steps=3, seed=args.seed, tell=progress.print)
        save()
        for table in report.powers_tables(own):
            console.print(table)


def _known(language: Language, lm: TransformersCausalLM, folder: Path) -> Truth:
    """The language as it was read before, if it was."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{language.name}.pickle"
    if path.exists():
        found: Truth = pickle.loads(path.read_bytes())
        if found.strings == language.strings and found.prompt == lm.ask(language.request):
            return found
    found = Truth.of(language, lm)
    path.write_bytes(pickle.dumps(found))
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
