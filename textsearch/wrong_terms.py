"""What is said of terms that do not add up to an energy."""

from __future__ import annotations

import math

from torch import Tensor

from textsearch.batch import Batch


def instead_of(other: object) -> str:
    """What to write in place of something that is no objective and is to be added to one."""
    if isinstance(other, type):
        return f"make one, {other.__name__}(...)"
    return "wrap a function of texts in FunctionObjective, and leave constants out, which change no draw"


def no_energy(name: str, own: Tensor, weight: float, before: Tensor, bad: int, row: int, part: Batch) -> str:
    """What is wrong with `own[bad]`, the energy of row `row` of a batch, and what to do about it.

    Args:
        name: of the term.
        own: (K,) energies of the term, nats.
        weight: of the term.
        before: (K,) energies of the terms before it, nats.
        bad: the row that is wrong, among these.
        row: the same among all.
        part: the K rows.
    """
    found = f"{float(own[bad]):g}"
    if math.isfinite(float(own[bad])):
        found += f", which times its weight {weight:g} and added to {float(before[bad]):g} is beyond all numbers,"
    return (
        f"objective {name!r} gave {found} for row {row}, {part.rows([bad]).texts()[0]!r}; "
        "an energy is a finite number of nats, the lower the better; return +inf to forbid a text"
    )
