"""Laws that proposals and samplers share: a chain is a function of its seed and number alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.rng import Rng
from textsearch.testing.report import Law, LawBroken, name_of, require
from textsearch.testing.spaces import frozen_tokens, widened

Trail = Mapping[str, Sequence[object]]
"""What was seen of each row, by name: lists with one entry a row."""

Run = Callable[[Batch, Rng], Trail]


def seen(batch: Batch, **tensors: Tensor) -> Trail:
    """The texts of a batch and the other values of its rows."""
    marks = [row[:n] for row, n in zip(batch.editable.tolist(), batch.lengths.tolist(), strict=True)]
    values = {name: tensor.tolist() for name, tensor in tensors.items()}
    return {"tokens": batch.token_lists(), "frozen marks": marks, **values}


def invariance(thing: object, run: Run, batch: Batch, rng: Rng) -> tuple[Law, ...]:
    """Check, bit for bit, that a row's result depends on its own random numbers and text only."""
    whole = run(batch, rng)
    every = torch.arange(len(batch))
    mixed = torch.randperm(len(batch), generator=torch.Generator().manual_seed(1))
    some = mixed[: len(batch) // 2].sort().values
    one = every[len(batch) // 2 :][:1]
    trials = {
        "same again": (batch, every, "when run again with the same seed"),
        "alone": (batch.rows(one), one, "when alone"),
        "batch size": (batch.rows(some), some, f"among {len(some)} rows, not {len(batch)}"),
        "order": (batch.rows(mixed), mixed, "in another order"),
        "padding": (widened(batch), every, "with three columns of padding more"),
    }
    for law, (part, rows, how) in trials.items():
        found = run(part, rng.rows(rows))
        for name, values in whole.items():
            for place, row in enumerate(rows.tolist()):
                mine, theirs = values[row], found[name][place]
                if mine != theirs and not (mine != mine and theirs != theirs):  # nan is nan
                    text = batch.rows([row]).texts()[0]
                    raise LawBroken(
                        f"{name_of(thing)} breaks the law of {law!r}: from {text!r}, chain {int(rng.chain[row])} has "
                        f"{name} {mine!r}, but {theirs!r} {how}; draw from `rng` alone, a fixed count a row"
                    )
    return tuple(
        Law(law, "1 row" if len(rows) == 1 else f"{len(rows)} rows", "bit-equal")
        for law, (_, rows, _) in trials.items()
    )


def frozen(thing: object, before: Batch, after: Batch) -> Law:
    """Check that frozen tokens are kept, in their order."""
    kept, now = frozen_tokens(before), frozen_tokens(after)
    for row, (mine, theirs) in enumerate(zip(kept, now, strict=True)):
        if mine != theirs:
            text, other = before.rows([row]).texts()[0], after.rows([row]).texts()[0]
            raise LawBroken(
                f"{name_of(thing)} breaks the law of 'frozen tokens': {text!r} became {other!r}, and the frozen tokens "
                f"{mine} became {theirs}; touch no token where batch.editable is False"
            )
    return Law("frozen tokens", f"{sum(map(len, kept))} kept", "all kept")


def well_formed(thing: object, batch: Batch) -> None:
    """Check that a batch holds nothing beyond the lengths."""
    beyond = ~batch.present
    require(
        not bool(batch.tokens[beyond].any()) and not bool(batch.editable[beyond].any()),
        "well-formed batch",
        thing,
        "there are tokens, or editable marks, beyond a row's length; they must be 0 and False there",
    )
    allowed = batch.tokens.ge(0) & batch.tokens.lt(batch.vocabulary.size)
    require(bool(allowed.all()), "well-formed batch", thing, "a token id is not in the vocabulary")


def well_informed(thing: object, kinds: Sequence[str], rows: int, kind: Tensor, **logs: Tensor) -> None:
    """Check that kinds are indices into the names, and log-values are float64 numbers, one for each row."""
    shape = f"kind is {tuple(kind.shape)} {kind.dtype}, not ({rows},) torch.int64"
    require(kind.shape == (rows,) and kind.dtype == torch.int64, "kinds", thing, shape)
    inside = bool(((kind >= 0) & (kind < len(kinds))).all())
    require(inside, "kinds", thing, f"kind goes up to {int(kind.max())}, but there are {len(kinds)} kinds")
    for name, log in logs.items():
        shape = f"{name} is {tuple(log.shape)} {log.dtype}, not ({rows},) torch.float64"
        require(log.shape == (rows,) and log.dtype == torch.float64, "log-probabilities", thing, shape)
        wrong = log.isnan() | (log == math.inf)
        require(not bool(wrong.any()), "log-probabilities", thing, f"{name} is nan or +inf in {int(wrong.sum())} rows")


def significance(thing: object, law: str, p: float, what: str) -> Law:
    """Check that a p-value is not too small for chance."""
    require(p > 1e-4, law, thing, f"p = {p:.0e}, not above 1e-4: {what}" if p > 0 else f"p below 1e-300: {what}")
    return Law(law, f"p = {p:.3f}", "p > 1e-4")
