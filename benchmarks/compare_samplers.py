"""All samplers side by side, on real models, at equal budgets of model passes: one command, three tables, one figure.

    python -m benchmarks.compare_samplers --sentences heldout.txt --keywords commongen.dev.jsonl --out results

1. All 216 fills of a template with three gaps: total variation distance to the exact law against model passes.
2. Infilling after the DISCS protocol, on sentences of a file, one a line.
3. Sentences from keywords, on lines {"concepts": [...], "references": [...]}.

A model pass is one text read by one model: the masked one that proposes, or the causal one that judges. Brackets are
95 % intervals by the bootstrap. Writes `compare_samplers.json` (with every text) and `compare_samplers.png` after each
part, and keeps the parts that are there and not asked for: a part whose file is not given is left out.

Of `--size medium` the first part took 22 minutes on one thread of a busy machine and the second 44; of `quick` the
third took 12. `full` is the published protocol, 20 sentences x 25 chains, and was not timed: expect most of a day on a
CPU.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import infilling, keyword_samplers, total_variation
from benchmarks.enumerated import START, WORDS, Space
from benchmarks.figure import draw
from benchmarks.intervals import shown
from textsearch.models import causal_lm, masked_lm, text_autoencoder

BUDGETS = (30, 100, 300, 1000)
"""Passes a chain at which distances are told."""


def distances(part: dict[str, Any]) -> Table:
    """Total variation at the budgets, and what it took to reach the goal."""
    found, noise, speeds = part["samplers"], part["noise"], part["rows_per_second"]
    table = Table(
        title="total variation to the exact law",
        caption=f"+- standard error; {part['chains']} exact draws are {noise:.4f} away by chance; texts read a second: "
        f"masked {speeds['masked']:.0f}, causal {speeds['causal']:.0f}",
        caption_justify="left",
    )
    for name in ("sampler", "guarantee", *(f"{rows} passes" for rows in BUDGETS)):
        table.add_column(name)
    for name in (f"steps to {total_variation.GOAL}", "passes", "seconds a chain", "gain a pass"):
        table.add_column(name, justify="right")
    single = found.get(total_variation.SINGLE, {}).get("rows_to_goal")
    order = sorted(found, key=lambda name: found[name]["rows_to_goal"] or float("inf"))
    for name in order:
        entry = found[name]
        points = [total_variation.Point(**point) for point in entry["points"]]
        cells = []
        for rows in BUDGETS:
            point = total_variation.at_budget(points, rows)
            cells.append(f"{point.distance:.3f} +- {point.error:.3f}" if point else "")
        met = entry["rows_to_goal"]
        gain = f"{single / met:.2f}" if met and single else ""
        ends = [str(entry["steps_to_goal"]), f"{met:.0f}", f"{entry['seconds_to_goal']:.1f}"] if met else ["", "", ""]
        table.add_row(name, entry["guarantee"], *cells, *ends, gain)
    return table


def figures(title: str, found: dict[str, dict[str, Any]]) -> Table:
    """One row a sampler, one column a figure."""
    table = Table(title=title)
    table.add_column("sampler")
    table.add_column("guarantee")
    table.add_column("steps", justify="right")
    names = list(next(iter(found.values()))["figures"])
    for name in names:
        table.add_column(name)
    table.add_column("seconds", justify="right")
    for name, entry in found.items():
        cells = [
            shown(entry["figures"][one], 2 if one in ("coverage", "nats/token") or "-grams" in one else 1)
            for one in names
        ]
        table.add_row(name, entry["guarantee"], str(entry["steps"]), *cells, f"{entry['seconds']:.0f}")
    return table


@dataclass(frozen=True)
class Size:
    """How much is run: chains and passes of each part, sentences and keyword sets."""

    enumerated_chains: int
    enumerated_passes: float
    sentences: int
    infilling_chains: int
    infilling_passes: float
    sets: int
    keyword_chains: int
    keyword_passes: float


SIZES = {
    "quick": Size(6_400, 300, 4, 6, 30, 4, 4, 60),
    "medium": Size(40_000, 6_000, 8, 8, 60, 8, 4, 60),
    "full": Size(200_000, 20_000, 20, 25, 100, 50, 8, 600),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=Path, help="a sentence a line; for infilling")
    parser.add_argument("--keywords", type=Path, help="JSON lines; for sentences from keywords")
    parser.add_argument("--skip-enumerated", action="store_true", help="leave out the first part")
    parser.add_argument("--words", nargs="+", default=WORDS, help="what may stand in the gaps of the first part")
    parser.add_argument("--start", default=START, help="the sentence of such words that all its chains start from")
    parser.add_argument("--only", nargs="+", default=[], help="samplers of the first part, by parts of their names")
    parser.add_argument("--autoencoder", type=Path, help="one in place of the masked model, for the first part alone")
    parser.add_argument(
        "--own-energy", action="store_true", help="the first part's energy is the pseudo-likelihood under --autoencoder"
    )
    parser.add_argument("--passes", type=float, help="budget of a chain of the first part; by default the size's")
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    for path in (args.sentences, args.keywords):
        if path and not path.is_file():
            parser.error(f"{path} is no file")
    if args.autoencoder and (args.sentences or args.keywords):
        parser.error("--autoencoder is for the first part: leave --sentences and --keywords out")
    if args.own_energy and not args.autoencoder:
        parser.error("--own-energy is the pseudo-likelihood under an autoencoder: name one")
    if args.threads:
        torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    written = args.out / "compare_samplers.json"
    found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
    console, progress = Console(width=200), Console(stderr=True)
    size, masked, causal = SIZES[args.size], masked_lm(), causal_lm()
    proposing = text_autoencoder(args.autoencoder) if args.autoencoder else masked

    def save() -> None:
        written.write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
        draw(found).savefig(args.out / "compare_samplers.png", dpi=160)

    if not args.skip_enumerated:
        found["enumerated"] = total_variation.records(
            Space.of(proposing, causal, words=args.words, start=args.start, own_energy=args.own_energy),
            chains=size.enumerated_chains,
            max_rows=args.passes or size.enumerated_passes,
            seed=args.seed,
            only=args.only,
            tell=progress.print,
        )
        console.print(distances(found["enumerated"]))
        save()
    if args.sentences:
        found["infilling"] = infilling.records(
            infilling.Task.of(args.sentences, masked, size.sentences, args.seed),
            masked,
            causal,
            chains=size.infilling_chains,
            rows=size.infilling_passes,
            seed=args.seed,
            tell=progress.print,
        )
        console.print(figures("infilling, five best fills of each sentence", found["infilling"]))
        save()
    if args.keywords:
        found["keywords"] = keyword_samplers.records(
            args.keywords,
            sets=size.sets,
            chains=size.keyword_chains,
            rows=size.keyword_passes,
            seed=args.seed,
            tell=progress.print,
        )
        console.print(figures("sentences from keywords, the best of each set", found["keywords"]))
        save()


if __name__ == "__main__":
    main()
