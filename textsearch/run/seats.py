"""What a worker process settles when it begins: threads, an accelerator, and that it does not outlive its parent."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_EVERY = 1.0  # seconds between two looks for the parent
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_DONE: list[Any] = []


def threads_of(workers: int, cores: int, environment: Mapping[str, str]) -> int:
    """Threads of torch in each of some workers on one machine; OMP_NUM_THREADS may ask for fewer.

    >>> threads_of(2, 8, {}), threads_of(3, 8, {}), threads_of(9, 8, {}), threads_of(2, 8, {"OMP_NUM_THREADS": "1"})
    (4, 2, 1, 1)
    """
    asked = environment.get("OMP_NUM_THREADS", "")
    share = max(1, cores // workers)
    return min(share, int(asked)) if asked.isdecimal() and int(asked) else share


def device_of(seat: int, devices: Sequence[str]) -> str:
    """What CUDA_VISIBLE_DEVICES is to be in the worker of a number: one device each, in turn.

    >>> [device_of(seat, ["0", "2", "GPU-7a"]) for seat in range(4)]
    ['0', '2', 'GPU-7a', '0']
    """
    return devices[seat % len(devices)]


def devices_of(environment: Mapping[str, str], count: int) -> list[str]:
    """The devices that a process may use, out of `count` that it sees.

    >>> devices_of({}, 2), devices_of({"CUDA_VISIBLE_DEVICES": "3,5"}, 2), devices_of({"CUDA_VISIBLE_DEVICES": ""}, 0)
    (['0', '1'], ['3', '5'], [])
    """
    named = environment.get("CUDA_VISIBLE_DEVICES")
    return [str(number) for number in range(count)] if named is None else [one for one in named.split(",") if one]


def seat_in(folder: Path) -> tuple[int, Any]:
    """The first number that no other process has, and the lock that keeps it as long as the process lives."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        lock = FileLock(folder / f"{number}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            number += 1
        else:
            return number, lock


def settle(threads: int | None, parent: int | None) -> None:
    """Make a worker ready; what is done once a process is not done again.

    Args:
        threads: of torch; None leaves them as they are.
        parent: the process that started it and that it is to end with; None if there is no such.
    """
    if threads is not None:
        _take_threads(threads)
    if _DONE:
        return
    _DONE.append(True)
    _take_device()
    if parent is not None:
        _keep_memory()
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _take_threads(threads: int) -> None:
    # torch takes its time to load, and not every function needs it
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def _take_device() -> None:
    """Of several accelerators, keep one for this process alone."""
    if os.name == "posix" and not any(Path(name).exists() for name in _DRIVERS):
        return
    import torch

    devices = devices_of(os.environ, torch.cuda.device_count())
    if len(devices) > 1 and not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        seat, lock = seat_in(Path(tempfile.gettempdir()) / f"textsearch-seats-{_user()}")
        _DONE.append(lock)
        os.environ["CUDA_VISIBLE_DEVICES"] = device_of(seat, devices)


def _end_with(parent: int) -> None:
    """End the process when its parent is gone: a worker of a killed run would use up memory that the next one needs."""
    while os.getppid() == parent:
        time.sleep(_EVERY)
    os._exit(1)


def _keep_memory() -> None:
    """Models remember what they read, within a bound of their own: loky would take that for a leak and start anew."""
    from joblib.externals.loky import process_executor

    process_executor._MAX_MEMORY_LEAK_SIZE = float("inf")


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
