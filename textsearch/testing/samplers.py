"""The laws of samplers: a step keeps chains on the target, and depends on the state and the random numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from scipy.special import ndtr
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import run_of
from textsearch.kinds import SAMPLER, instance
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee, Info, Sampler, State
from textsearch.testing.chains import Trail, frozen, invariance, seen, significance, well_formed, well_informed
from textsearch.testing.report import Law, LawBroken, Report, name_of, require
from textsearch.testing.spaces import Space, TableObjective, fit, some_frozen
from textsearch.testing.untouched import Watched

LOG_WEIGHTS = "log weights"
"""The name under which a sampler records the weights of its draws."""

_CHAINS = 48  # for laws that hold chain by chain


def check_sampler(
    sampler: Sampler[Any],
    texts: Batch | Sequence[str],
    *,
    steps: int = 3,
    chains: int = 20_000,
    temperature: float = 1.7,
    seed: int = 0,
) -> Report:
    """Check a sampler on a small space: it keeps a random target over `texts`, and its chains do not mix.

    A sampler that calls itself exact must keep chains that start on the target there (Gandy and Scott, 2020): no
    burn-in to argue about. Of one that calls itself consistent and records "log weights", the weighted draws must sum
    to exp(-E / T) without bias, text by text. Of any other only the laws that hold chain by chain are checked.

    Args:
        sampler: what to check.
        texts: a few dozen that its steps connect; all others are forbidden.
        steps: of each chain; as many as there are different ones, if they take turns.
        chains: that start on the target.
        temperature: of the run; another than 1 tells whether it is heeded.
        seed: of the target and the chains.

    Raises:
        LawBroken: names the law, the text or the p-value.

    >>> from samplers import Gibbs
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = Gibbs(TableMaskedLM.random(letters("ab"), seed=0), candidates=2)
    >>> print(check_sampler(sampler, ["aa", "ab", "ba", "bb"]))
    Gibbs: 10 laws hold
      energies           3 steps    those of the texts
      same again         48 rows    bit-equal
      alone              1 row      bit-equal
      batch size         24 rows    bit-equal
      order              48 rows    bit-equal
      padding            48 rows    bit-equal
      cut in two         48 chains  bit-equal
      frozen tokens      37 kept    all kept
      chains that moved  41.1%      above 0.1%
      on the target      p = 0.477  p > 1e-4
    """
    instance("sampler", sampler, SAMPLER)
    steps, seed, chains, temperature = run_of(steps=steps, seed=seed, chains=chains, temperature=temperature)
    space = Space.of(texts, sampler.vocabulary)
    table = space.random_objective(seed)
    promised = isinstance(sampler.guarantee, Guarantee)
    require(promised, "guarantee", sampler, f"guarantee={sampler.guarantee!r} is no textsearch.Guarantee")
    rng = Rng.start(seed, _CHAINS, purpose="laws of a sampler")
    start = space.rows(torch.arange(_CHAINS) % len(space))

    def trail(batch: Batch, streams: Rng) -> Trail:
        state = sampler.init(table, batch)
        state, infos = _steps(sampler, table, state, streams, range(steps), temperature)
        told = {f"{name} at step {step}": getattr(info, name) for step, info in enumerate(infos) for name in _TOLD}
        return seen(state.batch, energy=state.evaluation.energy, **told)

    with torch.inference_mode():
        laws = (
            _states(sampler, table, start, rng, steps, temperature),
            *invariance(sampler, trail, start, rng),
            _in_two(sampler, table, start, rng, steps, temperature),
            _frozen(sampler, table, some_frozen(start, seed), rng, steps, temperature),
            *_target(sampler, table, steps, chains, temperature, seed),
        )
    return Report(name_of(sampler), laws)


_TOLD = ("accepted", "kind", "log_ratio")


def _steps(
    sampler: Sampler[Any], table: Objective, state: State, rng: Rng, steps: range, temperature: float
) -> tuple[State, list[Info]]:
    infos = []
    for step in steps:
        state, info = sampler.step(table, state, rng.at(step, total=steps.stop), temperature)
        infos.append(info)
    return state, infos


def _states(
    sampler: Sampler[Any], table: TableObjective, batch: Batch, rng: Rng, steps: int, temperature: float
) -> Law:
    """Check that states stay as they are and hold the energies of their texts, and that the info is well-formed."""
    watch = Watched.of(batch=batch)
    state = sampler.init(table, batch)
    watch.require(sampler, "init()")
    for step in range(steps):
        watch = Watched.of(state=state, rng=rng)
        state, info = sampler.step(table, state, rng.at(step, total=steps), temperature)
        watch.require(sampler, f"step {step}")
        require(len(state.batch) == len(batch), "one chain a row", sampler, f"{len(batch)} became {len(state.batch)}")
        well_formed(sampler, state.batch)
        well_informed(sampler, sampler.kinds, len(batch), info.kind)
        well = info.accepted.shape == (len(batch),) and info.accepted.dtype == torch.bool
        shape = f"accepted is {tuple(info.accepted.shape)} {info.accepted.dtype}, not ({len(batch)},) torch.bool"
        require(well, "acceptance", sampler, shape)
        require(not bool(info.log_ratio.isnan().any()), "acceptance", sampler, "log_ratio is nan")
        energy = table.energy(state.batch)
        wrong = energy != state.evaluation.energy
        if bool(wrong.any()):
            row = int(wrong.to(torch.int64).argmax())
            raise LawBroken(
                f"{name_of(sampler)} breaks the law of 'energies': after step {step} the state holds "
                f"{float(state.evaluation.energy[row])} for {state.batch.rows([row]).texts()[0]!r}, whose energy is "
                f"{float(energy[row])}"
            )
    return Law("energies", f"{steps} steps", "those of the texts")


def _in_two(sampler: Sampler[Any], table: Objective, batch: Batch, rng: Rng, steps: int, temperature: float) -> Law:
    """Check that a run can go on from a state and the number of the next step: nothing is remembered elsewhere."""
    middle, _ = _steps(sampler, table, sampler.init(table, batch), rng, range(steps), temperature)
    after = range(steps, 2 * steps)
    one, _ = _steps(sampler, table, middle, rng, after, temperature)
    other, _ = _steps(sampler, table, middle, rng, after, temperature)
    differ = ~one.batch.same_text(other.batch)
    row = int(differ.to(torch.int64).argmax())
    require(
        not bool(differ.any()),
        "cut in two",
        sampler,
        f"two runs on from the same state after step {steps} come to {one.batch.rows([row]).texts()[0]!r} and to "
        f"{other.batch.rows([row]).texts()[0]!r}; keep what changes in the state, and change no state in place",
    )
    return Law("cut in two", f"{len(batch)} chains", "bit-equal")


def _frozen(sampler: Sampler[Any], table: Objective, batch: Batch, rng: Rng, steps: int, temperature: float) -> Law:
    try:
        state = sampler.init(table, batch)
    except ValueError:
        return Law("frozen tokens", "refused", "all kept")
    state, _ = _steps(sampler, table, state, rng, range(steps), temperature)
    return frozen(sampler, batch, state.batch)


def _target(
    sampler: Sampler[Any], table: TableObjective, steps: int, chains: int, temperature: float, seed: int
) -> tuple[Law, ...]:
    space = table.space
    batch = table.draw(chains, temperature, seed)
    state = sampler.init(table, batch)
    state, infos = _steps(
        sampler, table, state, Rng.start(seed, chains, purpose="target of a sampler"), range(steps), temperature
    )
    numbers = space.number(state.batch)
    share = float((numbers != space.number(batch)).double().mean())
    few = f"{share:.1%} of the chains came to another of the given texts; list more of them"
    require(share > 0.001, "moves", sampler, few)
    moved = Law("chains that moved", f"{share:.1%}", "above 0.1%")
    if sampler.guarantee is not Guarantee.EXACT:
        log_weights = infos[-1].recorded.get(LOG_WEIGHTS)
        if sampler.guarantee is Guarantee.CONSISTENT and log_weights is not None:
            return moved, _unbiased(sampler, table, numbers, log_weights, temperature)
        return moved, Law("on the target", f"not checked: {sampler.guarantee}", "")
    outside = (numbers < 0) | (state.evaluation.energy == math.inf)
    row = int(outside.to(torch.int64).argmax())
    text = state.batch.rows([row]).texts()[0]
    strange = f"a chain came to {text!r}, which is not listed, or not with these tokens frozen"
    require(not bool(outside.any()), "forbidden texts", sampler, strange)
    p = fit(torch.bincount(numbers, minlength=len(space)), table.law(temperature))
    away = f"chains that start on exp(-E / T), T = {temperature}, have left it after {steps} steps"
    return moved, significance(sampler, "on the target", p, away)


def _unbiased(
    sampler: Sampler[Any], table: TableObjective, numbers: Tensor, log_weights: Tensor, temperature: float
) -> Law:
    """Check that the mean weight of each text is exp(-E / T); then log Z and all weighted means are right."""
    size, rows = len(table.energies), len(numbers)
    weights = log_weights.exp().where(numbers >= 0, 0.0)
    sums = torch.zeros(2, size + 1, dtype=torch.float64).index_add(1, numbers + 1, torch.stack([weights, weights**2]))
    mean, square = sums[:, 1:] / rows
    error = ((square - mean**2) / rows).sqrt()
    exact = (-table.energies / temperature).exp()
    row = int(((mean - exact).abs() / error).nan_to_num(nan=0.0).argmax())
    errors = float((mean[row] - exact[row]).abs() / error[row])
    # of so many texts, the worst
    p = min(1.0, 2 * size * float(ndtr(-errors)))
    text = table.space.batch.rows([row]).texts()[0]
    found = f"{text!r} has mean weight {float(mean[row]):.4g}, but exp(-E / T) = {float(exact[row]):.4g}"
    return significance(sampler, "weights", p, f"{found}, {errors:.1f} standard errors away")
