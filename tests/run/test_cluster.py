"""The same blocks on clusters: local ones of dask and ray, whose workers die. `make cluster` has what they need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from joblib import parallel_config

from tests.models.tiny import Tiny, tiny
from tests.run.crowds import MANY, few_b
from tests.run.light import Squares
from textsearch.run.workers import LOST, Answered, Failed, spread
from textsearch.tasks import infill, stream

pytestmark = pytest.mark.cluster

__all__ = ["tiny"]


@contextmanager
def dask_cluster(workers: int = 2) -> Iterator[None]:
    distributed = pytest.importorskip("dask.distributed")
    import dask

    with (
        # so many more workers may a task kill before dask gives it up: by default 3
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        parallel_config(backend="dask"),
    ):
        yield


@contextmanager
def ray_cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.util.joblib").register_ray()
    root = str(Path(__file__).parents[2])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": root}})
    try:
        with parallel_config(backend="ray"):
            yield
    finally:
        ray.shutdown()


@pytest.fixture(params=["dask", "ray"], scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[None]:
    # a configuration of joblib is the thread's own, and outlives the fixture's set-up
    with {"dask": dask_cluster, "ray": ray_cluster}[request.param]():
        yield


def answers(function: Squares, size: int, count: int = 24) -> list[tuple[int, Any]]:
    """Each number with what it got."""
    got: list[tuple[int, Any]] = []
    for block, outcome in spread(function, [range(n, n + size) for n in range(0, count, size)], workers=2):
        assert isinstance(outcome, Answered | Failed)
        values = outcome.value if isinstance(outcome, Answered) else [outcome.error] * len(block)
        got += zip(block, values, strict=True)
    return got


@pytest.mark.parametrize("batch_inputs", [1, 5])
def test_a_cluster_gives_the_answers_of_one_process(cluster: None, batch_inputs: int) -> None:
    inputs = [*MANY[:9], "x", *MANY[9:20]]
    whole = list(stream(few_b, inputs, seed=3, steps=20))
    assert list(stream(few_b, inputs, seed=3, steps=20, batch_inputs=batch_inputs, workers=2)) == whole


def test_models_reach_a_cluster(cluster: None, tiny: Tiny) -> None:
    texts = [f"The {word} dog [MASK] on the mat." for word in ("old", "red", "big", "hot", "cold")]
    settings: dict[str, Any] = {"causal": tiny.causal(), "masked": tiny.masked(), "chains": 2, "steps": 10}
    whole = list(stream(infill, texts, seed=1, **settings))
    assert all("texts" in record for record in whole)
    assert list(stream(infill, texts, seed=1, batch_inputs=2, workers=2, **settings)) == whole


def test_a_worker_of_a_cluster_is_killed_once(cluster: None, tmp_path: Path) -> None:
    got = answers(Squares(deadly=frozenset({13}), once=str(tmp_path / "killed")), size=2)
    assert (tmp_path / "killed").exists()
    assert got == [(n, n * n) for n in range(24)]


@pytest.mark.parametrize("size", [1, 4])
def test_what_kills_every_worker_of_a_cluster(cluster: None, size: int) -> None:
    got = answers(Squares(deadly=frozenset({6})), size)
    assert got == [(n, LOST if n == 6 else n * n) for n in range(24)]


def test_a_cluster_of_one_worker_runs_nothing_here() -> None:
    """While its worker starts again it has none: a block that kills must not come to the process that sends it."""
    with dask_cluster(workers=1):
        got = answers(Squares(deadly=frozenset({2})), size=2, count=6)
    assert got == [(n, LOST if n == 2 else n * n) for n in range(6)]
