"""What a pass changes in a model for a moment, and what stays of it if Ctrl-C arrives: nothing that does anything.

A KeyboardInterrupt can be raised within the very calls that put a hook on a module or take it off. So a hook is told to
rest before anything else happens, by an assignment, which nothing interrupts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, final

from torch import Tensor

Found = TypeVar("Found")

Act = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...] | None]
"""What a module was called with -> what it is called with instead, None for the same."""


@final
class _Hook:
    """Acts until it rests."""

    def __init__(self, act: Act) -> None:
        self.act: Act | None = act

    def __call__(self, module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        return self.act(arguments) if self.act is not None else None


def hooked(module: Any, act: Act, run: Callable[[], Found]) -> Found:
    """What `run` gives while `act` sees, or changes, what `module` is called with.

    >>> from torch import nn, ones
    >>> layer = nn.Identity()
    >>> hooked(layer, lambda arguments: (2 * arguments[0],), lambda: layer(ones(1))), layer(ones(1))
    (tensor([2.]), tensor([1.]))
    """
    hook, handle = _Hook(act), None
    try:
        handle = module.register_forward_pre_hook(hook)
        return run()
    finally:
        hook.act = None
        if handle is not None:
            handle.remove()


def attending(config: Any, name: str, run: Callable[[], Found]) -> Found:
    """What `run` gives while the model of this configuration uses the attention `name`."""
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
