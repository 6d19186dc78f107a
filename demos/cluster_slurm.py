"""Correct the sentences of a file on a Slurm cluster: workers are jobs of Slurm, and come and go.

    python -m demos.cluster_slurm sentences.txt answers.jsonl --jobs 20 --partition short

Needs `pip install 'textsearch-sampling[dask,default-models,tasks]' dask-jobqueue` in an environment that all nodes
see. Run it where it may run for long (a login node's tmux, or a job of its own). A job is one worker with `--cores`
cores, all of which torch uses; with `--gpus 1` it has a GPU of its own. Jobs that are preempted are submitted again,
and their blocks run on another worker.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from joblib import parallel_config

from textsearch.tasks import correct, stream


def sentences(file: Path) -> Iterator[str]:
    """The lines that hold something."""
    with file.open(encoding="utf-8") as lines:
        yield from (line.strip() for line in lines if line.strip())


def slurm(jobs: int, partition: str, hours: int, cores: int, memory: str, gpus: int, cache: str) -> Any:
    """A cluster that keeps so many jobs alive."""
    from dask_jobqueue import SLURMCluster

    cluster = SLURMCluster(
        queue=partition,
        walltime=f"{hours:02d}:00:00",
        # for dask a worker has one thread, so that it runs one block at a time
        cores=1,
        processes=1,
        job_cpu=cores,
        memory=memory,
        job_extra_directives=[f"--gpus={gpus}"] if gpus else [],
        # models are fetched once, into a folder that all nodes see; torch takes the cores of the job
        job_script_prologue=[f"export OMP_NUM_THREADS={cores}", f"export TEXTSEARCH_CACHE={cache}"],
        # a worker ends before its job does, and tells the scheduler so
        worker_extra_args=["--lifetime", f"{hours * 60 - 5}m", "--lifetime-stagger", "4m"],
    )
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--partition", default="short")
    parser.add_argument("--hours", type=int, default=4)
    parser.add_argument("--cores", type=int, default=4)
    parser.add_argument("--memory", default="8GB")
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--cache", default=str(Path.home() / ".cache" / "textsearch"))
    args = parser.parse_args()
    from dask.distributed import Client

    cluster = slurm(args.jobs, args.partition, args.hours, args.cores, args.memory, args.gpus, args.cache)
    with cluster, Client(cluster) as client, args.answers.open("a+", encoding="utf-8") as answers:
        answers.seek(0)
        done = sum(1 for _ in answers)  # what an earlier run has answered
        client.wait_for_workers(min(2, args.jobs))
        with parallel_config(backend="dask"):
            for record in stream(correct, sentences(args.sentences), workers=args.jobs, done=done, seed=0):
                if record.get("interrupted"):  # Ctrl-C: what is written is whole, and gone on with
                    break
                answers.write(json.dumps(record, ensure_ascii=False) + "\n")
                answers.flush()


if __name__ == "__main__":
    main()
