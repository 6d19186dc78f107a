"""Answered: how well a text, as a question, lets a language model find an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import final

from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.kinds import CAUSAL, instance
from textsearch.models.defaults import DEFAULT_CAUSAL_LM
from textsearch.models.protocols import CausalLM
from textsearch.objective import Cost, Limit, Objective
from textsearch.per_input import PerInput, text_per_input


@final
@dataclass(frozen=True)
class Answered(Objective):
    """-log p(answer | before, text, behind) in nats: the text is what the model reads, and the answer what it judges.

    `Conditional` is the other direction. Of the questions that a passage could raise, it keeps those that the passage
    answers in this way: round-trip consistency (Alberti et al., "Synthetic QA corpora generation with roundtrip
    consistency", 2019) as an energy, and the channel of a noisy-channel model.

    Attributes:
        lm: reads the text and scores the answer; by default SmolLM2-135M-Instruct.
        answer: one for all inputs, or one for each; to be given in any case.
        before: what the model reads before the text, one for all inputs or one for each: a passage, say.
        behind: what it reads between the text and the answer.

    Raises:
        ValueError: no answer, or an empty one.

    >>> from textsearch.testing import TableCausalLM, letters
    >>> lm = TableCausalLM.random(letters("ab"), seed=0)
    >>> batch = lm.vocabulary.encode(["ab", "b"])
    >>> energy = Answered(lm, "ba", before="a", behind="b").energy(batch)
    >>> bool((energy == -lm.score(lm.vocabulary.encode(["ba", "ba"]), ["aabb", "abb"]).log_prob).all())
    True
    """

    lm: CausalLM = DEFAULT_CAUSAL_LM
    answer: str | Sequence[str] = ()
    _: KW_ONLY
    before: str | Sequence[str] = ""
    behind: str | Sequence[str] = ""
    _given: tuple[PerInput[str], PerInput[str], PerInput[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        instance("lm", self.lm, CAUSAL)
        names = ("answer", "before", "behind")
        answer, before, behind = (text_per_input(name, getattr(self, name)) for name in names)
        if not all(one.strip() for one in answer.values):
            raise ValueError(f"answer={self.answer!r} is empty in places: leave the term out there")
        keep(self, answer=answer.values, before=before.values, behind=behind.values, _given=(answer, before, behind))

    @property
    def cost(self) -> Cost:
        """One model pass."""
        return Cost.MODEL

    @property
    def lower_bound(self) -> float:
        """No probability is above 1."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats an answer, its end included."""
        return self._energy(batch, None)

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        """(B,) nats an answer; +inf where its beginning is already above the limit."""
        return self._energy(batch, -limit.energy)

    def _energy(self, batch: Batch, least: Tensor | None) -> Tensor:
        answers, before, behind = (one.rows(batch) for one in self._given)
        prompts = [first + text + last for first, text, last in zip(before, batch.texts(), behind, strict=True)]
        # in the model's own tokens where it tells them: those of the batch may lose the capitals of an answer
        asked = getattr(self.lm, "vocabulary", batch.vocabulary).encode(answers).to(batch.device)
        return -self.lm.score(asked, prompts, least).log_prob

    def check(self, batch: Batch) -> None:
        """Each input has its answer, and what stands around its text."""
        for one in self._given:
            one.check(batch)
