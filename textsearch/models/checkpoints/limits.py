"""What a model can read: how much at once, and which tokens."""

from __future__ import annotations

import os
from typing import Any

from textsearch.models.checkpoints.loading import first_position
from textsearch.models.reading.finite import name_of
from textsearch.models.reading.length_buckets import GRAIN


def positions(model: Any) -> int:
    """Tokens that the model can read at once, padding to whole grains included."""
    most = int(getattr(model.config, "max_position_embeddings", 512)) - first_position(model)
    if most < GRAIN:
        raise ValueError(
            f"the model {name_of(model)!r} has positions for {most} tokens, fewer than {GRAIN}: put the checkpoint's "
            "own config.json there, or use a model that reads longer texts"
        )
    return most // GRAIN * GRAIN


def most_tokens(model: Any) -> int:
    """As many as a pass does well with."""
    return 512 if next(model.parameters()).device.type == "cpu" else 16_384


def check_token(model: Any, token: int, name: str | os.PathLike[str]) -> None:
    """A start or an end must be one of the model's tokens."""
    known = int(model.get_input_embeddings().num_embeddings)
    if not 0 <= token < known:
        raise ValueError(f"token {token} is to start or end texts, but {str(name)!r} has {known} tokens, from 0 on")
