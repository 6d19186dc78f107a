"""How far a chain is from its target after t steps: upper bounds in total variation from L-lag couplings.

Biswas, Jacob and Vanetti, "Estimating convergence of Markov chains with L-lag couplings" (2019). Two chains start from
the same text; X is L steps ahead, and from then on both draw the same random numbers: Y at its step s the numbers of X
at step s + L. Each alone moves as the sampler does. Once they hold the same text they go on together, and with

    tau = the first t >= L at which X after t steps equals Y after t - L,
    TV(law after t steps, target) <= E max(0, ceil((tau - L - t) / L)).

Why: the distance is at most the sum over j >= 1 of those between the laws after t + j L and t + (j - 1) L steps, each
at most the probability that X and Y differ there, P(tau > t + j L); these indicators add up to the bracket.

The target is that of the texts within reach: a chain that cannot leave some part of them converges within it, and the
bound is on the distance to that.

Common random numbers bring chains together where one number picks the same site, and the same token, whatever the text
around. They need not. Exchanges of words, which only permute, never make two texts one while both are taken; of texts
of other lengths, or beyond a barrier, one number picks other places; and among the tens of thousands of tokens of a
real vocabulary, one number picks the same token from two contexts only if these hardly differ: with one open site
pairs meet soon, with several they may not within any number of steps that one could afford. Pairs that have not met
have no bound here, however well the sampler mixes.

An estimate knows only what its pairs have met. Where chains seldom leave the start, or a part of the target that few of
them find, nearly all pairs meet at once, and the rare late ones that carry the bound may be missing. Look at the bound
after 0 steps: a single text is 1 - p(text) away from the target, nearly 1 as a rule, and an estimate well below that
asks for a longer lag and more pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from textsearch import tree
from textsearch.batch import Batch
from textsearch.checks import real, run_of, whole
from textsearch.kinds import OBJECTIVE, SAMPLER, instance
from textsearch.marks import marked
from textsearch.objective import Objective
from textsearch.run.loop import starting_batch, streams
from textsearch.run.state import RunState, step
from textsearch.sampler import ChainState, Guarantee, Sampler

WATCHED = 8
"""Steps for which a pair is run on after it met, to see that it stays together."""


class Bound(NamedTuple):
    """Estimated upper bounds on a total variation distance, of the shape of the steps asked for.

    Attributes:
        value: above 1 they say nothing. 0 where all pairs had met: of n pairs, a share up to 3 / n may be unseen.
        standard_error: of the value; 0 where the value is.
    """

    value: NDArray[np.float64]
    standard_error: NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Meetings:
    """When pairs of chains met.

    Attributes:
        times: (B,) tau, steps of the chain ahead; inf for a pair that had not met within `steps`.
        inputs: (B,) the input of each pair.
        lag: L, steps that one chain of a pair is ahead.
        steps: at most so many were taken.

    >>> meetings = Meetings(np.array([4.0, 9.0]), np.zeros(2, dtype=np.int64), lag=3, steps=100)
    >>> meetings.bound([0, 4, 6]).value.tolist()
    [1.5, 0.5, 0.0]
    >>> meetings.mixing_time(0.5)
    3
    """

    times: NDArray[np.float64]
    inputs: NDArray[np.int64]
    lag: int
    steps: int

    def of(self, number: int) -> Meetings:
        """The pairs of one input."""
        mine = self.inputs == number
        if not mine.any():
            raise ValueError(f"input {number} is none of {sorted(set(self.inputs.tolist()))}")
        return Meetings(self.times[mine], self.inputs[mine], self.lag, self.steps)

    def bound(self, steps: ArrayLike) -> Bound:
        """How far, at most, the law of a chain after so many steps is from the target.

        Of several inputs, the mean of their bounds.

        Raises:
            ValueError: a pair had not met, or a number of steps is below 0.
        """
        after = np.asarray(steps)
        if after.dtype.kind not in "iu" or (after < 0).any():
            raise ValueError(f"steps={steps!r} must be whole numbers of at least 0")
        apart = int(np.isinf(self.times).sum())
        if apart:
            raise ValueError(
                f"{apart} of {len(self.times)} pairs had not met within steps={self.steps}, so there is no bound: take "
                "more; if as many stay apart, common random numbers do not bring chains of this sampler together"
            )
        late = np.ceil((self.times - self.lag - after[..., None]) / self.lag).clip(min=0)
        error = late.std(-1, ddof=1) / math.sqrt(len(self.times)) if len(self.times) > 1 else late.mean(-1) * math.nan
        return Bound(late.mean(-1), error)

    def mixing_time(self, distance: float = 0.25) -> int:
        """The fewest steps after which the bound is at most `distance`: a warm-up that is long enough."""
        distance = real("distance", distance, "lie between 0 and 1", lambda x: 0 < x < 1)
        # from the last meeting on the bound is 0, and it never rises
        every = np.arange(self.steps + 1)
        return int(np.argmax(self.bound(every).value <= distance))


def meeting_times(
    objective: Objective,
    sampler: Sampler[ChainState],
    inputs: Batch | Sequence[str],
    *,
    lag: int,
    steps: int,
    seed: int,
    chains: int,
    temperature: float = 1.0,
) -> Meetings:
    """Run pairs of chains from the given texts until all have met; a pair costs two chains.

    The sampler must keep nothing but texts and energies, and its steps must be alike but for their random numbers. So
    annealing is refused; a sampler that takes turns by the number of the step, such as a `Cycle` or a systematic scan,
    needs a lag that is a multiple of its turns, which cannot be checked here. A longer lag costs more, and is sharper
    as a rule.

    Args:
        objective: the energy.
        sampler: the kernel, exact.
        inputs: texts to start from.
        lag: L, steps that one chain of a pair is ahead.
        steps: at most so many steps of the chain ahead.
        seed: of the random numbers.
        chains: pairs for each input.
        temperature: of the target.

    Raises:
        ValueError: an argument that cannot be meant; a sampler that is not exact; or a pair that met and parted.
        TypeError: a sampler that keeps more than texts and energies.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    >>> meetings = meeting_times(few_a, sampler, ["aa"], lag=20, steps=500, seed=0, chains=100)
    >>> meetings.bound([0, 10, 30]).value.round(2).tolist()
    [0.91, 0.2, 0.01]
    """
    instance("objective", objective, OBJECTIVE)
    instance("sampler", sampler, SAMPLER)
    lag = whole("lag", lag, 1)
    steps, chains = whole("steps", steps, lag + 1), whole("chains", chains, 2)
    steps, seed, chains, temperature = run_of(steps=steps, seed=seed, chains=chains, temperature=temperature)
    if sampler.guarantee != Guarantee.EXACT:
        raise ValueError(
            f"{type(sampler).__name__} is {sampler.guarantee}: the bound is on the distance to exp(-E / T), which only "
            "an exact sampler leaves as it is; of an annealed one, look at the sampler within"
        )
    batch = starting_batch(sampler, inputs)
    objective.check(batch)
    rng = streams(seed, batch, chains)
    batch = marked(objective, batch.repeat(chains))
    with torch.inference_mode():
        start = RunState.start(sampler, objective, batch, rng)
        if type(start.chains) is not ChainState:
            raise TypeError(
                f"the state of {type(sampler).__name__} is a {type(start.chains).__name__}: two chains can be told to "
                "have met only if texts and energies are all they keep, as of MetropolisHastings"
            )
        ahead = start
        for taken in range(lag):
            ahead, _ = step(objective, sampler, ahead, temperature, common=taken)
        # both chains of a pair in one batch, on the numbers of the pair; pairs that are done with leave it
        both = tree.concatenate([ahead, start])
        pairs = torch.arange(len(batch), device=batch.device)
        times = torch.full((len(batch),), math.inf, dtype=torch.float64, device=batch.device)
        watched = torch.zeros_like(pairs)
        for taken in range(lag, steps + 1):
            equal, known = _equal(both.chains), times[pairs] < math.inf
            if bool((known & ~equal).any()):
                pair = int(pairs[known & ~equal][0])
                raise ValueError(
                    f"pair {pair} met after {int(times[pair])} steps and had parted after {taken}: the sampler's step "
                    "depends on more than the text, its energy and the pair's random numbers, such as a hidden state, "
                    "the row in the batch, or energies that change with the batch; that texts are equal proves nothing"
                )
            times[pairs[equal & ~known]] = taken
            watched[pairs] += equal
            left = (watched[pairs] <= WATCHED).nonzero().squeeze(-1)
            both, pairs = tree.rows(both, torch.cat([left, left + len(pairs)])), pairs[left]
            if len(pairs) == 0 or taken == steps:
                break
            both, _ = step(objective, sampler, both, temperature, common=taken)
    return Meetings(times.cpu().numpy(), batch.inputs.cpu().numpy(), lag, steps)


def _equal(both: ChainState) -> Tensor:
    """(B,) bool, whether rows b and B + b of 2 B hold the same text and energy, and the same tokens frozen."""
    first, second = (both.rows(rows) for rows in torch.arange(len(both.batch), device=both.batch.device).chunk(2))
    frozen = (first.batch.editable == second.batch.editable).all(1)
    return first.batch.same_text(second.batch) & frozen & (first.evaluation.energy == second.evaluation.energy)
