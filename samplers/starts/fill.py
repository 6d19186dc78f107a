"""Fill the masks of a text: a start for chains on texts with gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from samplers.proposals.sites import masks, tokens_by_role
from textsearch.batch import Batch
from textsearch.models.protocols import MaskedLM
from textsearch.rng import Rng, categorical


def fill_masks(mlm: MaskedLM, batch: Batch, seed: int, numbers: Sequence[int] | None = None) -> Batch:
    """`batch` with each mask replaced by a word, drawn from `mlm` one at a time from left to right.

    Only the tokens that were masks are editable afterwards; rows that must differ should be repeated beforehand, since
    the c-th row of an input draws from stream c. `numbers[i]` is the number of input i among all, by default i.

    >>> from textsearch.testing import TableMaskedLM, letters
    >>> model = TableMaskedLM.random(letters("ab"), seed=0)
    >>> filled = fill_masks(model, model.vocabulary.encode(["a__b"]), seed=0)
    >>> filled.texts()[0][0], filled.texts()[0][-1], filled.editable.tolist()
    ('a', 'b', [[False, True, True, False]])
    """
    vocabulary = mlm.vocabulary
    gaps = masks(batch)
    words, _ = tokens_by_role(vocabulary, batch.device)
    rng = Rng.of(seed, batch.inputs, numbers, purpose="fill")
    filled = batch
    with torch.inference_mode():
        for draw in range(int(gaps.sum(1).max()) if len(batch) else 0):
            is_open = masks(filled)
            rows = is_open.any(1).nonzero().squeeze(-1)
            position = is_open.to(torch.int64).argmax(1)
            log_probs = mlm.log_probs(filled, rows, position[rows]).to(torch.float64)
            drawn = categorical(log_probs.masked_fill(~words, -math.inf), rng.rows(rows).uniform(draw))
            tokens = filled.tokens.clone()
            tokens[rows, position[rows]] = drawn
            filled = replace(filled, tokens=tokens)
    return replace(filled, editable=gaps)
