"""The demos of clusters: one that runs here, and one whose Slurm is a pretence."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.models.tiny import Tiny, tiny

__all__ = ["tiny"]

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[1]
SBATCH = """#!{python}
import json, subprocess, sys
script = open(sys.argv[-1]).read()
open({log!r}, "a").write(json.dumps(script) + "\\n")
subprocess.Popen(["bash", "-c", script], stdout=open({log!r} + ".out", "a"), stderr=subprocess.STDOUT)
print("Submitted batch job 17")
"""


def test_slurm_is_asked_for_what_a_worker_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that the pretended `sbatch` starts here answer blocks."""
    distributed = pytest.importorskip("dask.distributed")
    pytest.importorskip("dask_jobqueue")
    cluster_slurm = import_module("demos.cluster_slurm")
    from joblib import parallel_config

    from tests.run.light import Squares
    from textsearch.run.workers import Answered, spread

    log = tmp_path / "jobs"
    for name, text in (("sbatch", SBATCH), ("scancel", "#!{python}\n")):
        program = tmp_path / name
        program.write_text(text.format(python=sys.executable, log=str(log)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    asked = (2, "short", 3, 4, "2GB", 1, str(tmp_path))
    with cluster_slurm.slurm(*asked) as cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        with parallel_config(backend="dask"):
            found = list(spread(Squares(), [[n] for n in range(20)], workers=2))
        client.shutdown()
    assert found == [([n], Answered([n * n])) for n in range(20)]
    script = json.loads(log.read_text().splitlines()[0])
    for line in ("#SBATCH -p short", "#SBATCH --cpus-per-task=4", "#SBATCH -t 03:00:00", "#SBATCH --gpus=1"):
        assert line in script, script
    assert "export OMP_NUM_THREADS=4" in script and "--nthreads 1 " in script and "--lifetime 175m" in script


def test_the_local_cluster_answers_a_file(tiny: Tiny, tmp_path: Path) -> None:
    pytest.importorskip("dask.distributed")
    (tmp_path / "in.txt").write_text("She go to school.\n\nHe have a dog.\nThey was here.\n", encoding="utf-8")
    assert list(import_module("demos.cluster_local").sentences(tmp_path / "in.txt"))[1] == "He have a dog."
    command: list[Any] = ["-m", "demos.cluster_local", tmp_path / "in.txt", tmp_path / "out.jsonl", "--steps", "3"]
    command += ["--causal", tiny.causal_path, "--masked", tiny.masked_path]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, timeout=200)
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["number"] for record in records] == [0, 1, 2]
    assert all(record["texts"] for record in records)
