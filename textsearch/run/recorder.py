"""What is kept of each step: in memory, or in a folder, where memory does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textsearch.files import DamagedError
from textsearch.run.segments import Column, StoredTexts
from textsearch.run.state import RunState
from textsearch.sampler import Info

_MOST: Final = 2**23  # bytes that wait in memory
_OVERHEAD: Final = 1000  # bytes of a step, whatever it records


@final
@dataclass(frozen=True, eq=False)
class Recorded:
    """What a run remembers of one step: (B,) energies, (B, J) terms, (B,) lengths, what the sampler wants recorded."""

    energy: Tensor
    terms: Tensor
    lengths: Tensor
    more: Mapping[str, Tensor]
    sample: list[str] | None

    @property
    def size(self) -> int:
        """Bytes."""
        tensors = (self.energy, self.terms, self.lengths, *self.more.values())
        texts = sum(map(len, self.sample or ()))
        return _OVERHEAD + sum(tensor.numel() * tensor.element_size() for tensor in tensors) + 2 * texts


def recorded(run: RunState[Any], info: Info, kept: bool) -> Recorded:
    """What is remembered of the step that led here, with the texts if they are `kept`."""
    evaluation, batch = run.chains.evaluation, run.batch
    more = {"accepted": info.accepted, **info.recorded}
    return Recorded(evaluation.energy, evaluation.terms, batch.lengths, more, batch.texts() if kept else None)


def kept_after(step: int, warm_up: int, thin: int | None) -> bool:
    """Whether the texts are kept after the step of this number, counted from 0."""
    return thin is not None and step >= warm_up and (step + 1 - warm_up) % thin == 0


@final
@dataclass(frozen=True, eq=False)
class Record:
    """What was kept of T steps.

    Attributes:
        energy: (T, B).
        terms: (T, B, J).
        lengths: (T, B).
        more: name -> (T, ...), what was recorded at every step, of one shape.
        samples: of each step whose texts were kept, B texts.
        sample_steps: the numbers of these steps, counted from 1.
    """

    energy: NDArray[Any]
    terms: NDArray[Any]
    lengths: NDArray[Any]
    more: Mapping[str, NDArray[Any]]
    samples: Sequence[list[str]]
    sample_steps: Sequence[int]

    @staticmethod
    def of(records: Sequence[Recorded], chains: int, terms: int, before: int = 0) -> Record:
        """Of the steps after the first `before`.

        Samplers that take turns may record different things, or things of different shapes under one name.
        """
        first = records[0].more if records else {}
        alike = {
            name: [record.more.get(name) for record in records]
            for name, value in first.items()
            if all(name in r.more and r.more[name].shape == value.shape for r in records)
        }
        kept = [(number, r.sample) for number, r in enumerate(records, before + 1) if r.sample is not None]
        return Record(
            _stack([record.energy for record in records], chains),
            _stack([record.terms for record in records], chains, terms),
            _stack([record.lengths for record in records], chains),
            {name: _stack([value for value in values if value is not None]) for name, values in alike.items()},
            [texts for _, texts in kept],
            [number for number, _ in kept],
        )

    def then(self, later: Record) -> Record:
        """With what was kept of later steps."""
        if not len(self.energy) or not len(later.energy):
            return self if len(self.energy) else later
        both = [name for name in self.more if name in later.more and _alike(self.more[name], later.more[name])]
        return Record(
            np.concatenate([self.energy, later.energy]),
            np.concatenate([self.terms, later.terms]),
            np.concatenate([self.lengths, later.lengths]),
            {name: np.concatenate([self.more[name], later.more[name]]) for name in both},
            [*self.samples, *later.samples],
            [*self.sample_steps, *later.sample_steps],
        )


def _stack(steps: Sequence[Tensor], *shape: int) -> NDArray[Any]:
    """(T, ...) one array of what was recorded; of no steps, (0, *shape)."""
    return torch.stack(list(steps)).cpu().numpy() if steps else np.zeros((0, *shape))


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.shape[1:] == other.shape[1:] and one.dtype == other.dtype


@final
@dataclass(frozen=True, eq=False)
class Stored:
    """What was kept of the steps so far, in the columns of a folder.

    Attributes:
        folder: where they are.
        steps: how many.
        columns: "energy", "terms", "lengths", and what the sampler records, under "recorded " and its name.
        samples: the texts that were kept.
        sample_steps: the steps after which they were.
    """

    folder: Path
    steps: int
    columns: Mapping[str, Column]
    samples: StoredTexts
    sample_steps: Column

    @staticmethod
    def empty(folder: Path) -> Stored:
        """Of no steps."""
        return Stored(folder, 0, {}, StoredTexts.empty(folder), Column(folder / "sample-steps.bin", "<i8"))

    def appended(self, record: Record) -> Stored:
        """With what was kept of more steps; what is not recorded at every step, or not of one shape, is left out."""
        steps = len(record.energy)
        if not steps:
            return self
        new = {"energy": record.energy, "terms": record.terms, "lengths": record.lengths}
        new |= {f"recorded {name}": values for name, values in record.more.items()}
        columns = self.columns
        if not self.steps:
            columns = {
                name: Column.of(self.folder / f"record-{number}.bin", new[name]) for number, name in enumerate(new)
            }
        columns = {
            name: column.appended(new[name])
            for name, column in columns.items()
            if name in new and column.fits(new[name])
        }
        return replace(
            self,
            steps=self.steps + steps,
            columns=columns,
            samples=self.samples.appended(record.samples),
            sample_steps=self.sample_steps.appended(np.array(record.sample_steps, dtype="<i8")),
        )

    def every(self) -> Iterator[Column]:
        """All columns."""
        yield from self.columns.values()
        yield from self.samples.columns.values()
        yield self.sample_steps

    def read(self, chains: int, terms: int) -> Record:
        """All of it, mapped into memory."""
        if not self.steps:
            return Record.of([], chains, terms)
        named = {name: column.read() for name, column in self.columns.items()}
        more = {name.removeprefix("recorded "): named[name] for name in named if name.startswith("recorded ")}
        steps = self.sample_steps.read().tolist()
        return Record(named["energy"], named["terms"], named["lengths"], more, self.samples, steps)

    def told(self) -> dict[str, Any]:
        """As a file of JSON has it."""
        return {
            "steps": self.steps,
            "columns": {name: column.told() for name, column in self.columns.items()},
            "samples": {name: column.told() for name, column in self.samples.columns.items()},
            "sample_steps": self.sample_steps.told(),
        }

    @staticmethod
    def from_told(folder: Path, told: Mapping[str, Any]) -> Stored:
        """What was told, in a folder.

        Raises:
            DamagedError: that cannot be.
        """
        try:
            columns = {name: Column.from_told(folder, each) for name, each in told["columns"].items()}
            samples = StoredTexts(**{name: Column.from_told(folder, each) for name, each in told["samples"].items()})
            return Stored(folder, told["steps"], columns, samples, Column.from_told(folder, told["sample_steps"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedError(f"what {folder} holds of the steps cannot be read: {error}") from error


@final
class Recorder:
    """Takes what is to be kept of each step of chains that go together, B of them under an energy of J terms.

    In memory, all of it waits to be gathered. With a folder, what waits is written out whenever it has become much;
    `settled` says what is in the columns then. An interrupt at any moment leaves whole steps.
    """

    def __init__(self, chains: int, terms: int, stored: Stored | None = None) -> None:
        self._shape = chains, terms
        # what is in columns, and what waits: they change together, in one assignment
        self._kept: tuple[Stored | None, list[Recorded]] = stored, []
        self._waiting = 0

    def record(self, record: Recorded) -> None:
        """Take one step; those before it are over, whatever becomes of it."""
        if self._kept[0] is not None and self._waiting > _MOST:
            self.settled(len(self))
        self._kept[1].append(record)
        self._waiting += record.size

    def settled(self, steps: int) -> Stored | None:
        """Write out what waits of the first `steps` steps; later ones, which are not over, are dropped."""
        stored, waiting = self._kept
        if stored is None:
            return None
        new = waiting[: steps - stored.steps]
        settled = stored.appended(Record.of(new, *self._shape, before=stored.steps))
        self._kept, self._waiting = (settled, []), 0
        return settled

    def gathered(self, steps: int) -> Record:
        """What was kept of the first `steps` steps; mapped into memory where it is in columns."""
        stored, waiting = self._kept
        before = 0 if stored is None else stored.steps
        recent = Record.of(waiting[: steps - before], *self._shape, before=before)
        return recent if stored is None else stored.read(*self._shape).then(recent)

    def __len__(self) -> int:
        """Steps taken in."""
        stored, waiting = self._kept
        return len(waiting) + (0 if stored is None else stored.steps)

    @property
    def trace(self) -> Sequence[Tensor]:
        """Steps times (B,) energies, as it grows."""
        return Trace(self)

    def energies(self, begin: int, end: int) -> Iterator[Tensor]:
        """(B,) of the steps from `begin` to `end`, counted from 0."""
        stored, waiting = self._kept
        before = 0 if stored is None else stored.steps
        if stored is not None and begin < before:
            # a copy: nobody may write to the file
            yield from torch.tensor(stored.columns["energy"].read()[begin : min(end, before)])
        for record in waiting[max(begin - before, 0) : max(end - before, 0)]:
            yield record.energy


@final
class Trace(Sequence[Tensor]):
    """The energies of the steps that a recorder has taken in, (B,) each."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __len__(self) -> int:
        return len(self._recorder)

    @overload
    def __getitem__(self, place: int) -> Tensor: ...

    @overload
    def __getitem__(self, place: slice) -> list[Tensor]: ...

    def __getitem__(self, place: int | slice) -> Tensor | list[Tensor]:
        if isinstance(place, slice):
            steps = range(len(self))[place]
            low, high = (min(steps), max(steps) + 1) if steps else (0, 0)
            found = list(self._recorder.energies(low, high))
            return [found[step - low] for step in steps]
        step = range(len(self))[place]
        return next(self._recorder.energies(step, step + 1))

    def __iter__(self) -> Iterator[Tensor]:
        return self._recorder.energies(0, len(self))
