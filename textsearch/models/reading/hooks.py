"""What a pass changes in a model for a moment, and what stays of it if Ctrl-C arrives: nothing that does anything.

A KeyboardInterrupt can be raised within the very calls that put a hook on a module or take it off. So a hook is told to
rest before anything else happens, by an assignment, which nothing interrupts. Threads that share out a pass each have
hooks of their own, which the others do not feel.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, get_ident
from typing import Any, TypeVar, final

from torch import Tensor

Found = TypeVar("Found")

Act = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...] | None]
"""What a module was called with -> what it is called with instead, None for the same."""


# PyTorch numbers hooks without a lock: two that come at once would be one
_HOOKING = Lock()


@final
class _Hook:
    """Acts until it rests, and in its own thread alone."""

    def __init__(self, act: Act) -> None:
        self.act: Act | None = act
        self.thread = get_ident()

    def __call__(self, module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        act = self.act
        return act(arguments) if act is not None and self.thread == get_ident() else None


def hooked(module: Any, act: Act, run: Callable[[], Found]) -> Found:
    """What `run` gives while `act` sees, or changes, what `module` is called with.

    >>> from torch import nn, ones
    >>> layer = nn.Identity()
    >>> hooked(layer, lambda arguments: (2 * arguments[0],), lambda: layer(ones(1))), layer(ones(1))
    (tensor([2.]), tensor([1.]))
    """
    hook, handle = _Hook(act), None
    try:
        with _HOOKING:
            handle = module.register_forward_pre_hook(hook)
        return run()
    finally:
        hook.act = None
        if handle is not None:
            with _HOOKING:
                handle.remove()


def attending(config: Any, name: str, run: Callable[[], Found]) -> Found:
    """What `run` gives while the model of this configuration uses the attention `name`.

    Threads may each say so of the same model while the one that waits for them does.
    """
    before = config._attn_implementation
    try:
        config._attn_implementation = name
        return run()
    finally:
        try:
            config._attn_implementation = before
        except KeyboardInterrupt:
            config._attn_implementation = before
            raise
