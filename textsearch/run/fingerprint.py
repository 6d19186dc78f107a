"""What a run is made of, as lines that can be compared: a checkpoint goes on with the same energy and kernel, or not.

One walk over an objective or a sampler gives path -> what is there: names of classes, numbers and strings, hashes of
tensors, of the weights of models and of tokenizers. A function is its code and what it closes over; so are the methods
of classes that come from outside of this package. What is left out: private fields, which are worked out from the
others or remember answers; counts; devices; and the globals that a function reads.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import blake2b
from numbers import Number
from pathlib import PurePath
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import regex
import torch
from torch import Tensor

from textsearch.kinds import shown
from textsearch.models.usage import Usage
from textsearch.objective import Sum

Fingerprint = Mapping[str, str]
"""Path -> what is there."""

_OURS: Final = {"textsearch", "samplers", "objectives", "builtins"}
_MANY: Final = 64  # items of a list that are told one by one
_LONG: Final = 200  # characters of a string that are told
_CODE: Final = ".code"
_PATTERNS: Final = (re.Pattern, type(regex.compile("")))
_PYTHON: Final = f"Python {sys.version_info.major}.{sys.version_info.minor} "


def fingerprint(**parts: object) -> dict[str, str]:
    """Path -> what is there, of all parts by name.

    >>> from textsearch import FunctionObjective
    >>> shout = FunctionObjective(len, name="shout")
    >>> for path, told in fingerprint(objective=2.0 * shout + shout, seed=3).items():
    ...     print(path, told)
    objective Sum of 2 terms
    objective.terms[0].weight 2.0
    objective.terms[0] FunctionObjective
    objective.terms[0].function builtins.len
    objective.terms[0].label 'shout'
    objective.terms[1].weight 1.0
    objective.terms[1] FunctionObjective
    objective.terms[1].function builtins.len
    objective.terms[1].label 'shout'
    seed 3
    """
    return {path: told for name, part in parts.items() for path, told in _walk(part, name, ())}


def differences(stored: Fingerprint, now: Fingerprint) -> list[str]:
    """What is not as it was, in words; of two versions of Python the code of functions is not compared.

    >>> differences({"seed": "3", "chains": "1"}, {"seed": "4", "chains": "1"})
    ['seed: 3 in the checkpoint, 4 now']
    """
    found = []
    for path in dict.fromkeys([*stored, *now]):
        old, new = stored.get(path), now.get(path)
        if old == new:
            continue
        if path.endswith(_CODE) and old and new:
            if old.split(" ")[:2] != new.split(" ")[:2]:
                continue
            found.append(f"{path.removesuffix(_CODE)}: its code has changed")
        else:
            found.append(f"{path}: {old or 'nothing'} in the checkpoint, {new or 'nothing'} now")
    return found


def _walk(value: Any, path: str, above: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """The path of everything in `value`, which lies within the objects `above`, and what is there."""
    if (leaf := _leaf(value)) is not None:
        yield path, leaf
        return
    if id(value) in above:
        yield path, "what it is a part of"
        return
    inner = (*above, id(value))
    if isinstance(value, Sum):
        yield path, f"Sum of {len(value.terms)} terms"
        for place, (weight, term) in enumerate(value.terms):
            yield f"{path}.terms[{place}].weight", repr(weight)
            yield from _walk(term, f"{path}.terms[{place}]", inner)
        return
    if isinstance(value, Mapping | Set | Sequence):
        yield from _items(value, path, inner)
        return
    told, parts = _described(value)
    yield path, told
    if code := _class_code(value if isinstance(value, type) else type(value)):
        yield path + _CODE, code
    if isinstance(value, FunctionType) and not _is_ours(value):
        yield path + _CODE, _PYTHON + _digest(_code(value.__code__))
    for name, part in parts.items():
        yield from _walk(part, f"{path}{name}", inner)


def _items(value: Any, path: str, inner: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Those of a container, one by one or, if there are many, in one line."""
    if isinstance(value, Mapping) and all(isinstance(key, str | int) for key in value):
        pairs = [(f"[{key!r}]", part) for key, part in value.items()]
    else:
        # keys may be parts, such as samplers; a set has no order
        parts = value.items() if isinstance(value, Mapping) else value
        parts = sorted(map(_whole, parts)) if isinstance(value, Set) else parts
        pairs = [(f"[{place}]", part) for place, part in enumerate(parts)]
    kind = type(value).__name__
    if len(pairs) <= _MANY:
        yield path, f"{kind} of {len(pairs)}"
        for name, part in pairs:
            yield from _walk(part, f"{path}{name}", inner)
    else:
        told = [list(_walk(part, str(name), inner)) for name, part in pairs]
        yield path, f"{kind} of {len(pairs):,}, {_digest(json.dumps(told).encode())}"


def _whole(value: Any) -> str:
    """All of a value in one string."""
    return json.dumps(list(_walk(value, "", ())))


def _leaf(value: Any) -> str | None:
    """What is told of a value without parts; None if it has some."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, str | bytes):
        text = repr(value)
        if len(text) <= _LONG:
            return text
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
        return f"{shown(value, 60)} of {len(value):,}, {_digest(data)}"
    if value is None or isinstance(value, Number | torch.dtype | range):
        return repr(value)
    if isinstance(value, PurePath):
        return repr(str(value))
    if isinstance(value, Tensor | np.ndarray):
        return _tensor(value)
    if isinstance(value, torch.nn.Module):
        return f"{type(value).__name__}, weights {_weights(value)}"
    if isinstance(value, _PATTERNS):
        return f"{value.pattern!r}, flags {int(value.flags)}"
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    rust = getattr(value, "backend_tokenizer", value)
    if not isinstance(value, type) and hasattr(rust, "token_to_id") and hasattr(rust, "to_str"):
        return f"{type(value).__name__}, {_tokenizer(rust)}"
    return None


def _described(value: Any) -> tuple[str, dict[str, Any]]:
    """What is told of a thing with parts, and its parts: the way from it to each -> the part."""
    if isinstance(value, type):
        return f"class {value.__qualname__}", {}
    if isinstance(value, functools.partial):
        return "partial", {".func": value.func, ".args": value.args, ".keywords": value.keywords}
    if isinstance(value, MethodType):
        return f"method {value.__func__.__qualname__}", {".self": value.__self__, ".function": value.__func__}
    if isinstance(value, FunctionType):
        closed = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        parts = {f".{name}": _content(cell) for name, cell in closed}
        parts |= {f".defaults[{place}]": part for place, part in enumerate(value.__defaults__ or ())}
        return f"function {value.__qualname__}", parts | {f".{k}": v for k, v in (value.__kwdefaults__ or {}).items()}
    if hasattr(value, "__wrapped__"):
        return type(value).__name__, {".function": value.__wrapped__}
    if inspect.isroutine(value):
        return f"{getattr(value, '__module__', None)}.{value.__qualname__}", {}
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
    else:
        # what is worked out when it is first asked for is no setting
        own = vars(value) if hasattr(value, "__dict__") else {}
        worked_out = {name for each in type(value).__mro__ for name in vars(each) if _is_cached(each, name)}
        names = sorted({*own, *_slots(type(value))} - worked_out)
    parts = {f".{name}": getattr(value, name) for name in names if not name.startswith("_") and hasattr(value, name)}
    return type(value).__qualname__, {name: part for name, part in parts.items() if not isinstance(part, Usage)}


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is in it yet
        return None


def _is_ours(value: Any) -> bool:
    """Whether a class or function comes with this package, whose version is another line."""
    return str(value.__module__).partition(".")[0] in _OURS


def _slots(owner: type) -> list[str]:
    """The names of all slots of a class."""
    told = [vars(each).get("__slots__", ()) for each in owner.__mro__]
    return [name for slots in told for name in ([slots] if isinstance(slots, str) else slots)]


def _is_cached(owner: type, name: str) -> bool:
    return isinstance(vars(owner)[name], functools.cached_property)


@functools.lru_cache(maxsize=1000)
def _class_code(owner: type) -> str | None:
    """Of the methods of a class that this package does not have; None where there are none."""
    found = []
    for each in owner.__mro__:
        if _is_ours(each):
            continue
        for name, member in sorted(vars(each).items()):
            codes = [_code(part.__code__) for part in _functions(member)]
            found += [f"{each.__qualname__}.{name} {_digest(code)}" for code in codes]
    return _PYTHON + _digest("\n".join(found).encode()) if found else None


def _functions(member: Any) -> Iterator[FunctionType]:
    """All functions that a member of a class is made of: what a decorator was given, behind what it made of it."""
    if isinstance(member, FunctionType):
        yield member
    # a class that hangs on a name is no part of the one that it hangs on
    if not isinstance(member, type):
        for name in ("fget", "__func__", "func", "__wrapped__"):
            inner = inspect.getattr_static(member, name, None)
            inner = getattr(member, name) if inner is not None else None
            if inner is not None:
                yield from _functions(inner)


def _code(code: CodeType) -> bytes:
    """What a function does, wherever it stands."""
    constants = [_constant(each) for each in code.co_consts]
    return repr((code.co_code.hex(), code.co_names, code.co_freevars, constants)).encode("utf-8", "surrogatepass")


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return _code(value).decode("utf-8", "surrogatepass")
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_constant, value))}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    return repr(value)


_WEIGHTS: WeakKeyDictionary[torch.nn.Module, tuple[object, str]] = WeakKeyDictionary()


def _weights(model: torch.nn.Module) -> str:
    """Of all weights and of how the model reads; worked out once, and again if a weight has been written to.

    What is written behind the back of PyTorch, as by `weight.data[0] = 1`, is not seen.
    """
    state = {name: part for name, part in model.state_dict().items() if isinstance(part, Tensor)}
    # another tensor in its place has an address or a type of its own
    version = [(part.data_ptr(), part.dtype, 0 if part.is_inference() else part._version) for part in state.values()]
    known = _WEIGHTS.get(model)
    if known is None or known[0] != version:
        whole = blake2b(digest_size=16)
        for name, part in state.items():
            whole.update(f"{name} {_tensor(part)}\n".encode())
        known = _WEIGHTS[model] = version, whole.hexdigest()
    return known[1] + (", in training" if model.training else "")


def _tensor(value: Any) -> str:
    """Type, shape and digest."""
    if isinstance(value, Tensor):
        plain = value.detach().cpu().contiguous()
        data = plain.reshape(-1).view(torch.uint8).numpy() if plain.numel() else np.zeros(0, dtype=np.uint8)
        return f"{str(plain.dtype).removeprefix('torch.')} {tuple(plain.shape)} {_digest(data.data)}"
    array = np.ascontiguousarray(value)
    written = repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
    return f"{array.dtype} {array.shape} {_digest(written)}"


def _tokenizer(tokenizer: Any) -> str:
    """Of what a tokenizer is made of; calls set up how it cuts and pads, which is none of that."""
    told = json.loads(tokenizer.to_str())
    plain = {name: part for name, part in told.items() if name not in ("truncation", "padding")}
    return _digest(json.dumps(plain, sort_keys=True).encode())


def _digest(data: Any) -> str:
    return blake2b(data, digest_size=16).hexdigest()
