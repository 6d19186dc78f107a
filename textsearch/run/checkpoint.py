"""A folder that holds a run: what it was told, its last two states, and what it recorded.

    run.json                   what was asked for, and the fingerprint of what runs
    start.safetensors          the texts it began with
    state-{0,1}.safetensors    the last two states, written in turn; each says how far the columns go
    record-*.bin, sample*      what was recorded: see `textsearch.run.segments`

A file is written under another name, brought to the disk, and renamed; each carries a checksum. So whatever stops the
process, or the machine, there is a whole state to go on from. One process holds the folder, by a lock. Nothing in it is
ever run as code: states are numbers, and the classes they go into are those of the sampler that goes on.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, final

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.files import DamagedError, replace_file, sealed, unsealed, writing
from textsearch.run.recorder import Stored
from textsearch.tree import Constant, flatten

FORMAT: Final = 1
"""Of the folder; another one cannot be read."""

_LOCK: Final = ".lock"
_TOLD, _CHECKSUM = "told", "checksum"


@final
@dataclass(frozen=True, eq=False)
class Saved:
    """A state as it was written.

    Attributes:
        steps: that had been taken.
        told: what else was told: `seconds`, `usage`.
        constants: path -> constant of the state.
        tensors: path -> tensor of the state.
        stored: what had been recorded.
    """

    steps: int
    told: Mapping[str, Any]
    constants: Mapping[str, Constant]
    tensors: Mapping[str, Tensor]
    stored: Stored


@final
class Checkpoint:
    """The folder of one run, held by this process; see `held`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._next = 0

    @property
    def _plan_path(self) -> Path:
        return self.folder / "run.json"

    def _state_path(self, slot: int) -> Path:
        return self.folder / f"state-{slot}.safetensors"

    @property
    def has_run(self) -> bool:
        """Whether a run has begun here.

        Raises:
            ValueError: the folder holds something else.
        """
        if self._plan_path.exists() or any(self._state_path(slot).exists() for slot in (0, 1)):
            return True
        # what a run had begun to write when it was killed
        begun = {_LOCK, ".run.json.new", "start.safetensors", ".start.safetensors.new"}
        strange = sorted(path.name for path in self.folder.iterdir() if path.name not in begun)
        if strange:
            raise ValueError(
                f"{self.folder} holds no run, but {strange[0]!r}: name a folder of its own for the checkpoints of a run"
            )
        return False

    def plan(self) -> dict[str, Any]:
        """What the run was told.

        Raises:
            DamagedError: that cannot be read any more.
        """
        plan = unsealed(self._plan_path)
        if plan.get("format") != FORMAT:
            raise DamagedError(
                f"{self._plan_path} is of format {plan.get('format')!r}, and this version of textsearch reads format "
                f"{FORMAT}: go on with the version that wrote it, {plan.get('textsearch')}"
            )
        return plan

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Keep what the run is told."""
        with writing(self.folder, "the run"):
            replace_file(self._plan_path, sealed({"format": FORMAT, **plan}))

    def write_start(self, batch: Batch) -> None:
        """Keep the texts that the run begins with."""
        _, tensors = flatten(batch)
        with writing(self.folder, "the run"):
            replace_file(self.folder / "start.safetensors", _packed({}, tensors))

    def start(self, vocabulary: Vocabulary) -> Batch:
        """The texts that the run began with.

        Raises:
            DamagedError: they cannot be read any more.
        """
        path = self.folder / "start.safetensors"
        _, tensors = _unpacked(path)
        try:
            return Batch(**tensors, vocabulary=vocabulary)
        except TypeError as error:
            raise DamagedError(f"{path} holds no texts: {error}") from error

    def save(self, steps: int, state: object, stored: Stored, told: Mapping[str, Any]) -> None:
        """Write a state in the place of the one before the last, after what it leans on has reached the disk."""
        constants, tensors = flatten(state)
        whole = {"steps": steps, "constants": constants, "stored": stored.told(), **told}
        with writing(self.folder, "a checkpoint"):
            for column in stored.every():
                column.sync()
            replace_file(self._state_path(self._next), _packed(whole, tensors))
        self._next = 1 - self._next

    def latest(self) -> Saved | None:
        """The newest state that is whole, with all it leans on; None before the first.

        Raises:
            DamagedError: there are states, and none is whole.
        """
        found: dict[int, Saved] = {}
        wrong: dict[int, DamagedError] = {}
        for slot in (0, 1):
            if self._state_path(slot).exists():
                try:
                    found[slot] = _read(self._state_path(slot))
                except DamagedError as error:
                    wrong[slot] = error
        for slot, saved in sorted(found.items(), key=lambda one: -one[1].steps):
            try:
                for column in saved.stored.every():
                    column.verify()
            except DamagedError as error:
                wrong[slot] = error
                continue
            lost = max(0, _steps_recorded(saved.stored) - saved.steps)
            told = f"{lost} steps at most are lost, and taken again" if lost else "no step is lost"
            for damage in wrong.values():
                warnings.warn(
                    f"{damage}. Going on from step {saved.steps} of {self._state_path(slot).name}: {told}",
                    RuntimeWarning,
                    stacklevel=2,
                )
            self._next = 1 - slot
            return saved
        if wrong:
            raise DamagedError(
                f"no state in {self.folder} can be gone on from: {'; '.join(str(error) for error in wrong.values())}. "
                "Bring the folder back from a copy, or delete it to start anew"
            )
        return None


@contextmanager
def held(folder: Path) -> Iterator[Checkpoint]:
    """The folder of a run, which no other process may hold meanwhile.

    Raises:
        BlockingIOError: another one does.
        OSError: it cannot be made or written to.
    """
    with writing(folder, "a checkpoint"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
        try:
            lock.acquire(timeout=0)
            taken = True
        except Timeout:
            taken = False
    if not taken:
        raise BlockingIOError(
            f"another process runs in {folder} at this moment: wait for it, or name another folder for this run"
        )
    try:
        yield Checkpoint(folder)
    finally:
        lock.release()


def _packed(told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """One file of both, with a checksum of all."""
    # parts of a state may be views of one tensor, which the format does not know
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(told)
    return bytes(save(plain, {_TOLD: text, _CHECKSUM: _checksum(text, plain)}))


def _unpacked(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What such a file tells, and its tensors."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        text = metadata[_TOLD]
        if metadata[_CHECKSUM] == _checksum(text, tensors):
            return json.loads(text), tensors
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is not there") from error
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, EOFError):
        pass
    raise DamagedError(f"{path} is damaged: it is not what was written there")


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    whole = blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        whole.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.numel():
            whole.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _read(path: Path) -> Saved:
    told, tensors = _unpacked(path)
    try:
        steps, constants, stored = told.pop("steps"), told.pop("constants"), told.pop("stored")
        return Saved(steps, told, constants, tensors, Stored.from_told(path.parent, stored))
    except KeyError as error:
        raise DamagedError(f"{path} is no state of a run: it does not tell {error}") from error


def _steps_recorded(stored: Stored) -> int:
    """Steps whose energies lie on the disk, committed or not."""
    energy = stored.columns.get("energy")
    try:
        return 0 if energy is None else energy.path.stat().st_size // max(energy.record_bytes, 1)
    except OSError:
        return 0
