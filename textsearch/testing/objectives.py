"""The laws of objectives: an energy is a function of a row's own text, whatever the rest of the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import strings
from textsearch.kinds import OBJECTIVE, instance, nature, shown
from textsearch.objective import Limit, Objective
from textsearch.testing.report import Law, LawBroken, Report, name_of, require
from textsearch.testing.spaces import widened
from textsearch.testing.toys import letters
from textsearch.testing.untouched import Watched


def check_objective(objective: Objective, texts: Batch | Sequence[str], *, tolerance: float = 0.0) -> Report:
    """Check that the energies of `texts` are numbers that depend on each row's own text alone.

    Args:
        objective: what to check.
        texts: of different lengths, best with some that are forbidden. Strings are read letter by letter; give a batch,
            `vocabulary.encode(texts)`, to an objective that looks at the tokens of a model.
        tolerance: nats by which energies may differ, for models on devices whose sums depend on the batch.

    Raises:
        ValueError: fewer than two texts of different lengths.
        LawBroken: names the law, the text and the values.

    >>> from textsearch import FunctionObjective
    >>> print(check_objective(FunctionObjective(lambda texts: [len(text) for text in texts]), ["ab", "", "c"]))
    FunctionObjective: 11 laws hold
      shape and type    (3,) torch.float64  (B,) float64
      energies          0 forbidden         finite or +inf
      lower bound       0 nats              -inf nats
      repeated call     0 nats              0 nats
      alone             0 nats              0 nats
      order and copies  0 nats              0 nats
      padding           0 nats              0 nats
      frozen marks      0 nats              0 nats
      limits            0 nats              0 nats
      no rows           (0,)                (0,)
      input untouched   yes                 yes
    """
    instance("objective", objective, OBJECTIVE)
    batch = texts if isinstance(texts, Batch) else _by_letter(strings("texts", texts))
    if len(batch) < 2:
        raise ValueError(f"{len(batch)} texts cannot be told apart: give at least 2, of different lengths")
    watch = Watched.of(batch=batch)
    with torch.inference_mode():
        whole = objective.energy(batch)
        if not isinstance(whole, Tensor):
            raise LawBroken(
                f"{name_of(objective)} breaks the law of 'shape and type': energy() gave {nature(whole)}, "
                f"{shown(whole)}, not a tensor; write torch.tensor(values, dtype=torch.float64)"
            )
        kind = f"{tuple(whole.shape)} {whole.dtype}"
        require(
            whole.shape == (len(batch),) and whole.dtype == torch.float64,
            "shape and type",
            objective,
            f"energy() of {len(batch)} texts is {kind}, not ({len(batch)},) torch.float64",
        )
        wrong = whole.isnan() | (whole == -math.inf)
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise LawBroken(
                f"{name_of(objective)} breaks the law of 'energies': {_text(batch, row)} has energy "
                f"{float(whole[row])}; it must be a number, or +inf to forbid the text"
            )

        lowest = float(whole.min())
        require(
            lowest >= objective.lower_bound,
            "lower bound",
            objective,
            f"{_text(batch, int(whole.argmin()))} has energy {lowest}, below its lower bound {objective.lower_bound}",
        )

        def same(law: str, energy: Tensor, rows: Tensor, how: str) -> Law:
            """`energy` must be that of `rows` of the batch."""
            gap = (energy - whole[rows]).abs().where(energy != whole[rows], 0.0)
            worst = int(gap.nan_to_num(nan=math.inf).argmax())
            require(
                float(gap[worst]) <= tolerance,
                law,
                objective,
                f"{_text(batch, int(rows[worst]))} has energy {float(whole[rows[worst]])}, but "
                f"{float(energy[worst])} {how}",
            )
            return Law(law, f"{float(gap.max()):.3g} nats", f"{tolerance:.3g} nats")

        every = torch.arange(len(batch))
        mixed = torch.cat([every.flip(0), every])
        alone = torch.cat([objective.energy(batch.rows([row])) for row in every.tolist()])
        none = objective.energy(batch.rows([]))
        require(none.shape == (0,), "no rows", objective, f"of no texts it has shape {tuple(none.shape)}, not (0,)")
        laws = (
            Law("shape and type", kind, "(B,) float64"),
            Law("energies", f"{int((whole == math.inf).sum())} forbidden", "finite or +inf"),
            Law("lower bound", f"{lowest:.3g} nats", f"{objective.lower_bound:.3g} nats"),
            same("repeated call", objective.energy(batch), every, "when asked again"),
            same("alone", alone, every, "when asked alone"),
            same("order and copies", objective.energy(batch.rows(mixed)), mixed, "in another order, among copies"),
            same("padding", objective.energy(widened(batch)), every, "with three columns of padding more"),
            same(
                "frozen marks",
                objective.energy(replace(batch, editable=torch.zeros_like(batch.editable))),
                every,
                "when its tokens are frozen",
            ),
            same("limits", _limited(objective, batch, whole), every, "where that is within its limit"),
            Law("no rows", "(0,)", "(0,)"),
        )
    watch.require(objective, "energy()")
    return Report(name_of(objective), (*laws, Law("input untouched", "yes", "yes")))


def _limited(objective: Objective, batch: Batch, whole: Tensor) -> Tensor:
    """(B,) the energies `whole`, or, where `energy_within` gives a wrong one, that.

    Every other row has a limit above its energy and must have that energy; the rest have limits below, and any energy
    above those will do.
    """
    found = whole.clone()
    for first in (0, 1):
        within = (torch.arange(len(batch)) % 2 == first) | (whole == math.inf)
        gap = torch.where(within, 1.0, -1.0) * 1e-3 * (1 + whole.abs().nan_to_num(posinf=0.0))
        limit = (whole + gap).nan_to_num(posinf=1e6)
        within_this = Limit(limit, batch.rows(torch.arange(len(batch)).roll(first)))
        watch = Watched.of(batch=batch, limit=within_this)
        given = objective.energy_within(batch, within_this)
        watch.require(objective, "energy_within()")
        right = (given == whole) | (~(whole <= limit) & (given > limit))
        found = torch.where(right, found, given)
    return found


def _by_letter(texts: Sequence[str]) -> Batch:
    """The texts, one token a letter."""
    return letters("".join(sorted(set("".join(texts)) - {"_"}))).encode(list(texts))


def _text(batch: Batch, row: int) -> str:
    return repr(batch.rows([row]).texts()[0])
