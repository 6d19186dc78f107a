"""A result in a folder: arrays as files of numbers, the rest as JSON, each with a checksum, and nothing that is run.

result.json      what is no array, and what the other files are
array-*.bin      the arrays; large ones are mapped into memory when they are read
sample*          the texts that were kept on the way
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from textsearch.batch import Batch, Vocabulary
from textsearch.files import DamagedError, replace_file, sealed, sync_folder, unsealed, writing
from textsearch.run.fingerprint import differences, fingerprint
from textsearch.run.segments import Column, StoredTexts
from textsearch.tree import flatten

_FORMAT: Final = 1
_SMALL: Final = 2**20  # bytes
_CHUNK: Final = 2**24  # bytes
_RESULT: Final = "result.json"
_PART: Final = re.compile(r"result\.json|array-\d+\.bin|samples\.jsonl|sample-ends\.bin")

ARRAYS: Final = ("energies", "best_energies", "inputs", "trace", "length_trace")
TABLES: Final = ("terms", "best_terms", "term_traces", "recorded")
BATCHES: Final = ("batch", "best_batch")
PLAIN: Final = (
    "texts",
    "best_texts",
    "sources",
    "sample_steps",
    "warm_up",
    "seconds",
    "interrupted",
    "drawn",
    "listed",
)
"""Fields of a result: arrays, arrays by name, batches, and what JSON has as it is."""


class Parts(NamedTuple):
    """What a result is made of.

    Attributes:
        told: all that is neither of the others, as JSON has it.
        arrays: by name.
        batches: by name.
        samples: the texts that were kept.
    """

    told: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    batches: Mapping[str, Batch]
    samples: Sequence[list[str]]


@final
@dataclass(frozen=True, eq=False)
class UnknownVocabulary:
    """Stands for the vocabulary of a result that was loaded without it: token ids are there, their meaning is not."""

    size: int
    mask_id: int

    @property
    def allowed(self) -> Tensor:
        """Not known."""
        self._refuse()

    @property
    def continues(self) -> Tensor:
        """Not known."""
        self._refuse()

    def encode(self, texts: Sequence[str]) -> Batch:
        """Not possible."""
        self._refuse()

    def decode(self, batch: Batch) -> list[str]:
        """Not possible."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError(
            "the result was loaded without its vocabulary, so its batch holds token ids whose meaning is not known: "
            "textsearch.load(folder, vocabulary=sampler.vocabulary); its texts are result.texts"
        )


def write(folder: Path, parts: Parts) -> None:
    """Keep a result in a folder of its own: it is there whole or not at all.

    Raises:
        ValueError: the folder holds something else than a result.
        OSError: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: name a folder of its own to save the result in")
    # what lies there is a result as a whole, or stays
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    strange = [name for name in names if not _PART.fullmatch(name)]
    if strange:
        raise ValueError(
            f"{folder} holds {strange[0]!r}, which is no part of a result: name a folder of its own to save this one in"
        )
    with writing(folder.parent, "the result"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            new = Path(temporary) / folder.name
            new.mkdir()
            _write(new, parts)
            _put(new, folder, Path(temporary) / "old")
            sync_folder(folder.parent)
            shutil.rmtree(Path(temporary) / "old", ignore_errors=True)


def _put(new: Path, folder: Path, old: Path) -> None:
    """The new folder in the place of the one that may be there, which becomes `old`, or stays after an error."""
    if not folder.exists():
        new.rename(folder)
        return
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise


def _write(folder: Path, parts: Parts) -> None:
    arrays = dict(parts.arrays)
    for name, batch in parts.batches.items():
        arrays |= {f"{name}.{path}": tensor.cpu().numpy() for path, tensor in flatten(batch)[1].items()}
    columns = {}
    for number, (name, values) in enumerate(arrays.items()):
        column = Column.of(folder / f"array-{number}.bin", values)
        step = max(1, _CHUNK // max(column.record_bytes, 1))
        # a part at a time: what is mapped into memory is never there as a whole
        for begin in range(0, len(values), step):
            column = column.appended(values[begin : begin + step])
        columns[name] = column
    texts = StoredTexts.empty(folder)
    for begin in range(0, len(parts.samples), 1000):
        texts = texts.appended(parts.samples[begin : begin + 1000])
    for column in (*columns.values(), *texts.columns.values()):
        column.sync()
    vocabularies = {
        name: {"size": batch.vocabulary.size, "mask_id": batch.vocabulary.mask_id, "is": _meaning(batch.vocabulary)}
        for name, batch in parts.batches.items()
    }
    told = {
        "format": _FORMAT,
        "told": parts.told,
        "arrays": {name: column.told() for name, column in columns.items()},
        "samples": {name: column.told() for name, column in texts.columns.items()},
        "vocabularies": vocabularies,
    }
    replace_file(folder / _RESULT, sealed(told))


def read(folder: Path, vocabulary: Vocabulary | None) -> Parts:
    """What `write` kept; its batches are of the `vocabulary`, or of none that is known.

    Raises:
        DamagedError: there is no result, or it is not what was written.
        ValueError: the vocabulary is another one.
    """
    if (folder / "run.json").exists():
        raise ValueError(
            f"{folder} holds the checkpoints of a run, and no result: textsearch.resume(folder, objective, sampler) "
            "goes on with it and gives the result, which result.save(another folder) keeps"
        )
    told = unsealed(folder / _RESULT)
    if told.get("format") != _FORMAT:
        raise DamagedError(f"{folder} is of format {told.get('format')!r}; this version of textsearch reads {_FORMAT}")
    columns = {name: Column.from_told(folder, each) for name, each in told["arrays"].items()}
    texts = StoredTexts(**{name: Column.from_told(folder, each) for name, each in told["samples"].items()})
    for column in (*columns.values(), *texts.columns.values()):
        column.verify()
    arrays = {name: _small(column.read()) for name, column in columns.items()}
    batches = {}
    for name, known in told["vocabularies"].items():
        meaning: Vocabulary = UnknownVocabulary(known["size"], known["mask_id"])
        if vocabulary is not None:
            if differ := differences(known["is"], _meaning(vocabulary)):
                raise ValueError(f"the result in {folder} is of another vocabulary: {'; '.join(differ[:3])}")
            meaning = vocabulary
        own = {path: values for path, values in arrays.items() if path.startswith(f"{name}.")}
        arrays = {path: values for path, values in arrays.items() if path not in own}
        # tensors may be written to, and these files are not
        tensors = {path.removeprefix(f"{name}."): from_numpy(np.array(values)) for path, values in own.items()}
        batches[name] = Batch(**tensors, vocabulary=meaning)
    return Parts(told["told"], arrays, batches, texts)


def _meaning(vocabulary: Vocabulary) -> dict[str, str]:
    """What tells one vocabulary from another."""
    if isinstance(vocabulary, UnknownVocabulary):
        raise ValueError(
            "the result was loaded without its vocabulary, and cannot be saved without it: "
            "textsearch.load(folder, vocabulary=sampler.vocabulary)"
        )
    return fingerprint(vocabulary=vocabulary)


def _small(values: NDArray[Any]) -> NDArray[Any]:
    """In memory if that is little."""
    return values.copy() if values.nbytes < _SMALL else values
