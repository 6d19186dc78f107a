"""Adaptive rejection: independent exact draws of a language model under hard constraints.

Parys et al., "Constrained adaptive rejection sampling" (CARS), 2026; the idea of a bound that refusals tighten is Gilks
and Wild's ("Adaptive rejection sampling for Gibbs sampling", 1992). Texts are drawn from left to right; the mass of
beginnings that are proven dead, and of whole texts that are forbidden, is taken off a bound that lies above the target
everywhere, and texts are drawn from the bound. With B its mass, a draw comes to the text x with probability
p(x)^power / B and is taken with probability exp(-E / T - power log p - log_bound): the share of draws that are taken is
Z exp(-log_bound) / B, so that log Z comes for free, and log B + log_bound is above it.

CARS goes on tightening while it draws, so that a draw depends on all that came before, of other chains too. Here the
bound is explored first, for each input once and without random numbers: see `samplers.exploring`. Then it stays as it
is, and chains draw from it by numbers of (seed, input, chain, step, attempt): a chain depends on nothing else, however
many others share the trie and whatever it remembers. What later draws meet is remembered, too, as probabilities and
proofs that cost no second pass, but changes the law of no draw. Of the attempts of a row several are made side by side,
more where more were refused; the first that is taken counts, as if they had been made one after another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from samplers.exploring import WIDE, explore
from samplers.one_token_lm import OfTokenLM
from samplers.proposals.sites import masks
from samplers.proposals.spans import check_lengths
from samplers.rejection import ATTEMPTS
from samplers.trie_walks import Source, Walk, walk_down
from samplers.tries import Node, Place, Trie, Tries
from samplers.weights import Estimate
from textsearch.batch import Batch
from textsearch.checks import real, whole
from textsearch.in_time import InTime
from textsearch.kinds import RESULT, instance
from textsearch.models.protocols import TokenLM
from textsearch.models.reading.suffixes import with_suffixes
from textsearch.objective import Evaluation, Objective, evaluate
from textsearch.per_input import PerInput
from textsearch.result import Generations
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info

LOG_ENVELOPE = "log envelope"
"""What is recorded beside the attempts: log of what bounds Z, nats."""

_WALK, _ACCEPT = range(2)  # tags


@final
@dataclass(frozen=True)
class AdaptiveRejection(OfTokenLM):
    """Draw whole texts from a causal model, leaving out what is proven forbidden; each step is an independent draw.

    Exact for energies with exp(-E / T) <= exp(log_bound) p(x | prompt)^power for every text: with `Fluency(lm, prompt)`
    of weight w among the terms and the others never negative, such as hard constraints, power = w / T of at least 1
    and log_bound = 0 are right. Softer terms are paid for by further refusals. A text above the bound stops the run
    with an error that names the bound needed. Texts over `max_length` are none of the target.

    What is forbidden is learned from proofs: by `Objective.impossible`, of all tokens at once by `textsearch.living`,
    and of what a tokenizer never writes by `textsearch.models.stray_pairs`. It is also learned from whole texts of
    energy +inf. A step that finds no text within `max_attempts` leaves the text as it was and says so in `accepted`:
    whether it does so depends not on the text, so the target is left invariant, and all texts taken are independent
    draws (`accepted_texts`).

    What was learned belongs to this value, for each objective, input and prompt, and lasts as long as it does: draws of
    a language that has been gone through run no model. A copy in another process starts without it; the draws are the
    same. Frozen tokens are refused.

    Attributes:
        lm: writes the texts.
        prompt: what the model reads first, one for all inputs or one for each.
        max_length: tokens.
        power: of the probabilities that texts are drawn with, at least 1.
        log_bound: nats, for the temperature of the run.
        explore: beginnings to read at most for an input before its bound is settled.
        max_attempts: of a step.
        max_nodes: beginnings to remember for an input, beyond those of the bound.
        tolerance: nats by which rounding may lift a text above the bound; such a text is taken.

    >>> from objectives import Fluency
    >>> from samplers import accepted_texts
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("abc"), seed=0)
    >>> no_b = FunctionObjective(lambda texts: [math.inf if "b" in text or text == "" else 0.0 for text in texts])
    >>> result = generate(Fluency(lm) + no_b, AdaptiveRejection(lm, max_length=8), [""], steps=200, seed=0, thin=1)
    >>> [texts] = accepted_texts(result)
    >>> len(texts), any("b" in text for text in texts)
    (200, False)
    >>> [found] = log_normaliser_bounded(result)
    >>> found.estimate.value <= found.bound
    True
    """

    lm: TokenLM
    prompt: str | Sequence[str] = ""
    max_length: int = 64
    power: float = 1.0
    log_bound: float = 0.0
    explore: int = 2048
    max_attempts: int = 1000
    max_nodes: int = 100_000
    tolerance: float = 1e-3
    _prompts: PerInput[str] = field(init=False, repr=False, compare=False)
    _tries: Tries = field(init=False, repr=False, compare=False)

    kinds: ClassVar = ("adaptive rejection",)
    guarantee: ClassVar = Guarantee.EXACT
    starts_anywhere: ClassVar = True

    def __post_init__(self) -> None:
        must = "be a number of at least 1: below it the probabilities of a token would add up to more than 1"
        bound = "be a finite number of nats: the largest -E / T - power log p of any text"
        least = "be a finite number of at least 0 nats; 1e-3 allows for rounding"
        max_nodes = whole("max_nodes", self.max_nodes, 1)
        self._keep(
            power=real("power", self.power, must, lambda x: 1 <= x < math.inf),
            log_bound=real("log_bound", self.log_bound, bound),
            explore=whole("explore", self.explore, 1, unit="beginning"),
            max_attempts=whole("max_attempts", self.max_attempts, 1, 2**16 - 1),
            max_nodes=max_nodes,
            tolerance=real("tolerance", self.tolerance, least, lambda x: 0 <= x < math.inf),
            _tries=Tries(max_nodes),
        )

    def check(self, batch: Batch) -> None:
        """Refuse frozen tokens, and inputs without a prompt.

        Raises:
            ValueError: a text has frozen tokens, or an input has no prompt.
        """
        frozen = (~batch.editable & batch.present).any(1)
        if bool(frozen.any()):
            row = int(frozen.nonzero()[0])
            raise ValueError(
                f"row {row}, {batch.rows([row]).texts()[0][:60]!r}, has frozen tokens, and AdaptiveRejection writes "
                "whole texts: put what they begin with into the prompt, or take Rejection(FromLeft(lm), log_bound=0.0)"
            )
        self._prompts.check(batch)

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies, which may be +inf.

        Raises:
            ValueError: a text of finite energy over `max_length`: the chain could never leave it.
        """
        self.check(batch)
        state = ChainState(batch, evaluate(objective, batch, wanted=~masks(batch).any(1)))
        check_lengths(batch.rows(state.evaluation.energy < math.inf), self.max_length)
        return state

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """An independent draw for every row; what stands there if none was found, or if no draw could come back."""
        batch, width = state.batch, len(state.batch)
        heat = torch.as_tensor(temperature, dtype=torch.float64).cpu().expand(width).tolist()
        source = Source(self.lm, InTime(objective, self.max_length), self.power, self.max_length)
        attempts = torch.zeros(width, dtype=torch.int64)
        log_ratios = torch.full((width,), -math.inf, dtype=torch.float64)
        found: dict[int, list[int]] = {}
        with self._tries.lock:
            inputs = list(zip(batch.inputs.tolist(), self._prompts.rows(batch), strict=True))
            each = {one: self._tries.of(objective, *one) for one in dict.fromkeys(inputs)}
            tries = [each[one] for one in inputs]
            self._explore(source, tries, batch)
            # other samplers may lead to a text that no draw comes back to: it is kept
            stays = (state.evaluation.energy < math.inf) & (batch.lengths > self.max_length)
            going = (~stays).nonzero().squeeze(-1).tolist()
            made = 0
            while going and made < self.max_attempts:
                # as many as were made before, if a pass is wide enough for them
                count = min(max(1, made), max(1, WIDE // len(going)), self.max_attempts - made)
                for i, attempt, walk, log_uniform in self._attempts(source, tries, batch, rng, going, made, count):
                    if i in found:
                        continue
                    attempts[i] = attempt + 1
                    log_ratio = self._log_ratio(walk, heat[i])
                    if log_uniform < log_ratio:
                        found[i], log_ratios[i] = walk.row, log_ratio
                made += count
                going = [i for i in going if i not in found]
            log_mass = torch.tensor([_log_mass(trie) for trie in tries], dtype=torch.float64)
        after = self._put(objective, state, found)
        taken = torch.tensor([row in found for row in range(width)], dtype=torch.bool)
        recorded = {
            ATTEMPTS: attempts.to(batch.device),
            LOG_ENVELOPE: (log_mass + self.log_bound).to(batch.device),
        }
        kind = torch.zeros_like(batch.lengths)
        return after, Info(taken.to(batch.device), kind, log_ratios.to(batch.device), recorded)

    def _attempts(
        self, source: Source, tries: Sequence[Trie], batch: Batch, rng: Rng, going: list[int], first: int, count: int
    ) -> list[tuple[int, int, Walk, float]]:
        """Rows with the number of an attempt, its walk, and log of the uniform that judges it; all side by side.

        Args:
            source: makes nodes.
            tries: that of each row of the batch.
            batch: the texts that stand there.
            rng: of the step.
            going: rows to try, all of them with each number.
            first: number.
            count: of numbers.
        """
        numbers, rows = rng.rows(going), going * count
        every = range(first, first + count)
        tried = [attempt for attempt in every for _ in going]
        paths, chances = numbers.fold(_WALK), numbers.fold(_ACCEPT)
        uniform = torch.cat([paths.uniform(attempt, self.max_length + 1) for attempt in every]).cpu().numpy()
        log_uniform = torch.cat([chances.uniform(attempt) for attempt in every]).log().tolist()
        walks = walk_down(source, [tries[row] for row in rows], uniform)
        complete = [(row, walk.place, walk.nodes[-1]) for row, walk in zip(rows, walks, strict=True) if walk.complete]
        self._energies(source.objective, batch, complete)
        return list(zip(rows, tried, walks, log_uniform, strict=True))

    def _explore(self, source: Source, tries: Sequence[Trie], batch: Batch) -> None:
        """Settle the bounds of tries that are new; see the module for why no number is a chain's."""
        new = {id(trie): (row, trie) for row, trie in enumerate(tries) if not trie.explored}

        def forbidden(texts: Sequence[tuple[Place, Node]]) -> list[bool]:
            self._energies(source.objective, batch, [(new[id(place[0])][0], place, node) for place, node in texts])
            return [node.energy == math.inf for _, node in texts]

        explore(source, [trie for _, trie in new.values()], self.explore, forbidden)

    def _energies(self, objective: Objective, batch: Batch, texts: Sequence[tuple[int, Place, Node]]) -> None:
        """Work out the energies of texts, each with the row of its input and its node, where they are not known."""
        new = {id(node): (row, tokens, node) for row, (_, tokens), node in texts if node.energy is None}
        if not new:
            return
        written = _texts(batch, [row for row, _, _ in new.values()], [tokens for _, tokens, _ in new.values()])
        for (_, _, node), energy in zip(new.values(), evaluate(objective, written).energy.tolist(), strict=True):
            node.energy = energy

    def _log_ratio(self, walk: Walk, heat: float) -> float:
        """log of the probability that a walk's text is taken; -inf for none."""
        if not walk.complete:
            return -math.inf
        energy = walk.nodes[-1].energy
        assert energy is not None
        log_ratio = -energy / heat - walk.log_weight - self.log_bound
        if log_ratio > self.tolerance:
            raise ValueError(
                f"log_bound={self.log_bound} is too low: the text of tokens {walk.row} needs at least "
                f"{log_ratio + self.log_bound:.6g}; it is right at 0 for Fluency of this model and prompt with a "
                f"weight of power={self.power} times the temperature, {heat:g}, and other terms that are never negative"
            )
        return log_ratio

    def _put(self, objective: Objective, state: ChainState, found: dict[int, list[int]]) -> ChainState:
        """The state with the texts found in their rows."""
        if not found:
            return state
        texts = _texts(state.batch, list(found), list(found.values()))
        evaluation = evaluate(objective, texts)
        source = torch.zeros_like(state.batch.lengths)
        index = torch.tensor(list(found), device=source.device)
        source[index] = torch.arange(len(found), device=source.device)
        taken = torch.zeros_like(source, dtype=torch.bool)
        taken[index] = True
        drawn = ChainState(texts.rows(source), Evaluation(evaluation.energy[source], evaluation.terms[source]))
        return state.where(taken, drawn)


def _texts(batch: Batch, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Batch:
    """New texts in place of some rows."""
    old = batch.rows(torch.tensor(list(rows), device=batch.device))
    written = Batch.of(tokens, batch.vocabulary)
    wide = torch.nn.functional.pad(written.tokens, (0, 1)).to(batch.device)
    return with_suffixes(old, torch.zeros_like(old.lengths), wide, written.lengths.to(batch.device))


def _log_mass(trie: Trie) -> float:
    assert trie.root is not None
    return math.log(trie.root.total) if trie.root.total > 0 else -math.inf


@final
@dataclass(frozen=True)
class BoundedNormaliser:
    """log Z of a target.

    Attributes:
        estimate: of log Z, with its standard error, nats.
        bound: log Z is below it, nats.
        attempts: draws from the bound that the estimate rests on.
    """

    estimate: Estimate
    bound: float
    attempts: int


def log_normaliser_bounded(result: Generations) -> list[BoundedNormaliser]:
    """For each input log Z, Z the sum of exp(-E / T) over all texts up to `max_length`, from a run of this sampler.

    k draws were taken of n attempts that each had probability Z / B, until the k-th one: (k - 1) / (n - 1) has no bias
    (Haldane, "On a method of estimating frequencies", 1945).

    Args:
        result: of a run of `AdaptiveRejection`.

    Raises:
        ValueError: a result of another sampler.
    """
    instance("result", result, RESULT)
    if LOG_ENVELOPE not in result.recorded:
        raise ValueError("the run recorded no attempts: they come from AdaptiveRejection")
    found = []
    for number in np.unique(result.inputs).tolist():
        own = result.inputs == number
        taken = int(result.recorded["accepted"][:, own].sum())
        attempts = int(result.recorded[ATTEMPTS][:, own].sum())
        bound = float(result.recorded[LOG_ENVELOPE][0, own][0])
        if taken < 3:
            found.append(BoundedNormaliser(Estimate(math.nan, math.inf), bound, attempts))
            continue
        share = (taken - 1) / (attempts - 1)
        error = math.sqrt(max(0.0, 1 - share) / (taken - 2))
        found.append(BoundedNormaliser(Estimate(bound + math.log(share), error), bound, attempts))
    return found
