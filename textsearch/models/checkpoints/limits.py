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


def max_tokens_of(model: Any) -> int:
    """As many as a pass does well with."""
    return 512 if next(model.parameters()).device.type == "cpu" else 16_384


def check_shared(vocabulary: Any, tokenizer: Any, longest: int, name: str | os.PathLike[str]) -> None:
    """A vocabulary that is shared must be of the model's tokens, and allow no longer texts than the model reads."""
    if vocabulary.tokenizer.get_vocab() != tokenizer.get_vocab():
        raise ValueError(f"the model {str(name)!r} has other tokens than the vocabulary: train both with one tokenizer")
    if vocabulary.longest > longest:
        more = vocabulary.longest + tokenizer.num_special_tokens_to_add()
        raise ValueError(
            f"the model {str(name)!r} reads texts of {longest} tokens, and the vocabulary allows {vocabulary.longest}: "
            f"train it with {more} positions, or leave vocabulary= out"
        )


def check_token(model: Any, token: int, name: str | os.PathLike[str]) -> None:
    """A start or an end must be one of the model's tokens."""
    known = int(model.get_input_embeddings().num_embeddings)
    if not 0 <= token < known:
        raise ValueError(f"token {token} is to start or end texts, but {str(name)!r} has {known} tokens, from 0 on")
