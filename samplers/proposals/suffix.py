"""Suffix resampling: cut the text at random and let a causal language model write a new end.

The move of QUEST for translation (Faria et al., 2024), of power sampling (Karan and Du, "Reasoning with sampling: your
base model is smarter than you think", 2025), and under a mask of constrained sampling (Anaya Gonzalez et al., NeurIPS
2025). The cut m is drawn from p(m | x), see `samplers.proposals.cuts`, by default uniform over the c(x) places behind
the last frozen token, and all tokens behind it are drawn one by one up to the end of the text:

    q(x', m | x) = p(m | x)  * prod_t p(x'_t | x'_<t)^(1/T) / Z(x'_<t),    t = m+1 ... n'+1, the end among them
    q(x, m | x') = p(m | x') * the same of the old suffix

The cut is an auxiliary variable: the move back has the same one, which is a place in both texts. Texts of unlike
lengths have unlike numbers of cuts, and a text is a text only with its end: neither factor cancels.

Under a constraint the suffix is drawn from the mixture of `textsearch.models.masking`: mostly under the mask that the
constraint offers, a share `free` of the moves without it, and q is that of the mixture. Whatever the mask forbids or
allows, q is right both ways; the share without it reaches the texts that a mask too narrow would shut out.

With temperature 1 / alpha and the energy alpha * Fluency, chains sample p(x)^alpha / Z, the whole text sharpened;
drawing at temperature 1 / alpha alone sharpens each token on its own, blind to what must follow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from samplers.proposals.cuts import ENTROPY, RESTART, UNIFORM, Entropies, log_cut_probs
from samplers.proposals.sites import slot_open
from samplers.proposals.spans import check_lengths
from textsearch import tree
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import keep, positive, real, whole
from textsearch.in_time import InTime
from textsearch.kinds import OBJECTIVE, SUFFIX, TOKENWISE, instance, shown
from textsearch.models.masking import FREE
from textsearch.models.protocols import SuffixLM
from textsearch.objective import Objective
from textsearch.per_input import PerInput, text_per_input
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical

_CUT, _SUFFIX = range(2)  # draw, and tag


@final
@dataclass(frozen=True, eq=False)
class SuffixResampling:
    """Rewrite everything behind a random cut; see the module for the probabilities.

    Frozen tokens, and what stands before one, are kept, and a text whose end is closed stays as it is. A move takes a
    pass a new token; a model that remembers what it has read reads no more than these, and nothing for the way back.

    Attributes:
        lm: writes the new ends.
        prompt: what the model reads first, one for all inputs or one for each.
        temperature: of the tokens that it writes.
        max_length: tokens; a text that finds no end within it is a null move, as is one that a mask leaves no way on.
        constraint: what the text must be; its `allowed_next` masks the tokens, and so does what it knows of the room
            that is left (`textsearch.in_time`). It is a hint: the energy must hold the constraint, too.
        free: the share of moves without the mask; 0 reaches every text only where the mask is known to allow all that
            the energy allows.
        cuts: "uniform", "restart" or "entropy".

    >>> from samplers import MetropolisHastings
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableCausalLM, letters
    >>> model = TableCausalLM.random(letters("ab"), seed=0)
    >>> sampler = MetropolisHastings(SuffixResampling(model, max_length=4))
    >>> few_b = FunctionObjective(lambda texts: [5.0 * text.count("b") for text in texts], name="few b")
    >>> generate(few_b, sampler, ["bbb"], steps=50, seed=0).best_energies.tolist()
    [0.0]
    """

    lm: SuffixLM
    prompt: str | Sequence[str] = ""
    temperature: float = 1.0
    max_length: int = 64
    constraint: Objective | None = None
    free: float = FREE
    cuts: str = UNIFORM
    _prompts: PerInput[str] = field(init=False, repr=False)
    _entropies: Entropies | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        instance("lm", self.lm, SUFFIX)
        if self.cuts not in (UNIFORM, RESTART, ENTROPY):
            raise ValueError(f"cuts={shown(self.cuts)} must be 'uniform', 'restart' or 'entropy'")
        by_entropy: Any = instance("lm", self.lm, TOKENWISE) if self.cuts == ENTROPY else None
        if self.constraint is not None:
            instance("constraint", self.constraint, OBJECTIVE)
        given = text_per_input("prompt", self.prompt, "prompts")
        keep(
            self,
            prompt=given.values,
            _prompts=given,
            temperature=positive("temperature", self.temperature, remedy="; 1 / alpha suits p^alpha"),
            max_length=whole("max_length", self.max_length, 1, unit="token"),
            free=share_without_mask(self.free),
        )
        mask = in_time(self.constraint, self.max_length)
        keep(self, _entropies=by_entropy and Entropies(by_entropy, self.temperature, mask))

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model writes."""
        return self.lm.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The name of its one move."""
        return ("suffix",)

    def check(self, batch: Batch) -> None:
        """Refuse texts over `max_length`, and inputs without a prompt."""
        check_lengths(batch, self.max_length)
        self._prompts.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One new suffix a row."""
        # another proposal may have written a text that this one could not: it is left alone, as is a closed end
        fits = ((batch.lengths <= self.max_length) & slot_open(batch, batch.lengths)).nonzero().squeeze(-1)
        log_forward = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        log_backward = torch.full_like(log_forward, -math.inf)
        kind = torch.zeros_like(batch.lengths)
        old = batch.rows(fits)
        log_cuts = self._log_cuts(old)
        cuts = categorical(log_cuts, rng.rows(fits).uniform(_CUT))
        new, log_new, ended = self.lm.draw_suffixes(
            old,
            cuts,
            rng.fold(_SUFFIX).rows(fits),
            prompt=self._prompts.one_or_rows(old),
            temperature=self.temperature,
            most=self.max_length,
            **under(self.constraint, self.free, self.max_length),
        )
        fits, cuts, log_cuts = fits[ended], cuts[ended], log_cuts[ended]
        old, new = old.rows(ended), new.rows(ended)
        log_old = self.lm.suffix_log_probs(
            old,
            cuts,
            prompt=self._prompts.one_or_rows(old),
            temperature=self.temperature,
            **under(self.constraint, self.free, self.max_length),
        )
        log_forward[fits] = log_new[ended] + log_cuts.gather(1, cuts[:, None])[:, 0]
        # frozen tokens are before every cut: the first one is the same in both texts
        log_backward[fits] = log_old + self._log_cuts(new).gather(1, cuts[:, None])[:, 0]
        return Move(tree.put(batch, fits, new), log_forward, log_backward, kind)

    def _log_cuts(self, batch: Batch) -> Tensor:
        """(B, N + 1) log p(m | x)."""
        entropies = self._entropies and self._entropies.of(batch, self._prompts.rows(batch))
        return log_cut_probs(self.cuts, batch, entropies)


def in_time(constraint: Objective | None, max_length: int) -> Objective | None:
    """The constraint with all that it knows of the tokens that a text may still have."""
    return None if constraint is None else InTime(constraint, max_length)


def under(constraint: Objective | None, free: float, max_length: int) -> dict[str, Any]:
    """What `SuffixLM` is told of a constraint; nothing where there is none, so that plainer models will do."""
    return {} if constraint is None else {"constraint": in_time(constraint, max_length), "free": free}


def share_without_mask(free: float) -> float:
    """`free`, checked."""
    must = "be at least 0 and below 1, the share of texts that are drawn without the mask; 0.05 is usual"
    share: float = real("free", free, must, lambda one: 0 <= one < 1)
    return share
