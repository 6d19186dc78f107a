"""The block rule against its own law, which is not p^power however many moves it makes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from objectives import Fluency
from samplers import BlockPower
from samplers.block_power import _Draft
from tests.hinted import Hinted, rows_of
from tests.reference import Floats
from tests.samplers.laws import Case
from tests.samplers.test_adaptive_rejection import toy
from tests.samplers.toys import UnderLaw
from textsearch import generate
from textsearch.sampler import Guarantee

POWER, BLOCK, MAX_LENGTH = 1.5, 2, 3
SPACE, SAMPLER = toy(Hinted(rows_of(3, 3, lambda row: True), 3))  # every text
LAW: Any = SPACE.law
LM: Any = SAMPLER.lm
Row = tuple[int, ...]
END = 0


@cache
def chances(before: Row, temperature: float) -> tuple[Floats, Floats]:
    """p^power of what comes next, and the same renormalised."""
    sharp = LAW.following(before, 1.0) ** (POWER / temperature)
    return sharp, sharp / sharp.sum()


def on(row: Row, size: int, temperature: float) -> dict[Row, float]:
    """What a row may have become when it has `size` tokens or its end."""
    if len(row) >= size or row[-1:] == (END,):
        return {row: 1.0}
    found: dict[Row, float] = defaultdict(float)
    for token, chance in enumerate(chances(row, temperature)[1]):
        for longer, more in on((*row, token), size, temperature).items():
            found[longer] += chance * more
    return found


def gain(row: Row, first: int, temperature: float) -> float:
    """p^power / q of what stands behind a cut."""
    parts = [chances(row[:place], temperature) for place in range(first, len(row))]
    return float(np.prod([p[token] / q[token] for (p, q), token in zip(parts, row[first:], strict=True)]))


def moved(row: Row, temperature: float) -> dict[Row, float]:
    """One move of Metropolis-Hastings."""
    found: dict[Row, float] = defaultdict(float)
    for cut in range(len(row)):
        for new, chance in on(row[:cut], len(row), temperature).items():
            taken = min(1.0, gain(new, cut, temperature) / gain(row, cut, temperature))
            found[new] += chance * taken / len(row)
            found[row] += chance * (1 - taken) / len(row)
    return found


def law(moves: int, temperature: float, block: int = BLOCK, max_length: int = MAX_LENGTH) -> dict[Row, float]:
    """Of the rows at the end; one without an end holds a token too many."""
    rows: dict[Row, float] = defaultdict(float, {(): 1.0})
    for done in range(0, max_length + 1, block):
        going = {row: chance for row, chance in rows.items() if row[-1:] != (END,)}
        rows = defaultdict(float, {row: chance for row, chance in rows.items() if row not in going})
        for step in range(moves + 1):
            after: dict[Row, float] = defaultdict(float)
            for row, chance in going.items():
                size = min(done + block, max_length + 1)
                for new, more in (moved(row, temperature) if step else on(row, size, temperature)).items():
                    after[new] += chance * more
            going = after
        for row, chance in going.items():
            rows[row] += chance
    return rows


FOUND = law(1, SPACE.temperature)
DRAWN = np.array([FOUND[(*state.tokens, END)] for state in SPACE.states]) * (SPACE.target > 0)


def matrix() -> Floats:
    """A text of the language by the rule; or nothing comes of it."""
    return np.asarray(DRAWN[None] + np.eye(len(DRAWN)) * (1 - DRAWN.sum()), dtype=np.float64)


class UpsideDown(BlockPower):  # type: ignore[misc]
    """Moves are taken by the inverse of their ratio."""

    def _moved(self, draft: _Draft, exponents: Tensor, rng: Any) -> _Draft:
        cuts = (rng.uniform(0) * draft.sizes).long()
        new = self._written(draft.cut(cuts), draft.sizes, exponents, rng)
        return draft.where(rng.uniform(1).log() < draft.gain(cuts) - new.gain(cuts), new)


HONEST = BlockPower(LM, "ab", power=POWER, block=BLOCK, moves=1, max_length=MAX_LENGTH)
CASE = Case(
    UnderLaw(SPACE, DRAWN / DRAWN.sum()),
    HONEST,
    matrix,
    {
        "ratio upside down": UpsideDown(LM, "ab", power=POWER, block=BLOCK, moves=1, max_length=MAX_LENGTH),
        "moves left out": replace(HONEST, moves=0),
    },
    Guarantee.BIASED,
    steps=1,
)


def test_more_moves_do_not_lead_to_the_power() -> None:
    """In the limit of many moves a text of one block is drawn from a law that still is not p^power."""
    texts = {row: chance for row, chance in law(60, 1.0).items() if row[-1:] == (END,)}
    power = {row: float(np.prod([chances(row[:k], 1.0)[0][token] for k, token in enumerate(row)])) for row in texts}
    drawn, wanted = sum(texts.values()), sum(power.values())
    assert sum(abs(texts[row] / drawn - power[row] / wanted) for row in texts) / 2 > 0.1


def test_rows_do_not_depend_on_one_another_and_ends_count() -> None:
    objective = POWER * Fluency(LM, "ab")
    alone, beside = (
        generate(objective, replace(HONEST, max_length=8, block=3), texts, steps=3, seed=0, chains=4, numbers=numbers)
        for texts, numbers in ((["a"], [1]), (["", "a"], [0, 1]))
    )
    assert alone.texts == beside.texts[4:]
    state = HONEST.init(objective, LM.vocabulary.encode(["ab", ""]))
    assert torch.isfinite(state.evaluation.energy).all()


def test_wrong_calls_are_told() -> None:
    with pytest.raises(ValueError, match=r"block=0 .*at least 1"):
        BlockPower(LM, block=0)
    with pytest.raises(ValueError, match=r"power=-1.*4 is usual"):
        BlockPower(LM, power=-1.0)
