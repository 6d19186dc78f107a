"""The law that values stay values: who is given a batch, a state or random numbers leaves their tensors as they are.

A batch is shared: a state, the best texts so far and a record of the run may hold the same tensor, so what is written
into one is written into all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Self, final

from torch import Tensor

from textsearch.testing.report import require


@final
@dataclass(frozen=True)
class Watched:
    """Tensors and what they held when the watch began.

    Attributes:
        seen: of each its path, the tensor itself, and a copy.

    >>> import torch
    >>> given = {"energy": torch.zeros(2)}
    >>> watch = Watched.of(state=given)
    >>> given["energy"][1] = 5.0
    >>> watch.changed()
    "state['energy']"
    """

    seen: tuple[tuple[str, Tensor, Tensor], ...]

    @classmethod
    def of(cls, **values: object) -> Self:
        """All tensors of some values, by their names."""
        found = [leaf for name, value in values.items() for leaf in _tensors(value, name)]
        return cls(tuple((path, tensor, tensor.clone()) for path, tensor in found))

    def changed(self) -> str | None:
        """The path of the first tensor that holds something else now."""
        # nan is nan
        return next(
            (path for path, now, before in self.seen if not now.nan_to_num(7.5).equal(before.nan_to_num(7.5))), None
        )

    def require(self, thing: object, call: str) -> None:
        """Raise a `LawBroken` if any has changed."""
        path = self.changed()
        what = f"{call} changed {path} of what it was given; work on a copy, such as tensor.index_put or torch.where"
        require(path is None, "input untouched", thing, what)


def _tensors(value: object, path: str) -> Iterator[tuple[str, Tensor]]:
    """Paths and tensors, through dataclasses, sequences and mappings."""
    if isinstance(value, Tensor):
        yield path, value
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _tensors(getattr(value, each.name), f"{path}.{each.name}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{path}[{key!r}]")
    elif isinstance(value, tuple | list):
        for place, item in enumerate(value):
            yield from _tensors(item, f"{path}[{place}]")
