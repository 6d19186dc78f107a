"""How draws were made, and whether to trust them: of each prompt a line of figures and a plain word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from textsearch.kinds import RESULT, instance, shown
from textsearch.result import Generations
from textsearch.result.diagnostics import autocorrelation, rows_by_input
from textsearch.result.tables import Sheet
from textsearch.sampler import Guarantee
from textsearch.tasks.drawing import INDEPENDENT, MOVED

AGREE = 1.1
"""The largest split R-hat of the energies at which chains count as agreeing (Gelman et al., 2013)."""

FORGOTTEN = 10.0
"""Autocorrelation times after which a chain counts as having forgotten its start."""

MOST_LINES = 20
"""Prompts that a report lists."""


@final
@dataclass(frozen=True)
class Account:
    """Of one prompt, how its draws were made.

    Attributes:
        prompt: what the draws come after.
        draws: how many there are.
        independent: how many of them were taken by rejection; the others are where a chain ended.
        tokens: that models read for each draw, those of the whole run shared evenly.
        effective: independent draws that they are worth, for the mean of the energy.
        r_hat: split R-hat of the energies of the chains over the later half of their moves; nan without chains.
        times: autocorrelation times that the chains ran for; nan without chains.
        log_z: log of the probability that the model itself writes a text that is allowed, nats; nan if not known.
        refused: texts that the mask let pass to their end and the parser refused.
        missed: draws that the mask would not have let pass.
        exact: whether the sampler leaves the law invariant at all.
    """

    prompt: str
    draws: int
    independent: int
    tokens: float
    effective: float
    r_hat: float
    times: float
    log_z: float
    refused: int
    missed: int
    exact: bool

    @property
    def trusted(self) -> bool:
        """Whether the draws may be taken for draws from the law that was asked for."""
        if not self.exact or not self.draws:
            return False
        return self.independent == self.draws or (self.r_hat <= AGREE and self.times >= FORGOTTEN)

    @property
    def word(self) -> str:
        """Whether to trust the draws, and what to do if not."""
        chains = self.draws - self.independent
        if not self.draws:
            return "no draws"
        if not self.exact:
            return "not the model's law: masking favours some texts; for draws take another --sampler"
        if not chains:
            return "yes: exact, independent draws"
        if self.trusted:
            return f"yes: {chains} from chains that agree and have forgotten their starts"
        if not self.r_hat <= AGREE:
            return "not yet: the chains do not agree; take more --steps"
        return "not yet: the chains may remember their starts; take more --steps"


def accounts(result: Generations) -> list[Account]:
    """Of each prompt of a result of `sample`, how its draws were made and whether to trust them."""
    instance("result", result, RESULT)
    tokens = sum(usage.tokens for usage in result.usage.values()) / max(len(result), 1)
    return [_account(result, number, rows, tokens) for number, rows in rows_by_input(result.inputs)]


def report(result: Generations) -> Sheet:
    """The same as a table: `print(report(result))`."""
    return sheet(accounts(result))


def sheet(found: Sequence[Account]) -> Sheet:
    """Accounts as a table; of many prompts those that are not to be trusted come first, and the rest is left out."""
    listed = sorted(found, key=lambda one: one.trusted)[:MOST_LINES] if len(found) > MOST_LINES else found
    draws = sum(one.draws for one in found)
    total = Account(
        prompt="all",
        draws=draws,
        independent=sum(one.independent for one in found),
        tokens=sum(one.tokens * one.draws for one in found) / max(draws, 1),
        effective=sum(one.effective for one in found),
        r_hat=math.nan,
        times=math.nan,
        log_z=math.nan,
        refused=sum(one.refused for one in found),
        missed=sum(one.missed for one in found),
        exact=all(one.exact for one in found),
    )
    trusted = sum(one.trusted for one in found)
    return Sheet(
        (
            "prompt",
            "draws",
            "independent",
            "effective",
            "tokens a draw",
            "R-hat",
            "log Z",
            "mask too wide",
            "mask too narrow",
            "trust",
        ),
        tuple((*_figures(one), one.word) for one in listed),
        total=(*_figures(total), f"{trusted} of {len(found)} prompts") if len(found) > 1 else None,
        caption="" if len(listed) == len(found) else f"{len(listed)} of {len(found)} prompts",
    )


def _figures(one: Account) -> tuple[str, ...]:
    return (
        one.prompt if len(one.prompt) <= 24 else shown(one.prompt, 24)[1:-1],
        str(one.draws),
        str(one.independent),
        f"{one.effective:.1f}",
        f"{one.tokens:.0f}",
        "" if math.isnan(one.r_hat) else f"{one.r_hat:.2f}",
        "" if math.isnan(one.log_z) else f"{one.log_z:.2f}",
        str(one.refused),
        str(one.missed),
    )


def _account(result: Generations, number: int, rows: NDArray[np.int64], tokens: float) -> Account:
    held = result.recorded[INDEPENDENT][-1][rows] if INDEPENDENT in result.recorded else np.zeros(len(rows), bool)
    chains = rows[~held]
    r_hat, times = _agreement(result, chains)
    independent = int(held.sum())
    return Account(
        prompt=result.sources[number],
        draws=len(rows),
        independent=independent,
        tokens=tokens,
        effective=independent + (min(len(chains), len(chains) * times / 2) if len(chains) else 0.0),
        r_hat=r_hat,
        times=times,
        log_z=math.nan,
        refused=0,
        missed=0,
        exact=result.guarantee is Guarantee.EXACT,
    )


def _agreement(result: Generations, chains: NDArray[np.int64]) -> tuple[float, float]:
    """Split R-hat of the later half of the energies, and how many autocorrelation times the chains ran."""
    if not len(chains):
        return math.nan, math.nan
    moved = result.recorded[MOVED][:, chains] if MOVED in result.recorded else np.ones((result.steps, len(chains)))
    begun = int((moved == 0).sum(0).max())  # from here on each chain stands at a text that is allowed
    moves = result.steps - begun
    later = result.trace[begun + moves // 2 :, chains].T
    if later.shape[1] < 4:
        return math.inf, 0.0
    if np.ptp(later) == 0:
        # one text, or texts of one energy; chains that never moved have shown nothing
        taken = result.recorded["accepted"][begun:, chains]
        return (1.0, float(moves)) if taken.any() else (math.inf, 0.0)
    return _split_r_hat(later), moves / _time(later)


def _split_r_hat(draws: NDArray[np.float64]) -> float:
    """R-hat of (chains, draws) numbers, each chain cut in two (Gelman et al., 2013); inf if halves stand still apart."""
    half = draws.shape[1] // 2
    halves = np.concatenate([draws[:, :half], draws[:, -half:]])
    within, between = halves.var(1, ddof=1).mean(), halves.mean(1).var(ddof=1)
    return math.sqrt((half - 1) / half + between / within) if within else math.inf


def _time(draws: NDArray[np.float64]) -> float:
    """Integrated autocorrelation time of (chains, draws) numbers, by pairs that stay positive (Geyer, 1992)."""
    found = autocorrelation(draws, draws.shape[1] - 1)
    total = -1.0
    for first in range(0, len(found) - 1, 2):
        pair = float(found[first] + found[first + 1])
        if pair <= 0:
            break
        total += 2 * pair
    return max(total, 1.0)
