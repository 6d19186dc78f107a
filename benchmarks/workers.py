"""Workers against one process: throughput on keyword sentences, overhead a block, memory of the coordinator.

    python -m benchmarks.workers --part throughput --workers 2
    python -m benchmarks.workers --part overhead --inputs 100000

`throughput` runs the same sets of keywords in this process and on workers, in turns, one thread of torch each, with the
default models loaded everywhere beforehand; told is the median ratio over the turns, with the lowest and the highest.
The answers of both are compared, and the run fails where they differ. The machine should be idle.

`overhead` sends inputs of a function that does nothing through workers, a thousand first: seconds a block of the later
ones, and the memory that the coordinator takes for each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import torch

from benchmarks.measuring import Memory
from textsearch.run.workers import spread
from textsearch.tasks import keywords, stream

SETS = [
    ["dog", "frisbee", "park"],
    ["girl", "bike", "street"],
    ["boat", "river", "morning"],
    ["man", "guitar", "stage"],
    ["snow", "mountain", "ski"],
    ["cook", "kitchen", "soup"],
    ["train", "station", "wait"],
    ["horse", "field", "run"],
]


@final
@dataclass(frozen=True)
class Throughput:
    """What was measured.

    Attributes:
        workers: at a time.
        inputs: of one turn.
        alone: seconds of each turn in one process.
        spread: the same on workers.
        ratios: of the turns, one process over workers.
    """

    workers: int
    inputs: int
    alone: list[float]
    spread: list[float]
    ratios: list[float]


def throughput(workers: int, turns: int, sets: int, batch_inputs: int, **settings: Any) -> Throughput:
    """One process and workers in turns, each with a seed of its own."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    settings["batch_inputs"] = batch_inputs
    given = [SETS[number % len(SETS)] for number in range(sets)]

    def run(
        count: int | None, inputs: Sequence[list[str]], turn: int, **more: Any
    ) -> tuple[float, list[dict[str, Any]]]:
        began = time.perf_counter()
        records = list(stream(keywords, inputs, seed=turn, workers=count, **{**settings, **more}))
        return time.perf_counter() - began, records

    for count in (None, workers):
        # more blocks than the first worker that is there can answer before the others have loaded theirs
        seconds, _ = run(
            count, SETS[:1] if count is None else SETS * workers, 0, steps=0, chains=1, drafts=1, batch_inputs=1
        )
        print(f"models loaded in {'one process' if count is None else 'workers'}: {seconds:.1f} s", flush=True)
    alone, spread_out = [], []
    for turn in range(1, turns + 1):
        seconds, wanted = run(None, given, turn)
        alone.append(seconds)
        seconds, found = run(workers, given, turn)
        spread_out.append(seconds)
        if found != wanted:
            raise RuntimeError("the answers of workers are not those of one process")
        print(f"turn {turn}: {alone[-1]:.1f} s in one process, {seconds:.1f} s on {workers} workers", flush=True)
    ratios = [one / other for one, other in zip(alone, spread_out, strict=True)]
    return Throughput(workers, sets, alone, spread_out, ratios)


@final
@dataclass(frozen=True)
class Overhead:
    """What was measured.

    Attributes:
        inputs: of the long run.
        blocks: that they came in.
        milliseconds: a block takes on its way and back.
        megabytes: that the coordinator took at most for a thousand inputs, and then for all the others.
    """

    inputs: int
    blocks: int
    milliseconds: float
    megabytes: tuple[float, float]


def nothing(inputs: Sequence[int]) -> list[int]:
    """As many answers as inputs."""
    return list(inputs)


def overhead(workers: int, inputs: int, batch_inputs: int) -> Overhead:
    """A thousand inputs, then many, none of which is kept."""
    memory = Memory("cpu").start()
    _through(1000, workers, batch_inputs)
    few = memory.most() / 2**20
    memory.start()
    seconds = _through(inputs, workers, batch_inputs)
    blocks = -(-inputs // batch_inputs)
    return Overhead(inputs, blocks, 1000 * seconds / blocks, (few, memory.most() / 2**20))


def _through(inputs: int, workers: int, batch_inputs: int) -> float:
    def blocks() -> Iterator[list[int]]:
        for first in range(0, inputs, batch_inputs):
            yield list(range(first, min(first + batch_inputs, inputs)))

    began, seen = time.perf_counter(), 0
    for block, _ in spread(nothing, blocks(), workers=workers):
        seen += len(block)
    if seen != inputs:
        raise RuntimeError(f"{seen} of {inputs} inputs came back")
    return time.perf_counter() - began


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("throughput", "overhead"), default="throughput")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--sets", type=int, default=16)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--drafts", type=int, default=8)
    parser.add_argument("--batch-inputs", type=int, default=2)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="a file of JSON")
    args = parser.parse_args()
    found: Throughput | Overhead
    if args.part == "throughput":
        settings = {"steps": args.steps, "chains": args.chains, "drafts": args.drafts}
        found = throughput(args.workers, args.turns, args.sets, args.batch_inputs, **settings)
        print(
            f"{found.workers} workers: {statistics.median(found.ratios):.2f} x one process "
            f"({min(found.ratios):.2f} to {max(found.ratios):.2f}), {found.inputs} sets of keywords a turn; seconds "
            f"{[round(one, 1) for one in found.alone]} and {[round(one, 1) for one in found.spread]}"
        )
    else:
        found = overhead(args.workers, args.inputs, args.batch_inputs)
        print(
            f"{found.inputs:,} inputs in {found.blocks:,} blocks: {found.milliseconds:.2f} ms a block; coordinator "
            f"{found.megabytes[0]:.1f} MB more for 1,000 inputs, then {found.megabytes[1]:.1f} MB more for them"
        )
    if args.out:
        args.out.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
