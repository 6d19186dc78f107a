"""How draws were made, and whether to trust them: of each prompt a line of figures and a plain word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from samplers.adaptive_rejection import LOG_ENVELOPE
from textsearch.kinds import RESULT, instance
from textsearch.result import Generations
from textsearch.result.diagnostics import FEWEST_DRAWS, autocorrelation, rows_by_input
from textsearch.result.tables import Sheet
from textsearch.sampler import Guarantee
from textsearch.tasks.drawing import INDEPENDENT, MOVED, TRIED
from textsearch.tasks.mask_counts import KINDS

FORGOTTEN = 5.0
"""Autocorrelation times after which a chain counts as having forgotten its start: some e^-10 of it is left."""

WIDEST = 20
"""Characters of a prompt in a report."""

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
        times: autocorrelation times of the energy that the chains ran for, about the mean of all chains, so that chains
            that stay apart have a long one; nan without chains.
        log_z: log of the sum of what the law weighs over all texts, at power 1 of the probability that the model by
            itself writes a text that is allowed, nats, by the share of tries that were taken; nan if none was.
        guarantee: of the sampler.
        judged: texts that a parser has judged and the mask engine has an opinion of, each once a step.
        narrow: how many of them the parser accepts and the mask forbids.
        wide: how many of them the parser refuses and the mask allows.
    """

    prompt: str
    draws: int
    independent: int
    tokens: float
    effective: float
    times: float
    log_z: float
    guarantee: Guarantee
    judged: int = 0
    narrow: int = 0
    wide: int = 0

    @property
    def trusted(self) -> bool:
        """Whether the draws may be taken for draws from the law that was asked for."""
        if self.guarantee is not Guarantee.EXACT or not self.draws:
            return False
        return self.independent == self.draws or self.times >= FORGOTTEN

    @property
    def word(self) -> str:
        """Whether to trust the draws, and what to do if not."""
        chains = self.draws - self.independent
        if not self.draws:
            return "no: there are no draws"
        if self.guarantee is Guarantee.CONSISTENT:
            return (
                f"nearly: picked from weighted texts worth {self.effective:.0f} independent draws, exact as they grow "
                "in number; take more --draws, or --sampler particle-gibbs"
            )
        if self.guarantee is not Guarantee.EXACT:
            return "no: masking token by token favours some texts over others; take another --sampler for draws"
        if not chains:
            return "yes: independent draws by rejection, exact"
        made = "all" if chains == self.draws else f"{chains} of {self.draws}"
        ran = f"{made} from chains, {self.times:.0f} autocorrelation times long"
        if self.trusted:
            return f"yes: {ran}"
        return f"not yet: {ran}, where {FORGOTTEN:.0f} are wanted; take more --steps"


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
        times=math.nan,
        log_z=math.nan,
        guarantee=Guarantee.EXACT if all(one.guarantee is Guarantee.EXACT for one in found) else Guarantee.BIASED,
        judged=sum(one.judged for one in found),
        narrow=sum(one.narrow for one in found),
        wide=sum(one.wide for one in found),
    )
    trusted = sum(one.trusted for one in found)
    words = [f"trust {_short(one.prompt)}? {one.word}" for one in listed]
    if total.judged:
        words.append(mask_word(total))
    if len(found) > 1:
        words.append(f"trusted: {trusted} of {len(found)} prompts")
    return Sheet(
        ("prompt", "draws", "independent", "effective", "tokens/draw", "log Z"),
        tuple(map(_figures, listed)),
        total=_figures(total) if len(found) > 1 else None,
        caption="\n".join(words),
    )


def mask_word(one: Account) -> str:
    """Where the mask of what may come next and the parser differ."""
    if not one.narrow and not one.wide:
        return f"mask and parser agree on the {one.judged} texts that both judged"
    return (
        f"mask and parser differ on {one.narrow + one.wide} of {one.judged} texts, and the parser is right: the mask "
        f"forbids {one.narrow} that it accepts, and allows {one.wide} that it refuses"
    )


def _short(prompt: str) -> str:
    plain = " ".join(prompt.split())
    return plain if len(plain) <= WIDEST else plain[: WIDEST - 3] + "..."


def _figures(one: Account) -> tuple[str, ...]:
    return (
        _short(one.prompt),
        str(one.draws),
        str(one.independent),
        f"{one.effective:.1f}",
        f"{one.tokens:.0f}",
        "" if math.isnan(one.log_z) else f"{one.log_z:.2f}",
    )


def _account(result: Generations, number: int, rows: NDArray[np.int64], tokens: float) -> Account:
    held = result.recorded[INDEPENDENT][-1][rows] if INDEPENDENT in result.recorded else np.zeros(len(rows), bool)
    chains = rows[~held]
    times = _times(result, chains)
    independent = int(held.sum())
    judged, narrow, wide = (
        int(result.recorded[kind][-1][rows[0]]) if kind in result.recorded and result.steps else 0 for kind in KINDS
    )
    if result.guarantee is Guarantee.CONSISTENT:
        # of the population that the draws were picked from
        effective = float(result.recorded["effective sample size"][-1][rows[0]])
        log_z = float(result.recorded["log partition"][-1][rows[0]])
    else:
        effective = independent + (min(len(chains), len(chains) * times / 2) if len(chains) else 0.0)
        log_z = _log_z(result, rows, independent)
    return Account(
        prompt=result.sources[number],
        draws=len(rows),
        independent=independent,
        tokens=tokens,
        effective=effective,
        times=times,
        log_z=log_z,
        guarantee=result.guarantee,
        judged=judged,
        narrow=narrow,
        wide=wide,
    )


def _log_z(result: Generations, rows: NDArray[np.int64], taken: int) -> float:
    """By the share of tries that were taken, without bias (Haldane, 1945); nan where too few were."""
    if taken < 2 or TRIED not in result.recorded or result.guarantee is not Guarantee.EXACT:
        return math.nan
    tried = int(result.recorded[TRIED][-1][rows[0]])
    return float(result.recorded[LOG_ENVELOPE][-1][rows[0]]) + math.log((taken - 1) / (tried - 1))


def _times(result: Generations, chains: NDArray[np.int64]) -> float:
    """For how many autocorrelation times of the energy the chains ran, by the later half of their moves."""
    if not len(chains):
        return math.nan
    moved = result.recorded[MOVED][:, chains] if MOVED in result.recorded else np.ones((result.steps, len(chains)))
    begun = int((moved == 0).sum(0).max())  # from here on each chain stands at a text that is allowed
    moves = result.steps - begun
    later = result.trace[begun + moves // 2 :, chains].T
    if later.shape[1] < FEWEST_DRAWS:
        return 0.0
    if np.ptp(later) == 0:
        # one text, or texts of one energy; chains that never moved have shown nothing
        return float(moves) if result.recorded["accepted"][begun:, chains].any() else 0.0
    return moves / _time(later)


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
