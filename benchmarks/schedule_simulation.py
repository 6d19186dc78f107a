"""What many inputs on many workers cost: messages, bytes, files, time; by arithmetic, and by simulating the scheduler.

    python -m benchmarks.schedule_simulation --inputs 1e8 --workers 1000

The simulation has the waves of `textsearch.run.workers`: two blocks for each worker, the next wave behind the one that
runs, and a third only when the first is answered as a whole. An input takes a lognormal time, and an input of a block
that is lost starts anew. Workers fail at exponential times, lose the block that they run, and are back after a while.
What is told is the share of the workers' time that goes into answers, of which idle time is lost to waves that wait for
their last block, and failures take the rest. Blocks of a wave that do not overlap with the next one, as ray has them,
are twice as many a wave. The sizes of messages are those of real blocks, pickled.
"""

from __future__ import annotations

import argparse
import heapq
import math
import pickle
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from rich.console import Console
from rich.table import Table

from textsearch.run.workers import BLOCKS

SENTENCE = "She go to school yesterday becouse she have a exam, and her freind was waiting at the gate."
ENVELOPE = 2_000
"""Bytes of the task with its settings and the recipes of its models, and of joblib's own, that go with each block."""

SYNC = 0.005
"""Seconds that an fsync takes."""


@final
@dataclass(frozen=True)
class Cluster:
    """What is simulated.

    Attributes:
        workers: that run one block each.
        seconds: that an input takes, on average.
        spread: standard deviation of the logarithm of that time.
        between_failures: seconds, of one worker, on average.
        restart: seconds until it is back, its models loaded.
    """

    workers: int
    seconds: float
    spread: float
    between_failures: float
    restart: float


@final
@dataclass(frozen=True)
class Spent:
    """Seconds of all workers together.

    Attributes:
        answers: that went into answers.
        failures: into blocks that were lost, and restarts.
        idle: into waiting.
    """

    answers: float
    failures: float
    idle: float

    def share(self, part: float) -> float:
        """Of all the time."""
        return part / (self.answers + self.failures + self.idle)


def simulated(cluster: Cluster, batch_inputs: int, waves: int, seed: int, overlap: bool = True) -> Spent:
    """So many waves of the scheduler.

    >>> still = Cluster(workers=4, seconds=1.0, spread=0.0, between_failures=math.inf, restart=0.0)
    >>> simulated(still, batch_inputs=2, waves=3, seed=0)
    Spent(answers=48.0, failures=0.0, idle=0.0)
    """
    rng = random.Random(seed)
    size = cluster.workers * BLOCKS * (1 if overlap else 2)
    free = [(0.0, number) for number in range(cluster.workers)]
    heapq.heapify(free)
    fails = [_failure(cluster, rng, 0.0) for _ in range(cluster.workers)]
    answers = failures = 0.0
    ends: list[float] = []
    for wave in range(waves):
        # a wave is sent when the one before the last is answered as a whole, without overlap the last
        sent = ends[wave - 1 - overlap] if wave > overlap else 0.0
        last = 0.0
        for _ in range(size):
            length = sum(_length(cluster, rng) for _ in range(batch_inputs))
            answers += length
            while True:
                since, worker = heapq.heappop(free)
                begin = max(since, sent)
                end = begin + length
                if fails[worker] >= end:
                    heapq.heappush(free, (end, worker))
                    last = max(last, end)
                    break
                back = max(fails[worker], begin) + cluster.restart
                failures += back - begin
                fails[worker] = _failure(cluster, rng, back)
                heapq.heappush(free, (back, worker))
        ends.append(max(last, ends[-1] if ends else 0.0))
    return Spent(answers, failures, max(0.0, ends[-1] * cluster.workers - answers - failures))


def _length(cluster: Cluster, rng: random.Random) -> float:
    """Seconds of one input, lognormal around its mean."""
    return (
        cluster.seconds * math.exp(rng.gauss(-(cluster.spread**2) / 2, cluster.spread))
        if cluster.spread
        else (cluster.seconds)
    )


def _failure(cluster: Cluster, rng: random.Random, now: float) -> float:
    """When a worker fails next."""
    return now + rng.expovariate(1 / cluster.between_failures) if cluster.between_failures < math.inf else math.inf


def sizes(batch_inputs: int) -> tuple[int, int]:
    """Bytes of a block on its way out, and of its answers on their way back."""
    sent = pickle.dumps([(number, SENTENCE, number) for number in range(batch_inputs)])
    record = {"texts": [{"text": SENTENCE, "energy": 101.25, "terms": {"likelihood": 90.5, "edits": 10.75}}] * 8}
    return len(sent) + ENVELOPE, len(pickle.dumps([(number, record) for number in range(batch_inputs)])) + 500


def table(cluster: Cluster, inputs: float, batches: Sequence[int], waves: int, seed: int) -> Table:
    """One column for each size of a batch."""
    shown = Table(title=f"{inputs:,.0f} inputs of {cluster.seconds:g} s on {cluster.workers:,} workers")
    shown.add_column("inputs a block")
    columns = []
    for batch in batches:
        shown.add_column(str(batch), justify="right")
        spent = simulated(cluster, batch, waves, seed)
        apart = simulated(cluster, batch, waves // 2, seed, overlap=False)
        blocks = math.ceil(inputs / batch)
        seconds = inputs * cluster.seconds / cluster.workers / spent.share(spent.answers)
        out, back = sizes(batch)
        columns.append(
            {
                "messages": f"{2 * blocks:,}",
                "messages a second": f"{2 * blocks / seconds:,.1f}",
                "GB sent": f"{blocks * out / 1e9:,.1f}",
                "GB back": f"{blocks * back / 1e9:,.1f}",
                "fsync, share of the run": f"{blocks * SYNC / seconds:.1%}",
                "answers, share of the workers' time": f"{spent.share(spent.answers):.1%}",
                "failures": f"{spent.share(spent.failures):.2%}",
                "idle": f"{spent.share(spent.idle):.1%}",
                "idle if waves do not overlap": f"{apart.share(apart.idle):.1%}",
                "days": f"{seconds / 86_400:,.1f}",
            }
        )
    for name in columns[0]:
        shown.add_row(name, *(column[name] for column in columns))
    return shown


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=float, default=1e8)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0, help="an input, on one worker")
    parser.add_argument("--spread", type=float, default=0.5, help="standard deviation of the log of that")
    parser.add_argument("--between-failures", type=float, default=24.0, help="hours, of one worker")
    parser.add_argument("--restart", type=float, default=60.0, help="seconds until a worker is back")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--waves", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    cluster = Cluster(args.workers, args.seconds, args.spread, args.between_failures * 3600, args.restart)
    Console().print(table(cluster, args.inputs, args.batches, args.waves, args.seed))
    print("files: the answers and their settings, two for each coordinator, however many inputs or workers there are")


if __name__ == "__main__":
    main()
