"""The last layer of an encoder for the places that are asked for, and no others.

Behind its attention every place goes its own way, and what the other places become is looked at by nobody: of the
last layer only keys, values and queries are left to work out everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import regex
from torch import Tensor

from textsearch.models.reading.hooks import hooked
from textsearch.models.reading.length_buckets import whole_blocks

Found = TypeVar("Found")

_DOOR = regex.compile(r".*\.layer\.\d+\.attention\.output")


def last_output(model: Any) -> Any | None:
    """The module behind a BERT's last attention, with what it attended to and what it read as inputs; else None."""
    found = [module for name, module in model.named_modules() if _DOOR.fullmatch(name)]
    return found[-1] if found else None


def narrowed(door: Any, places: Tensor, run: Callable[[], Found]) -> Found:
    """What `run` gives while what passes the `door` as (1, T, d) goes on as (1, K', d): the K `places`, and padding."""
    whole = places[whole_blocks(len(places), places.device)]
    return hooked(door, lambda arguments: tuple(argument[:, whole] for argument in arguments), run)
