"""Workers: the answers of one process, whoever gives them, and all that there are, whoever dies."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError

from tests.run.crowds import MANY, deadly, few_b, process
from tests.run.light import Broken, Squares
from textsearch.run.workers import BLOCKS, LOST, Answered, Failed, spread
from textsearch.tasks import stream


@pytest.mark.parametrize("batch_inputs", [3, 16])
def test_workers_give_the_answers_of_one_process(batch_inputs: int) -> None:
    inputs = [*MANY[:9], "x", *MANY[9:20], "cx"]
    whole = list(stream(few_b, inputs, seed=3, steps=20))
    assert list(stream(few_b, inputs, seed=3, steps=20, batch_inputs=batch_inputs, workers=2)) == whole
    later = stream(few_b, iter(inputs), seed=3, steps=20, batch_inputs=batch_inputs, workers=2, done=7)
    assert list(later) == whole[7:]


def test_it_is_other_processes_that_answer_with_their_share_of_the_threads() -> None:
    said = [str(record["error"]).split() for record in stream(process, MANY[:12], batch_inputs=1, workers=2)]
    assert os.getpid() not in {int(number) for number, _ in said}
    assert {threads for _, threads in said} == {"1"}


def test_functions_that_have_no_name_are_sent() -> None:
    extra = "b"

    def local(texts: Any, **settings: Any) -> Any:
        return few_b([text + extra for text in texts], **settings)

    assert list(stream(local, MANY[:4], workers=2)) == list(stream(local, MANY[:4]))


def test_what_cannot_be_sent_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the task or its settings cannot be sent .*generator.*leave workers= away"):
        list(stream(few_b, MANY[:4], workers=2, steps=(n for n in range(3))))
    with pytest.raises(TypeError, match="an input cannot be sent"):
        list(stream(few_b, [(n for n in range(3))], workers=2))
    with pytest.raises(ValueError, match="workers=0"):
        stream(few_b, MANY[:4], workers=0)


def test_inputs_that_break_down_are_answered_as_far_as_they_came() -> None:
    def torn() -> Iterator[str]:
        yield from MANY[:5]
        raise OSError("the line is dead")

    records = stream(few_b, torn(), batch_inputs=2, seed=1, workers=2)
    assert [next(records) for _ in range(5)] == list(stream(few_b, MANY[:5], seed=1))
    with pytest.raises(OSError, match="the line is dead"):
        next(records)


def test_two_waves_are_read_ahead_and_no_more() -> None:
    read: list[int] = []

    def endless() -> Iterator[list[int]]:
        while True:
            read.append(len(read))
            yield [read[-1]]

    answers = spread(Squares(), endless(), workers=2)
    found = [next(answers) for _ in range(50)]
    assert [(block, outcome) for block, outcome in found] == [([n], Answered([n * n])) for n in range(50)]
    assert len(read) <= 50 + 2 * 2 * BLOCKS
    answers.close()


def answers(function: Squares, blocks: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[tuple[int, int | str]]]:
    """The blocks as they came back, and each number with what it got."""
    got: list[tuple[int, int | str]] = []
    came = []
    for block, outcome in spread(function, blocks, workers=2):
        assert isinstance(outcome, Answered | Failed)
        values = outcome.value if isinstance(outcome, Answered) else [outcome.error] * len(block)
        got += zip(block, values, strict=True)
        came.append(list(block))
    return came, got


def test_a_worker_that_is_killed_once_costs_no_answer(tmp_path: Path) -> None:
    blocks = [[2 * n, 2 * n + 1] for n in range(20)]
    _, got = answers(Squares(deadly=frozenset({13}), once=str(tmp_path / "killed")), blocks)
    assert (tmp_path / "killed").exists()
    assert got == [(n, n * n) for n in range(40)]


@pytest.mark.parametrize("size", [1, 3])
def test_what_kills_every_worker_is_answered_with_that(size: int) -> None:
    blocks = [range(n, n + size) for n in range(0, 12, size)]
    _, got = answers(Squares(deadly=frozenset({4})), blocks)
    assert got == [(n, LOST if n == 4 else n * n) for n in range(12)]


def test_a_death_that_is_met_while_the_next_wave_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It depends on the moment, so it is brought about: the second wave cannot be sent."""
    send, sent = joblib.Parallel.__call__, itertools.count(1)

    def fails_once(self: Any, calls: Any) -> Any:
        if next(sent) == 2:
            raise TerminatedWorkerError("a worker is gone")
        return send(self, calls)

    monkeypatch.setattr(joblib.Parallel, "__call__", fails_once)
    blocks = [range(number, number + 1) for number in range(12)]
    assert answers(Squares(), blocks)[1] == [(number, number * number) for number in range(12)]
    assert next(sent) > 5


def test_workers_that_die_whatever_they_are_given_end_the_run() -> None:
    with pytest.raises(RuntimeError, match="workers die before they are given an input"):
        list(spread(Broken(), [[1]], workers=2))


@pytest.mark.reliability
@pytest.mark.parametrize("size", [1, 8])
def test_poison_among_many(size: int) -> None:
    """The same at any block size."""
    deadly = frozenset({5, 6})
    _, got = answers(Squares(deadly=deadly), [range(n, n + size) for n in range(0, 24, size)])
    assert got == [(n, LOST if n in deadly else n * n) for n in range(24)]


@pytest.mark.reliability
def test_poisoned_inputs_of_a_task() -> None:
    inputs = ["k" if number in (5, 17) else text for number, text in enumerate(MANY[:24])]
    records = list(stream(deadly, inputs, batch_inputs=4, seed=1, workers=2))
    assert [number for number, record in enumerate(records) if record.get("error") == LOST] == [5, 17]
    fine = [number for number, text in enumerate(inputs) if text != "k"]
    plain = list(stream(few_b, [inputs[number] for number in fine], seed=1, numbers=fine))
    assert [records[number].get("texts") for number in fine] == [record["texts"] for record in plain]


MEMORY = """
from tests.run.light import Squares
from tests.run.memory import forget_peak, peak
from textsearch.run.workers import spread

def after(inputs, kept):
    blocks = ([n, n + 1, n + 2, n + 3] for n in range(0, inputs, 4))
    found = []
    forget_peak()
    for pair in spread(Squares(), blocks, workers=2):
        found.append(pair)
        if not kept:
            found.clear()
    return peak()

if __name__ == "__main__":
    print(*(after(inputs, False) for inputs in (1_000, 100_000)), after(100_000, True))
"""


@pytest.mark.reliability
def test_memory_does_not_grow_with_the_inputs(tmp_path: Path) -> None:
    """Of the process that hands out; the control keeps what comes back."""
    (tmp_path / "memory.py").write_text(MEMORY)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "memory.py")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    few, many, kept = map(float, run.stdout.split())
    print(f"{few:.1f} MB after 1,000 inputs, {many:.1f} MB after 100,000, {kept:.1f} MB if all are kept")
    assert many - few < 8 < kept - few


def test_control_c_ends_the_workers_and_keeps_what_is_finished() -> None:
    """Behind an input that takes for ever; the numbers go on without a gap."""
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-m", "tests.run.light"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root), "SECONDS_TO_CTRL_C": "6"},
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert run.returncode == 0 and "Traceback" not in run.stderr, run.stderr
    lines = [line.split() for line in run.stdout.splitlines()]
    assert [int(number) for number, _ in lines] == list(range(len(lines)))
    assert [got for _, got in lines[:4]] == ["0", "1", "-", "9"]
    assert {got for _, got in lines[4:]} == {"-"}


def test_no_worker_outlives_a_killed_run() -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.run.light"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "SECONDS_TO_CTRL_C": "600"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None and run.stdout.readline() == "0 0\n"
    assert len(group := members(run.pid)) > 2
    run.kill()
    run.wait()
    ends = time.monotonic() + 30
    while members(run.pid) and time.monotonic() < ends:
        time.sleep(0.1)
    assert members(run.pid) == [], group


def members(group: int) -> list[int]:
    """The processes of a group that are no zombies."""
    psutil = pytest.importorskip("psutil")
    found = []
    for one in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(one.pid) == group and one.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(one.pid)
        except ProcessLookupError:
            continue
    return found
