"""Correct the sentences of a file on a dask cluster of this machine.

    python -m demos.cluster_local sentences.txt answers.jsonl --workers 2

Needs `pip install 'textsearch-sampling[dask,default-models,tasks]'`. One record a line, in the order of the sentences;
the file of sentences is read as it goes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from joblib import parallel_config

from textsearch.tasks import correct, stream


def sentences(file: Path) -> Iterator[str]:
    """The lines that hold something."""
    with file.open(encoding="utf-8") as lines:
        yield from (line.strip() for line in lines if line.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--causal", help="a hub id or folder; by default the default model")
    parser.add_argument("--masked", help="the same of the masked model")
    args = parser.parse_args()
    from dask.distributed import Client, LocalCluster

    # one thread of dask each: a worker runs one block at a time, and torch has the thread for itself
    with (
        LocalCluster(n_workers=args.workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        parallel_config(backend="dask"),
        args.answers.open("w", encoding="utf-8") as answers,
    ):
        settings = {"steps": args.steps, "causal": args.causal, "masked": args.masked}
        for record in stream(correct, sentences(args.sentences), workers=args.workers, seed=0, **settings):
            if record.get("interrupted"):  # Ctrl-C: what is written is whole
                break
            answers.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
