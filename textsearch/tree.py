"""A value of many parts, treated as one: rows picked, chains put together, tensors moved or written down.

The value is a frozen dataclass whose fields are tensors with a row for each chain, a `Batch`, other such values, tuples
or mappings of them, and plain constants (numbers, strings, None) that all chains share. One walk over the fields does
for every state what each would otherwise have to write for itself; these are pytrees, as in JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.batch import concatenate as batches

T = TypeVar("T")

Constant = str | int | float | bool | None
"""What all chains share."""


class NoTreeError(TypeError):
    """A value that the walk does not know how to take apart."""


def rows(value: T, index: Tensor) -> T:
    """Some of the chains, in the order of `index` (K,) int64, or those under it, (B,) bool.

    >>> rows((torch.tensor([5, 6, 7]), "all"), torch.tensor([2, 0]))
    (tensor([7, 5]), 'all')
    """
    found: T = _walk([value], lambda tensors: tensors[0][index], lambda parts: parts[0].rows(index))
    return found


def where(take: Tensor, taken: T, kept: T) -> T:
    """Chain b of `taken` where `take[b]` (B,) bool, of `kept` elsewhere."""

    def chosen(tensors: Sequence[Tensor]) -> Tensor:
        one, other = tensors
        return torch.where(take.view(-1, *[1] * (one.ndim - 1)), one, other)

    found: T = _walk([taken, kept], chosen, lambda parts: parts[1].where(take, parts[0]))
    return found


def put(value: T, index: Tensor, part: T) -> T:
    """`value` with the chains of `part` in place of those under `index` (K,) int64.

    >>> put((torch.tensor([5, 6, 7]), "all"), torch.tensor([2, 0]), (torch.tensor([1, 2]), "all"))
    (tensor([2, 6, 1]), 'all')
    """
    if not len(index):
        return value
    size = next(len(leaf) for _, leaf in _leaves(value, "") if isinstance(leaf, Tensor))
    source = torch.zeros(size, dtype=torch.int64, device=index.device)
    source[index] = torch.arange(len(index), device=index.device)
    taken = torch.zeros(size, dtype=torch.bool, device=index.device)
    taken[index] = True
    return where(taken, rows(part, source), value)


def concatenate(values: Sequence[T]) -> T:
    """The chains of all values, in order.

    >>> concatenate([(torch.tensor([1]), 0.5), (torch.tensor([2, 3]), 0.5)])
    (tensor([1, 2, 3]), 0.5)
    """
    if len(values) == 1:
        return values[0]
    found: T = _walk(values, torch.cat, lambda parts: batches(parts).narrow())
    return found


def to(value: T, device: torch.device | str) -> T:
    """The same value on another device."""
    found: T = _walk([value], lambda tensors: tensors[0].to(device), lambda parts: parts[0].to(device))
    return found


def check(value: object, size: int, name: str) -> None:
    """Refuse a value that the walk cannot divide among `size` chains; `name` is what it is called in the message.

    Raises:
        NoTreeError: a part is no dataclass, tensor or constant, or a tensor has not a row for each chain.
    """
    for path, leaf in _leaves(value, ""):
        if isinstance(leaf, Tensor) and (leaf.ndim == 0 or len(leaf) != size):
            raise NoTreeError(
                f"{path} of {name} is a tensor of shape {tuple(leaf.shape)}, not ({size}, ...): it needs a row for "
                "each chain"
            )


def flatten(value: object) -> tuple[dict[str, Constant], dict[str, Tensor]]:
    """What can be written down of a value: path -> constant, and path -> tensor.

    >>> flatten({"energy": torch.tensor([1.5]), "stage": 3})
    ({'stage': 3}, {'energy': tensor([1.5000])})
    """
    constants: dict[str, Constant] = {}
    found: dict[str, Tensor] = {}
    for path, leaf in _leaves(value, ""):
        if isinstance(leaf, Tensor):
            found[path] = leaf
        else:
            constants[path] = leaf
    return constants, found


def restore(template: T, constants: Mapping[str, Constant], tensors: Mapping[str, Tensor]) -> T:
    """The value that was flattened, of the classes of `template` and with what `template` has besides, a vocabulary.

    Raises:
        ValueError: a part of the template was not written down, or something else was.

    >>> restore({"energy": torch.zeros(2), "stage": 0}, {"stage": 3}, {"energy": torch.tensor([1.5])})
    {'energy': tensor([1.5000]), 'stage': 3}
    """
    left = {*constants, *tensors}

    def known(path: str, leaf: Tensor | Constant) -> Any:
        source: Mapping[str, Any] = tensors if isinstance(leaf, Tensor) else constants
        if path not in source:
            raise ValueError(f"{path} was not written down: {', '.join(sorted(left)) or 'nothing'} was")
        left.discard(path)
        return source[path]

    value: T = _rebuilt(template, "", known)
    if left:
        raise ValueError(f"{', '.join(sorted(left))} was written down, and {type(template).__name__} has no such part")
    return value


def _walk(values: Sequence[Any], tensor: Callable[[Any], Tensor], batch: Callable[[Any], Batch], path: str = "") -> Any:
    """One value from several of one shape: `tensor` of their tensors, `batch` of their batches; constants agree."""
    first = values[0]

    def within(parts: Sequence[Any], name: str) -> Any:
        return _walk(parts, tensor, batch, f"{path}{name}")

    if isinstance(first, Tensor):
        return tensor(values)
    if isinstance(first, Batch):
        return batch(values)
    if isinstance(first, Mapping):
        return {key: within([value[key] for value in values], f".{key}") for key in first}
    if isinstance(first, tuple):
        parts = [within(each, f"[{place}]") for place, each in enumerate(zip(*values, strict=True))]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        return _remade(first, {name: within([getattr(value, name) for value in values], f".{name}") for name in names})
    if not isinstance(first, Constant):
        raise _strange(path, first)
    if different := [value for value in values if value != first]:
        raise ValueError(f"{path.lstrip('.')} is {first!r} of some chains and {different[0]!r} of others")
    return first


def _leaves(value: object, path: str) -> Iterator[tuple[str, Tensor | Constant]]:
    """The path of each tensor and constant, and what is there; a batch's vocabulary is none."""
    for name, part in _parts(value, path):
        inner = f"{path}{name}" if name.startswith("[") or not path else f"{path}.{name}"
        if isinstance(part, Tensor | Constant):
            yield inner, part
        else:
            yield from _leaves(part, inner)


def _parts(value: object, path: str) -> Iterator[tuple[str, Any]]:
    """The name of each part, and the part."""
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, tuple):
        names = value._fields if hasattr(value, "_fields") else [f"[{place}]" for place in range(len(value))]
        yield from zip(names, value, strict=True)
    elif is_dataclass(value) and not isinstance(value, type):
        skip = "vocabulary" if isinstance(value, Batch) else None
        yield from ((f.name, getattr(value, f.name)) for f in fields(value) if f.name != skip)
    else:
        raise _strange(path, value)


def _rebuilt(value: Any, path: str, leaf: Callable[[str, Any], Any]) -> Any:
    """The same value with `leaf(path, part)` for each tensor and constant."""
    made: dict[str, Any] = {}
    for name, part in _parts(value, path):
        inner = f"{path}{name}" if name.startswith("[") or not path else f"{path}.{name}"
        made[name] = leaf(inner, part) if isinstance(part, Tensor | Constant) else _rebuilt(part, inner, leaf)
    if isinstance(value, Mapping):
        return made
    if isinstance(value, tuple):
        return type(value)(*made.values()) if hasattr(value, "_fields") else tuple(made.values())
    return _remade(value, made)


def _remade(value: Any, parts: Mapping[str, Any]) -> Any:
    """Another value of the same dataclass; what was checked when the first was made holds of its rows too."""
    made = object.__new__(type(value))
    for field in fields(value):
        object.__setattr__(made, field.name, parts.get(field.name, getattr(value, field.name)))
    return made


def _strange(path: str, value: object) -> NoTreeError:
    where = path.lstrip(".") or "the value"
    return NoTreeError(
        f"{where} is a {type(value).__name__}, which is no frozen dataclass, tuple or mapping of tensors, batches and "
        "plain numbers or strings: make it one"
    )
