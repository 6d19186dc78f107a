"""Ctrl-C in the middle of what a pass changes in a model: the next pass finds the model as it was."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig

from textsearch.models.reading import hooks
from textsearch.models.reading.hooks import attending, hooked


def interrupted(run: Callable[[], Any], at: int) -> bool:
    """Whether Ctrl-C came, at one of the lines and ends of all functions of other packages."""
    moments = 0

    def look(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal moments
        module = frame.f_globals["__name__"].partition(".")[0]
        if event in {"line", "return"} and module in {"torch", "transformers"}:
            moments += 1
            if moments == at:
                raise KeyboardInterrupt
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        run()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


class WithoutRest:
    """The control: a hook that acts until it is removed."""

    def __init__(self, act: Any) -> None:
        self.__dict__["act"] = act

    def __setattr__(self, name: str, value: object) -> None: ...

    def __call__(self, module: Any, arguments: Any) -> Any:
        return self.act(arguments)  # type: ignore[attr-defined]


def broken_moments() -> list[int]:
    """At which moments Ctrl-C leaves a module that does something else than before."""
    one, broken, at = torch.ones(1), [], 1

    def twice(arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (2 * arguments[0],)

    while True:
        layer = nn.Identity()
        came = interrupted(lambda layer=layer: hooked(layer, twice, lambda: layer(one)), at)  # type: ignore[misc]
        if layer(one).item() != 1:
            broken.append(at)
        else:
            pickle.dumps(layer)
        if not came:
            return broken
        assert at < 1000
        at += 1


def test_a_hook_that_was_not_removed_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    assert broken_moments() == []
    monkeypatch.setattr(hooks, "_Hook", WithoutRest)
    assert len(broken_moments()) > 3


def test_attention_is_what_it_was() -> None:
    at = 1
    while True:
        config = BertConfig()
        config._attn_implementation = "eager"
        came = interrupted(lambda config=config: attending(config, "other", lambda: None), at)  # type: ignore[misc]
        assert config._attn_implementation == "eager"
        if not came:
            assert at > 5
            return
        at += 1
