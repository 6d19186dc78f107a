"""What a run records, on disk: columns that grow at their end, segment by segment, and are read without being loaded.

A column is a file of equal records, one a step, and nothing else. A checkpoint appends what came since the last, so its
cost does not grow with the run, and says how far each column goes and the checksum of all up to there; what lies beyond
was never committed, and is written over. As the bytes lie one after another, whatever their number, a column is mapped
into memory as one array: what is looked at is read, and nothing else.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, final, overload

import numpy as np
from numpy.typing import NDArray

from textsearch.files import DamagedError

_CHUNK = 2**24  # bytes


@final
@dataclass(frozen=True)
class Column:
    """A file of equal records, as far as it goes.

    Attributes:
        path: the file.
        dtype: of the numbers, as numpy writes it.
        shape: of a record.
        count: records so far.
        checksum: CRC-32 of all their bytes, which goes on from where it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     column = Column.of(Path(folder) / "energy.bin", np.zeros((0, 2)))
    ...     column = column.appended(np.array([[1.0, 2.0], [3.0, 4.0]])).appended(np.array([[5.0, 6.0]]))
    ...     column.verify()
    ...     column.read().tolist(), column.count
    ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], 3)
    """

    path: Path
    dtype: str
    shape: tuple[int, ...] = ()
    count: int = 0
    checksum: int = 0

    @staticmethod
    def of(path: Path, values: NDArray[Any]) -> Column:
        """An empty one for records such as those of `values` (T, ...)."""
        return Column(path, values.dtype.str, values.shape[1:])

    def fits(self, values: NDArray[Any]) -> bool:
        """Whether these (T, ...) are records of this column."""
        return values.dtype.str == self.dtype and values.shape[1:] == self.shape

    @property
    def record_bytes(self) -> int:
        """Of one record."""
        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape, dtype=np.int64))

    def appended(self, values: NDArray[Any]) -> Column:
        """With more records (T, ...) at its end; whoever stops this half-way still has the column that there was."""
        if not self.fits(values):
            raise ValueError(
                f"{self.path.name} holds records of {self.dtype} {self.shape}, not {values.dtype.str} "
                f"{values.shape[1:]}"
            )
        data = np.ascontiguousarray(values).tobytes()
        with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b") as file:
            file.seek(self.count * self.record_bytes)
            file.write(data)
        return replace(self, count=self.count + len(values), checksum=zlib.crc32(data, self.checksum))

    def sync(self) -> None:
        """Let what was appended reach the disk."""
        if self.count and self.record_bytes:
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())

    def verify(self) -> None:
        """Read it all, and see whether it is what was written.

        Raises:
            DamagedError: it is not.
        """
        left, checksum = self.count * self.record_bytes, 0
        if left:
            try:
                with self.path.open("rb") as file:
                    while left and (data := file.read(min(left, _CHUNK))):
                        checksum, left = zlib.crc32(data, checksum), left - len(data)
            except FileNotFoundError as error:
                raise DamagedError(f"{self.path} is not there") from error
        if left:
            raise DamagedError(f"{self.path} is damaged: it ends {left:,} bytes too soon")
        if checksum != self.checksum:
            raise DamagedError(f"{self.path} is damaged: it is not what was written there")

    def read(self) -> NDArray[Any]:
        """(T, ...) the records, mapped into memory and not to be written to."""
        shape = (self.count, *self.shape)
        if self.count * self.record_bytes == 0:
            return np.zeros(shape, dtype=self.dtype)
        return np.asarray(np.memmap(self.path, dtype=self.dtype, mode="r", shape=shape))

    def told(self) -> dict[str, Any]:
        """As a file of JSON has it."""
        return {"file": self.path.name, "dtype": self.dtype, "shape": list(self.shape)} | {
            "count": self.count,
            "checksum": self.checksum,
        }

    @staticmethod
    def from_told(folder: Path, told: Mapping[str, Any]) -> Column:
        """The column of `told`, in a folder."""
        return Column(
            folder / Path(str(told["file"])).name,
            np.dtype(told["dtype"]).str,
            tuple(int(size) for size in told["shape"]),
            int(told["count"]),
            int(told["checksum"]),
        )


@final
@dataclass(frozen=True, eq=False)
class StoredTexts(Sequence[list[str]]):
    """Lists of texts, one a kept step, of which each is read when it is asked for; equal to a list of the same.

    Attributes:
        lines: the texts of each step as a line of JSON.
        ends: where each line ends, in bytes.
    """

    lines: Column
    ends: Column

    @staticmethod
    def empty(folder: Path) -> StoredTexts:
        """Of no steps."""
        return StoredTexts(Column(folder / "samples.jsonl", "|u1"), Column(folder / "sample-ends.bin", "<i8"))

    @property
    def columns(self) -> dict[str, Column]:
        """Both, by name."""
        return {"lines": self.lines, "ends": self.ends}

    def appended(self, samples: Sequence[Sequence[str]]) -> Self:
        """With the texts of more steps."""
        lines = [(json.dumps(list(texts)) + "\n").encode() for texts in samples]
        ends = self.lines.count + np.cumsum([len(line) for line in lines], dtype="<i8")
        written = np.frombuffer(b"".join(lines), dtype="|u1")
        return replace(self, lines=self.lines.appended(written), ends=self.ends.appended(ends))

    def __len__(self) -> int:
        return self.ends.count

    @overload
    def __getitem__(self, place: int) -> list[str]: ...

    @overload
    def __getitem__(self, place: slice) -> list[list[str]]: ...

    def __getitem__(self, place: int | slice) -> list[str] | list[list[str]]:
        lines, ends = self.lines.read(), self.ends.read()
        if isinstance(place, slice):
            return [_line(lines, ends, each) for each in range(len(self))[place]]
        return _line(lines, ends, range(len(self))[place])

    def __iter__(self) -> Iterator[list[str]]:
        lines, ends = self.lines.read(), self.ends.read()
        return (_line(lines, ends, place) for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str) or len(other) != len(self):
            return NotImplemented if not isinstance(other, Sequence) else False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<the texts of {len(self)} steps, in {self.lines.path}>"


def _line(lines: NDArray[Any], ends: NDArray[Any], place: int) -> list[str]:
    begin = int(ends[place - 1]) if place else 0
    return list(json.loads(lines[begin : int(ends[place])].tobytes()))
