"""Adaptive weighted rejection sampling: populations of texts whose tokens are tested one by one, not all at once.

Lipkin et al., "Fast controlled generation from language models with adaptive weighted rejection sampling", COLM 2025.
A mask needs an answer for every token of the vocabulary; here a token is drawn from the language model, tested, and if
it fails never drawn again at this place. With p its law, r_k the probability of the first k tokens that failed, and m
of these before the second token that passes (the first may be drawn twice),

    x = the first token that passes, a draw from p restricted to the tokens that would pass,
    z = 1 / (sum over k = 0 .. m of 1 / (1 - r_k)), whose mean is the probability that a draw passes.

Why z has no bias: a draw passes with probability Z / (1 - r_k) after k failures, so that given all that failed, the
first of the two passes came after k failures with probability in proportion to 1 / (1 - r_k). Z itself is the
probability of k = 0, and z that of k = 0 given what failed. What passes does not depend on what failed before, so x and
z are independent, and z p(x) / Z of them has the mean p(x): the token is properly weighted by z.

Texts grow so side by side, and are resampled in proportion to their weights where these have become uneven (sequential
Monte Carlo). Ends are paid for once all texts have come to theirs: z of the end, and exp(-E / T) in place of all that
the weights have assumed. Else texts whose end, often the least likely token of all, still lies before them would win.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.one_token_lm import OfTokenLM
from samplers.populations import Populations, check_alike, log_sum, systematic
from samplers.proposals.cuts import first_cuts
from samplers.unfinished import (
    Unfinished,
    alike,
    beginnings,
    chunks,
    drawn,
    effective_size,
    finish,
    next_laws,
)
from samplers.weights import LOG_WEIGHTS, POPULATION_KIND
from textsearch.batch import Batch
from textsearch.checks import positive, real
from textsearch.in_time import InTime
from textsearch.models.protocols import TokenLM
from textsearch.objective import Cost, Objective, Sum, evaluate, impossible_by, proper
from textsearch.per_input import PerInput
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info

_TOKENS, _RESAMPLE = range(2)  # tags
# tokens drawn at once, before it is known which fail: two that pass are enough, else twice as many
_FIRST, _MOST = 2, 4096
# share of what was left at the beginning of a block down to which differences tell what is left
_PLAIN = 1e-3


@final
@dataclass(frozen=True)
class AdaptiveWeightedRejection(OfTokenLM):
    """A fresh population of weighted texts every step, token by token, each token tested before it is taken.

    Consistent: for any f, E[mean over a population of w f(x)] = sum over the texts of exp(-E / T) f(x), for populations
    of any size, over the texts of at most `max_length` tokens. So the mean weight is an unbiased estimate of Z; as
    populations grow, weighted means become exact, and so do those over many steps.

    A token fails if the objective proves that no text begins so (`Objective.impossible`), and the end of a text if the
    hard terms forbid it: both are the truth of the run's own objective. Masks (`allowed_next`) are not asked, for they
    may be too narrow, and a text of the language that could not be drawn would be missing in every estimate. Where
    nothing can be proven this is plain sequential Monte Carlo, and texts fail at their end.

    The chains of one input are the particles of its population, so give many: `generate(..., chains=64)`. Particles
    that were resampled are relatives; the populations of two steps are independent. `importance_summary` tells log Z
    and its error from those of all steps, `resampled_texts` gives texts of one weight, and `weighted_mean` of the
    log-weights what they say of a quantity; its error takes relatives for strangers, and is too small.

    Recorded at each step, (B,): "log weights" of the step's texts, "log partition", the estimate of log Z of the
    population, "effective sample size", in particles, and "tests", the tokens that were tested for a particle.

    The starting text counts only by the frozen tokens that it begins with. A particle that came to nothing has weight 0
    and energy +inf; if all have, log Z is -inf. In a `Cycle` or `Mixture` other samplers would move the texts, and the
    weights would no longer belong to them, so nothing is guaranteed there.

    Attributes:
        lm: writes the texts, in tokens of its own.
        prompt: what the model reads first, one for all inputs or one for each.
        power: weight of the model's log p in the energy: tokens are drawn from p^(power / T). Any is consistent.
        max_length: tokens of the longest text, frozen ones counted.
        ess: a population is resampled where its effective sample size is below this share of its particles.

    >>> from objectives import Choices, Fluency
    >>> from samplers import importance_summary
    >>> from textsearch import generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("ab"), seed=0)
    >>> choices = Choices(["ab", "ba", "bbb"])
    >>> sampler = AdaptiveWeightedRejection(lm, max_length=4)
    >>> result = generate(Fluency(lm) + choices, sampler, [""], steps=50, seed=0, chains=8)
    >>> [found] = importance_summary(result)
    >>> exact = lm.score(lm.vocabulary.encode(choices.choices[0])).log_prob.logsumexp(0)
    >>> bool(abs(found.log_z.value - exact) < 4 * found.log_z.error)
    True
    """

    lm: TokenLM
    prompt: str | Sequence[str] = ""
    power: float = 1.0
    max_length: int = 64
    ess: float = 0.5
    _prompts: PerInput[str] = field(init=False, repr=False, compare=False)

    kinds: ClassVar = (POPULATION_KIND,)
    guarantee: ClassVar = Guarantee.CONSISTENT
    starts_anywhere: ClassVar = True
    """The starting text is no draw, and its energy is not asked."""

    def __post_init__(self) -> None:
        must = "be a share of the particles, from 0 (never resample) to 1"
        self._keep(
            power=positive("power", self.power, remedy=", the weight of the language model in the energy"),
            ess=real("ess", self.ess, must, lambda x: 0 <= x <= 1),
        )

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The starting texts, with energy +inf because they are not draws."""
        self.check(batch)
        if len(batch):
            check_alike(batch)
        return ChainState(batch, evaluate(objective, batch, wanted=torch.zeros_like(batch.lengths, dtype=torch.bool)))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """A fresh population for every input; `temperature` may be (B,), the same for the rows of one input."""
        batch, device = state.batch, state.batch.device
        heat = torch.as_tensor(temperature, dtype=torch.float64, device=device).expand(len(batch))
        populations = Populations.of(batch.inputs, rng.chain)
        cuts = first_cuts(batch)
        room = max(0, int((self.max_length - cuts).max()))
        texts = Unfinished.start(batch, cuts, room)
        log_weights = torch.zeros(len(batch), dtype=torch.float64, device=device)
        log_targets, log_ends, tests = (torch.zeros_like(log_weights) for _ in range(3))
        evaluation = evaluate(objective, batch, wanted=log_weights > 0)
        for place in range(room + 1):
            going = (~texts.ended & (log_weights > -math.inf)).nonzero().squeeze(-1)
            if not len(going):
                break
            token, gain, log_prob, tested = self._tokens(
                objective, texts.rows(going), heat[going], rng.fold(_TOKENS).fold(place).rows(going)
            )
            tests[going] += tested
            # an end is paid for when all have ended
            ends = (token == self.lm.eos) & (gain > -math.inf)
            log_weights[going] += gain.masked_fill(ends, 0.0)
            log_ends[going[ends]] = gain[ends]
            alive = gain > -math.inf
            log_targets[going] += log_prob.where(alive, 0.0)
            texts = texts.grown(going[alive], token[alive], self.lm.eos)
            evaluation, log_weights = finish(objective, texts, going[ends], evaluation, log_weights)
            source, log_weights = self._resampled(populations, log_weights, ~texts.ended, rng.fold(_RESAMPLE), place)
            texts, log_targets, log_ends = texts.copied(source), log_targets[source], log_ends[source]
            evaluation = evaluation.rows(source)
        log_final = log_ends - evaluation.energy / heat - log_targets
        log_weights = log_weights + log_final.where(log_weights > -math.inf, 0.0)
        log_weights = log_weights.where(texts.ended, -math.inf)
        table = populations.table(log_weights, -math.inf)
        dead = (table == -math.inf).all(1)
        log_partition = log_sum(table.where(~dead[:, None], populations.even)) - populations.size.log()
        recorded = {
            LOG_WEIGHTS: log_weights,
            "log partition": log_partition.masked_fill(dead, -math.inf)[populations.number],
            "effective sample size": effective_size(table)[populations.number],
            "tests": tests,
        }
        kind = torch.zeros_like(batch.lengths)
        after = ChainState(texts.batch(), evaluation)
        return after, Info(log_weights > -math.inf, kind, log_weights, recorded)

    def _resampled(
        self, populations: Populations, log_weights: Tensor, going: Tensor, rng: Rng, place: int
    ) -> tuple[Tensor, Tensor]:
        """(B,) which row each goes on from, and (B,) log-weights; populations of which no text goes on stay."""
        table = populations.table(log_weights, -math.inf)
        size = effective_size(table)
        open_ = populations.table(going & (log_weights > -math.inf), False).any(1)
        uneven = (size < self.ess * populations.size) & open_
        uniform = rng.rows(populations.rows[:, 0]).uniform(place)
        safe = table.where(uneven[:, None], populations.even)
        ancestor = systematic(safe, uniform, populations.size)
        source = populations.rows.where(~uneven[:, None], populations.rows.gather(1, ancestor))
        mean = log_sum(safe) - populations.size.log()
        table = table.where(~uneven[:, None], mean[:, None])
        return populations.each(source), populations.each(table)

    def _tokens(
        self, objective: Objective, texts: Unfinished, heat: Tensor, rng: Rng
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The next token of K texts.

        Returns:
            (K,) tokens; (K,) log-weights of them, -inf where every token fails; (K,) power / T times their log p; and
            (K,) float64 how many tokens were tested.
        """
        prompts = self._prompts.rows(texts.base)
        asked, which = alike(texts.batch(), heat)
        token = torch.zeros_like(texts.counts)
        log_z, log_prob, tested = (torch.zeros_like(heat) for _ in range(3))
        begins = 0
        laws = next_laws(
            self.lm, texts.rows(asked), [prompts[i] for i in asked.tolist()], self.power / heat[asked], self.max_length
        )
        for rows, numbers, law in laws:
            window = asked[begins : begins + len(rows)]
            test = _Test(objective, self.lm, texts.rows(window), rows, numbers, {}, self.max_length)
            members = ((which >= begins) & (which < begins + len(rows))).nonzero().squeeze(-1)
            for part in chunks(members):
                own = which[part] - begins
                token[part], log_z[part], tested[part] = _first_that_passes(law, own, test, rng.rows(part))
                log_prob[part] = law[own, token[part]]
            log_z[members] += log_sum(law)[which[members] - begins]
            begins += len(rows)
        return token, log_z, log_prob, tested


@final
@dataclass(frozen=True, eq=False)
class _Test:
    """Whether tokens may follow some beginnings; what was found is remembered.

    Attributes:
        objective: tells the truth.
        lm: what the tokens are of.
        texts: D beginnings.
        rows: their tokens.
        numbers: of their inputs.
        found: (beginning, token) -> whether it passes.
        most: tokens of a text.
    """

    objective: Objective
    lm: TokenLM
    texts: Unfinished
    rows: Sequence[list[int]]
    numbers: Sequence[int]
    found: dict[tuple[int, int], bool]
    max_length: int

    def learn(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Test what was not tested before."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.found]
        if ends := [which for which, token in new if token == self.lm.eos]:
            good = _may_end(self.objective, self.texts.rows(torch.tensor(ends, device=self.texts.cuts.device)).batch())
            self.found.update({(which, self.lm.eos): passes for which, passes in zip(ends, good, strict=True)})
        if on := [pair for pair in new if pair[1] != self.lm.eos]:
            longer = [[*self.rows[which], token] for which, token in on]
            proven = impossible_by(
                InTime(self.objective, self.max_length),
                beginnings(self.lm, longer, [self.numbers[which] for which, _ in on]),
            )
            dead = [False] * len(on) if proven is None else proven.tolist()
            self.found.update({pair: not one for pair, one in zip(on, dead, strict=True)})


def _may_end(objective: Objective, batch: Batch) -> list[bool]:
    """Whether each text is one that counts and that the hard terms do not forbid; runs no model."""
    hard = tuple((weight, term) for weight, term in objective.parts if term.cost == Cost.HARD)
    good = proper(objective, batch)
    rows = good.nonzero().squeeze(-1)
    if hard and len(rows):
        good = good.index_put((rows,), Sum(hard).energy(batch.rows(rows)) < math.inf)
    return good.tolist()


def _first_that_passes(laws: Tensor, which: Tensor, test: _Test, rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
    """For K texts (K,) tokens, (K,) log z, -inf where none passes, and (K,) how many were tested; see the module.

    Args:
        laws: (D, V) log-probabilities, not normalised.
        which: (K,) the law of each text, and the beginning that it goes on from.
        test: of the beginnings.
        rng: K streams.
    """
    laws = laws - log_sum(laws).nan_to_num(neginf=0.0)[:, None]
    walks = [_Walk() for _ in range(len(which))]
    own, size, block = which.tolist(), _FIRST, 0
    going = list(range(len(which)))
    while going:
        # texts of one law of which the same tokens have failed share what is left of it
        number: dict[tuple[int, ...], int] = {}
        index = [number.setdefault((own[i], *walks[i].failed), len(number)) for i in going]
        law = laws[[first for first, *_ in number]]
        for row, (_, *failed) in enumerate(number):
            law[row, failed] = -math.inf
        tokens = drawn(law, torch.tensor(index, device=law.device), rng.rows(going).uniform(block, size))
        chances = laws[which[going, None], tokens].exp().tolist()
        candidates, lefts = tokens.tolist(), log_sum(law).exp()[index].tolist()
        test.learn(
            [
                (own[i], token)
                for i, row, left in zip(going, candidates, lefts, strict=True)
                if left > 0
                for token in row
            ]
        )
        for i, row, chance, left in zip(going, candidates, chances, lefts, strict=True):
            passes = {token: test.found[own[i], token] for token in row} if left > 0 else {}
            walks[i].go_on(row, chance, left, passes)
        going = [i for i in going if not walks[i].over]
        size, block = min(2 * size, _MOST), block + 1
    device = laws.device
    return (
        torch.tensor([walk.token for walk in walks], dtype=torch.int64, device=device),
        torch.tensor([walk.log_z for walk in walks], dtype=torch.float64, device=device),
        torch.tensor([float(walk.tested) for walk in walks], dtype=torch.float64, device=device),
    )


def log_chance(left: Sequence[float]) -> float:
    """log z, where `left` is 1 - r_k for k = 0 .. m: the probability of the tokens that had not failed.

    >>> math.exp(log_chance([1.0])), math.exp(log_chance([1.0, 0.5]))
    (1.0, 0.3333333333333333)
    """
    return -math.log(sum(1 / one for one in left))


class _Walk:
    """The draws of one text at one place, up to the second that passes."""

    def __init__(self) -> None:
        self.failed: dict[int, None] = {}
        self.passed: list[int] = []
        self.log_z = -math.inf
        self.over = False
        self._left = [1.0]  # 1 - r_k

    @property
    def token(self) -> int:
        """The first that passed; 0 if none did."""
        return self.passed[0] if self.passed else 0

    @property
    def tested(self) -> int:
        """Tokens that were tested, each once."""
        return len(self.failed) + len(set(self.passed))

    def go_on(self, tokens: Sequence[int], chances: Sequence[float], left: float, passes: dict[int, bool]) -> None:
        """Take draws from the tokens that have not failed, of probability `left` together, until it is over."""
        if left <= 0:
            # everything has failed; after one that passes that cannot be
            self.over = True
            return
        self._left[-1], first = left, left
        for token, chance in zip(tokens, chances, strict=True):
            if token in self.failed:
                continue  # failed in this very block: the draw is taken again
            if not passes[token]:
                self.failed[token] = None
                left -= chance
                self._left.append(left)
                if left < _PLAIN * first:
                    return  # a difference that rounding has made: summed anew for the next block
                continue
            self.passed.append(token)
            if len(self.passed) == 2:
                self.log_z, self.over = log_chance(self._left), True
                return
