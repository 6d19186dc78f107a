"""A pretended accelerator: numbers of the CPU on a device of their own, which mixes with the CPU as a GPU would: not.

Tensors say that they are on `DEVICE`; what is computed with them is computed on the CPU. An operation that is given
tensors of both devices raises, but for copies, numbers, and places within a tensor, as on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")

_COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
_PLACES = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


class Pretended(Tensor):
    """A tensor on the pretended device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Pretended:
        made: Any = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        pretended: Pretended = made
        return pretended

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """One operation, on the CPU."""
        kwargs = dict(kwargs or {})
        leaves = tree_flatten((args, kwargs))[0]
        given = [one for one in leaves if isinstance(one, Tensor)]
        ours = [one for one in given if isinstance(one, Pretended)]
        # a number may come from anywhere, and places within a tensor from the CPU
        places = [id(one) for one in args[1] if one is not None] if func in _PLACES else []
        there = isinstance(args[0], Pretended) if args else False
        theirs = [
            one for one in given if not isinstance(one, Pretended) and one.ndim and not (there and id(one) in places)
        ]
        if any(one.device == DEVICE for one in given if not isinstance(one, Pretended)):
            raise RuntimeError(f"{func}: a tensor was made on {DEVICE} unseen, and holds no numbers")
        if ours and theirs and func not in _COPIES:
            raise RuntimeError(f"{func}: expected all tensors to be on the same device, found {DEVICE} and cpu")
        stays = bool(ours)
        if func is torch.ops.aten.copy_.default:
            stays = there
        named = [one for one in leaves if isinstance(one, torch.device)]
        if named:
            stays = named[0] == DEVICE
        found = func(*tree_map(_bare, args), **tree_map(_bare, kwargs))
        if not stays:
            return found
        # what is changed in place stays who it is
        known = {id(one.held): one for one in ours}
        return tree_map(lambda one: known.get(id(one), _dressed(one)), found)


class _Factories(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tensors that are made on a device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return Pretended.__torch_dispatch__(func, types, args, kwargs)


class _Lists(TorchFunctionMode):
    """Tensors from lists and to lists, which are made where no dispatch is looking."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = torch.device(kwargs.pop("device"))
            made = func(*args, **kwargs)
            return made.to(device) if made.device != device else made
        if func in (Tensor.tolist, Tensor.__iter__) and isinstance(args[0], Pretended):
            return args[0].held.tolist() if func is Tensor.tolist else iter(args[0].unbind())
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], Pretended):
            # a list of places would become a tensor of the device
            parts = args[1] if isinstance(args[1], tuple) else (args[1],)
            parts = tuple(torch.tensor(part) if isinstance(part, list) else part for part in parts)
            args = (args[0], parts if isinstance(args[1], tuple) else parts[0], *args[2:])
        return func(*args, **kwargs)


def _bare(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return value.held if isinstance(value, Pretended) else value


def _dressed(value: Any) -> Any:
    return Pretended(value) if isinstance(value, Tensor) and not isinstance(value, Pretended) else value


@contextmanager
def pretended(*models: Any) -> Iterator[None]:
    """The models' weights lie on the pretended device for good; while the block runs tensors can be made there."""
    for model in models:
        for module in model.modules():
            for name, value in module._parameters.items():
                if value is not None and not isinstance(value, Pretended):
                    module._parameters[name] = torch.nn.Parameter(Pretended(value.data), requires_grad=False)
            for name, value in module._buffers.items():
                if value is not None and not isinstance(value, Pretended):
                    module._buffers[name] = Pretended(value)
    # inference mode counts no versions, and tensors of a kind of their own need them
    plain = patch("torch.inference_mode", lambda on=True: torch.no_grad() if on else nullcontext())
    with plain, _Lists(), _Factories():  # type: ignore[no-untyped-call]
        yield


def numbers(value: Tensor) -> Tensor:
    """The tensor on the CPU."""
    return value.held if isinstance(value, Pretended) else value
