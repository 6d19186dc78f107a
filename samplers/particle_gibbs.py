"""Particle Gibbs with ancestor sampling: texts written from the left, beside the current one as a particle among them.

Andrieu, Doucet and Holenstein, "Particle Markov chain Monte Carlo methods", 2010; Lindsten, Jordan and Schoen,
"Particle Gibbs with ancestor sampling", JMLR 2014. N texts grow from the left, token by token; the first of them is the
current text, kept as it is. With a = power / T, m(v) whether token v may stand there, and e the probability that the
law drawn from gives to the end,

    weigh     by e + (1 - e) z, z(x_<t) = sum over v of p(v | x_<t)^a m(v), before the token is drawn,
    resample  the N - 1 others in proportion to their weights, where these have become uneven,
    draw      x_t ~ p(v | x_<t)^a m(v) / z(x_<t), and weigh by 1 for the end and by z for all else, over e + (1 - e) z,
    finish    once all have ended, by exp(-E / T) over all that their weights have assumed.

An end is not paid for when it comes: often it is the least likely token of all, and texts that still have theirs before
them would always win.

At the end one of the N is picked in proportion to the weights. Where texts are resampled, the kept text forgets which
beginning it came from and draws it anew: beginning i with the rest of the kept text, joined to one text x(i), has

    weight i * exp(-E(x(i)) / T) / (the target that its weight i was worked out for),

exactly, so that a long text may change its beginning though nobody else has its end. Each is a Gibbs step in the joint
law of all texts and choices (conditional sequential Monte Carlo), so the current text keeps the law exp(-E / T).

A mask may be too narrow. A sweep goes under it with probability 1 - `free` and moves texts within it alone; else it
goes without, and can write any text. Either sweep is exact, and so is choosing between them blindly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.one_token_lm import OfTokenLM
from samplers.populations import log_sum
from samplers.proposals.cuts import first_cuts
from samplers.proposals.sites import slot_open
from samplers.proposals.spans import check_lengths
from samplers.unfinished import (
    Unfinished,
    alike,
    beginnings,
    chunks,
    drawn,
    effective_size,
    finish,
    inside,
    next_laws,
    proven,
)
from textsearch import tree
from textsearch.batch import Batch
from textsearch.checks import MAX_CHAINS, flag, positive, real, whole
from textsearch.in_time import InTime
from textsearch.models.masking import FREE
from textsearch.models.protocols import TokenLM
from textsearch.models.reading.suffixes import with_suffixes
from textsearch.objective import Evaluation, Objective, evaluate, next_allowed_by
from textsearch.per_input import PerInput
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info

_FREE, _TOKENS, _RESAMPLE, _ANCESTOR, _PICK = range(5)  # tags
_NUMBERS = 2**24  # log-probabilities held at once, one for each token of the vocabulary after each text


@final
@dataclass(frozen=True)
class ParticleGibbs(OfTokenLM):
    """Write `particles` - 1 texts beside the current one, and pick one of all in proportion to what they weigh.

    Exact: leaves exp(-E / T) invariant, over the texts of at most `max_length` tokens. One step may change all of the
    text. With E = power * Fluency(lm, prompt) + other terms, the other terms decide at a text's end only, but what
    objectives know of beginnings (`allowed_next`, `impossible`) is used at every token.

    Frozen tokens, and what stands before one, are kept. A text whose end is closed, one over `max_length` that another
    sampler wrote, and one outside the mask in a sweep under it stay as they are, and so does a forbidden one if no
    draw has weight above 0.

    A sweep reads each token that it writes once. Ancestors cost more: the end of the kept text is read behind each
    beginning that it fits, once for each place where texts are resampled; joined texts that the hard terms forbid cost
    no pass.

    A step is accepted where it changed the text. Recorded: "effective sample size", (B,), in texts, of the weights at
    the end, 1 where only the current text had any; 0 where there was no sweep.

    Attributes:
        lm: writes the texts, in tokens of its own.
        prompt: what the model reads first, one for all inputs or one for each.
        particles: N, texts of which one is the current.
        power: weight of the model's log p in the energy: tokens are drawn from p^(power / T). Any is exact.
        max_length: tokens of the longest text, frozen ones counted.
        free: the share of sweeps without the mask. Only where the mask is known to allow every text that the energy
            allows, 0 is exact.
        ess: texts are resampled where their effective sample size is below this share of them.
        ancestors: whether the kept text draws its beginning anew.

    >>> from objectives import Fluency
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("ab"), seed=0)
    >>> few_b = FunctionObjective(lambda texts: [5.0 * text.count("b") for text in texts], name="few b")
    >>> sampler = ParticleGibbs(lm, particles=8, max_length=4)
    >>> generate(Fluency(lm) + few_b, sampler, ["bbb"], steps=10, seed=0).best_texts
    ['']
    """

    lm: TokenLM
    prompt: str | Sequence[str] = ""
    particles: int = 16
    power: float = 1.0
    max_length: int = 64
    free: float = FREE
    ess: float = 0.5
    ancestors: bool = True
    _prompts: PerInput[str] = field(init=False, repr=False, compare=False)

    kinds: ClassVar = ("particle gibbs",)
    guarantee: ClassVar = Guarantee.EXACT
    starts_anywhere: ClassVar = True
    """A forbidden text or a template gives way to the first draw of weight above 0."""

    def __post_init__(self) -> None:
        must = "be a share of the sweeps, from 0 (the mask is known to be right) to 1 (no mask); 0.05 is usual"
        self._keep(
            particles=whole("particles", self.particles, 2, MAX_CHAINS, remedy=": the current text and another one"),
            power=positive("power", self.power, remedy=", the weight of the language model in the energy"),
            free=real("free", self.free, must, lambda x: 0 <= x <= 1),
            ess=real(
                "ess", self.ess, "be a share of the particles, from 0 (never resample) to 1", lambda x: 0 <= x <= 1
            ),
            ancestors=flag("ancestors", self.ancestors),
        )

    @property
    def _chains_at_once(self) -> int:
        """Chains that are swept side by side."""
        return max(1, _NUMBERS // (self.particles * self.vocabulary.size))

    def prompts(self, batch: Batch) -> list[str]:
        """What the model reads first for each row."""
        return self._prompts.rows(batch)

    def check(self, batch: Batch) -> None:
        """Refuse texts over `max_length`, and inputs without a prompt."""
        check_lengths(batch, self.max_length)
        self._prompts.check(batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One sweep of every chain."""
        batch, energy = state.batch, state.evaluation.energy
        heat = torch.as_tensor(temperature, dtype=torch.float64, device=batch.device).expand(len(batch))
        masked = rng.fold(_FREE).uniform(0) >= self.free
        kept = energy < math.inf
        swept = (batch.lengths <= self.max_length) & slot_open(batch, batch.lengths)
        swept = swept & (first_cuts(batch) <= self.max_length)
        # whether a text can be written at all, and under the mask
        for asked, mask in (
            (swept & kept & ~masked, None),
            (swept & kept & masked, InTime(objective, self.max_length)),
        ):
            index = asked.nonzero().squeeze(-1)
            part = batch.rows(index)
            swept[index] = inside(mask, self.lm, part, first_cuts(part))
        after, effective = state, torch.zeros_like(energy)
        for rows in chunks(swept.nonzero().squeeze(-1), self._chains_at_once):
            sweep = _Sweep(self, objective, state.rows(rows), rng.rows(rows), heat[rows], masked[rows])
            found, effective[rows] = sweep.run()
            after = tree.put(after, rows, found)
        log_ratio = torch.full_like(energy, -math.inf).masked_fill(swept, 0.0)
        info = Info(
            swept & ~after.batch.same_text(batch),
            torch.zeros_like(batch.lengths),
            log_ratio,
            {"effective sample size": effective},
        )
        return after, info


@final
@dataclass(frozen=True, eq=False)
class _Particles:
    """C * N texts, those of a chain side by side, the kept one first.

    Attributes:
        texts: what is written of them.
        evaluation: energies of those that have ended, +inf of the others.
        log_weights: (C * N,) since they were resampled.
        log_targets: (C * N,) log of the target that the weights are worked out for.
        law: (C * N,) int64, which of the laws just read is that of a text's next token.
        kept: (C, W) int64, what the current text of each chain holds behind its cut; changes with its beginning.
        kept_energy: (C,) its energy.
    """

    texts: Unfinished
    evaluation: Evaluation
    log_weights: Tensor
    log_targets: Tensor
    law: Tensor
    kept: Tensor
    kept_energy: Tensor

    @property
    def going(self) -> Tensor:
        """(J,) the texts that are to be written on."""
        return (~self.texts.ended & (self.log_weights > -math.inf)).nonzero().squeeze(-1)


@final
@dataclass(frozen=True, eq=False)
class _Laws:
    """What may come next after D beginnings.

    Attributes:
        log_probs: (D, V) normalised; -inf all over where nothing may.
        log_totals: (D,) log z.
        log_looks: (D,) log of e + (1 - e) z, what a text is weighed by before its token is drawn.
    """

    log_probs: Tensor
    log_totals: Tensor
    log_looks: Tensor

    @staticmethod
    def of(laws: Sequence[Tensor], end: int) -> _Laws:
        """Of laws that are not normalised."""
        log_probs = torch.cat(list(laws))
        totals = log_sum(log_probs)
        log_probs = log_probs - totals.where(totals > -math.inf, 0.0)[:, None]
        ends = log_probs[:, end].exp()
        return _Laws(log_probs, totals, (ends + (1 - ends) * totals.exp()).log())


@final
@dataclass(frozen=True, eq=False)
class _Sweep:
    """One sweep of C chains.

    Attributes:
        sampler: its settings.
        objective: the energy.
        state: the current texts.
        rng: a stream for each chain.
        heat: (C,) temperatures.
        masked: (C,) bool, the chains whose sweep is under the mask.
    """

    sampler: ParticleGibbs
    objective: Objective
    state: ChainState
    rng: Rng
    heat: Tensor
    masked: Tensor

    @property
    def conditional(self) -> Tensor:
        """(C,) bool, whether the current text is one of the particles; a forbidden one has weight 0."""
        return self.state.evaluation.energy < math.inf

    def run(self) -> tuple[ChainState, Tensor]:
        """The next texts, and (C,) how many effective ones they were picked from."""
        count, device = self.sampler.particles, self.heat.device
        particles = self._start()
        streams = self.rng.fold(_TOKENS).split(count)
        for place in range(particles.texts.written.shape[1] + 1):
            if not len(particles.going):
                break
            particles, laws = self._weighed(particles)
            particles = self._resampled(particles, laws, place)
            particles = self._drawn(particles, laws, streams, place)
        table = self._final(particles).view(-1, count)
        alive = (table > -math.inf).any(1)
        pick = categorical(table.where(alive[:, None], 0.0), self.rng.fold(_PICK).uniform(0))
        rows = torch.arange(len(table), device=device) * count + pick
        found = ChainState(particles.texts.rows(rows).batch(), particles.evaluation.rows(rows))
        return self.state.where(alive, found), effective_size(table)

    def _start(self) -> _Particles:
        """Nothing but what each chain keeps."""
        batch, count = self.state.batch, self.sampler.particles
        cuts = first_cuts(batch)
        room = int((self.sampler.max_length - cuts).max())
        base = batch.repeat(count)
        texts = Unfinished.start(base, cuts.repeat_interleave(count), room)
        column = torch.arange(room, device=batch.device)
        source = (cuts[:, None] + column).clamp(max=max(batch.width - 1, 0))
        kept = batch.tokens.gather(1, source) if batch.width else torch.zeros_like(source)
        nothing = torch.zeros(len(base), dtype=torch.float64, device=batch.device)
        unknown = evaluate(self.objective, base, wanted=nothing > 0)
        return _Particles(texts, unknown, nothing, nothing, texts.counts, kept, self.state.evaluation.energy.clone())

    def _weighed(self, particles: _Particles) -> tuple[_Particles, _Laws]:
        """Weights with what may come next, and the laws of that."""
        going, count = particles.going, self.sampler.particles
        texts = particles.texts.rows(going)
        chain = going // count
        prompts, heats, masked = self.sampler.prompts(texts.base), self.heat[chain], self.masked[chain]
        # texts with one beginning are read once
        asked, which = alike(texts.batch(), heats, masked.to(torch.int64))
        found: list[Tensor] = []
        parts = next_laws(
            self.sampler.lm,
            texts.rows(asked),
            [prompts[i] for i in asked.tolist()],
            self.sampler.power / heats[asked],
            self.sampler.max_length,
        )
        for rows, numbers, law in parts:
            begins = sum(map(len, found))
            under = masked[asked[begins : begins + len(rows)]]
            found.append(self._under_mask(law, rows, numbers, under.nonzero().squeeze(-1)))
        laws = _Laws.of(found, self.sampler.lm.eos)
        gain = torch.zeros_like(particles.log_weights).index_put((going,), laws.log_looks[which])
        return (
            replace(
                particles,
                log_weights=particles.log_weights + gain,
                log_targets=particles.log_targets + gain,
                law=torch.zeros_like(particles.law).index_put((going,), which),
            ),
            laws,
        )

    def _under_mask(self, law: Tensor, rows: list[list[int]], numbers: list[int], under: Tensor) -> Tensor:
        """`law` (J, V) with -inf for what the objective does not allow, in the rows `under` the mask."""
        if not len(under):
            return law
        chosen = under.tolist()
        asked = beginnings(self.sampler.lm, [rows[i] for i in chosen], [numbers[i] for i in chosen])
        allowed = next_allowed_by(InTime(self.objective, self.sampler.max_length), asked)
        if allowed is None:
            return law
        return law.index_put((under,), law[under].masked_fill(~allowed.to(law.device), -math.inf))

    def _resampled(self, particles: _Particles, laws: _Laws, place: int) -> _Particles:
        """Chains whose weights are uneven go on with texts drawn in proportion to them."""
        count = self.sampler.particles
        table = particles.log_weights.view(-1, count)
        size = effective_size(table)
        open_ = (~particles.texts.ended.view(-1, count) & (table > -math.inf)).any(1)
        uneven = (size < self.sampler.ess * count) & open_
        if not bool(uneven.any()):
            return particles
        chain = torch.arange(len(table), device=table.device)
        uniform = self.rng.fold(_RESAMPLE).uniform(place, count)
        weights = table.where(uneven[:, None], 0.0).repeat_interleave(count, 0)
        ancestor = categorical(weights, uniform.flatten()).view(-1, count)
        joined = uneven & self.conditional
        ancestor[:, 0] = torch.where(self.conditional, 0, ancestor[:, 0])
        if self.sampler.ancestors and bool(joined.any()):
            log_joined, energies, texts = self._joined(particles, laws, place, joined)
            first = categorical(log_joined.where(joined[:, None], 0.0), self.rng.fold(_ANCESTOR).uniform(place))
            ancestor[:, 0] = torch.where(joined, first, ancestor[:, 0])
            chosen = chain * count + ancestor[:, 0]
            particles = replace(
                particles,
                kept=particles.kept.where(~joined[:, None], texts[chosen]),
                kept_energy=particles.kept_energy.where(~joined, energies[chosen]),
            )
        own = torch.arange(count, device=table.device).expand_as(ancestor)
        source = (chain[:, None] * count + ancestor.where(uneven[:, None], own)).flatten()
        return replace(
            particles,
            texts=particles.texts.copied(source),
            evaluation=particles.evaluation.rows(source),
            log_weights=particles.log_weights.masked_fill(uneven.repeat_interleave(count), 0.0),
            log_targets=particles.log_targets[source],
            law=particles.law[source],
        )

    def _joined(self, particles: _Particles, laws: _Laws, place: int, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each beginning with the rest of its chain's kept text, for the `wanted` (C,) chains.

        Returns:
            (C, N) log-weights, (C * N,) energies and (C * N, W) tokens behind the cut of the joined texts.
        """
        count, texts = self.sampler.particles, particles.texts
        size = self._kept_size()
        over = size < place  # a kept text at its end: only texts at their end can stand in for it
        each, alive = wanted.repeat_interleave(count), particles.log_weights > -math.inf
        over_each, ended = over.repeat_interleave(count), texts.ended
        column = torch.arange(texts.written.shape[1], device=each.device)
        kept = particles.kept.repeat_interleave(count, 0)
        tokens = torch.where(column < place, texts.written, kept)
        energy = particles.kept_energy.repeat_interleave(count).clone()
        same = (tokens == kept).where(column < place, True).all(1)
        following = self._following(particles, place).repeat_interleave(count)
        fits = laws.log_probs[particles.law, following] > -math.inf
        asked = (each & alive & ~ended & ~over_each & ~same & fits).nonzero().squeeze(-1)
        energy[asked] = self._energies(texts.rows(asked), tokens[asked], size[asked // count], asked // count, place)
        energy = torch.where(over_each, particles.evaluation.energy, energy)
        log_joined = particles.log_weights - particles.log_targets - energy / self.heat.repeat_interleave(count)
        possible = alive & torch.where(over_each, ended, ~ended & (same | fits))
        log_joined = log_joined.where(possible, -math.inf)
        tokens = torch.where(over_each[:, None], texts.written, tokens)
        return log_joined.view(-1, count), energy, tokens

    def _energies(self, texts: Unfinished, tokens: Tensor, size: Tensor, chain: Tensor, place: int) -> Tensor:
        """(J,) energies of joined texts, which hold `size` (J,) of `tokens` (J, W) behind their cut."""
        if not len(size):
            return size.to(torch.float64)
        batch = with_suffixes(texts.base, texts.cuts, tokens, size)
        masked = self.masked[chain]
        index, which = alike(batch, masked.to(torch.int64))
        unlike, narrow = batch.rows(index), masked[index]
        # a sweep under the mask moves texts within it alone
        first = texts.cuts[index] + place + 1
        narrow = narrow.index_put(
            (narrow,),
            ~inside(
                InTime(self.objective, self.sampler.max_length), self.sampler.lm, unlike.rows(narrow), first[narrow]
            ),
        )
        return evaluate(self.objective, unlike, wanted=~narrow).energy[which]

    def _drawn(self, particles: _Particles, laws: _Laws, streams: Rng, place: int) -> _Particles:
        """Each text with its next token, and those that end with the rest of their weight."""
        count, end = self.sampler.particles, self.sampler.lm.eos
        going = particles.going
        if not len(going):
            return particles
        uniform, law = streams.rows(going).uniform(place), particles.law[going]
        chain = going // count
        own = (going % count == 0) & self.conditional[chain]
        token = torch.where(
            own, self._following(particles, place)[chain], drawn(laws.log_probs, law, uniform[:, None])[:, 0]
        )
        gain = torch.zeros_like(particles.log_weights).index_put(
            (going,), laws.log_totals[law].masked_fill(token == end, 0.0) - laws.log_looks[law]
        )
        log_probs = torch.zeros_like(gain).index_put((going,), laws.log_probs[law, token])
        texts = particles.texts.grown(going, token, end)
        particles = replace(
            particles,
            texts=texts,
            log_weights=particles.log_weights + gain,
            log_targets=particles.log_targets + gain + log_probs,
        )
        particles = self._finished(particles, going[token == end])
        return self._proven(particles, going[(token != end) & ~own & ~self.masked[chain]])

    def _finished(self, particles: _Particles, ended: Tensor) -> _Particles:
        """The texts under `ended` with their energies."""
        evaluation, log_weights = finish(
            self.objective, particles.texts, ended, particles.evaluation, particles.log_weights
        )
        return replace(particles, evaluation=evaluation, log_weights=log_weights)

    def _final(self, particles: _Particles) -> Tensor:
        """(C * N,) log-weights of texts at their end, with all of their energies."""
        heat = self.heat.repeat_interleave(self.sampler.particles)
        possible = particles.texts.ended & (particles.log_weights > -math.inf)
        gain = (-particles.evaluation.energy / heat - particles.log_targets).where(possible, -math.inf)
        return particles.log_weights.where(possible, 0.0) + gain

    def _proven(self, particles: _Particles, rows: Tensor) -> _Particles:
        """The texts under `rows` without those whose every ending is proven to be forbidden."""
        if not len(rows):
            return particles
        dead = proven(InTime(self.objective, self.sampler.max_length), self.sampler.lm, particles.texts.rows(rows))
        return replace(particles, log_weights=particles.log_weights.index_fill(0, rows[dead], -math.inf))

    def _kept_size(self) -> Tensor:
        """(C,) tokens of each kept text behind its cut; the same whatever it begins with."""
        return self.state.batch.lengths - first_cuts(self.state.batch)

    def _following(self, particles: _Particles, place: int) -> Tensor:
        """(C,) the token of each kept text at `place` behind the cut, or its end."""
        if place >= particles.kept.shape[1]:
            return torch.full_like(self.state.batch.lengths, self.sampler.lm.eos)
        return torch.where(place < self._kept_size(), particles.kept[:, place], self.sampler.lm.eos)
