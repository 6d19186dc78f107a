"""AsFluentAs: how much less likely a text is than the one of some examples that it is nearest to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.diversity import Grams, bleu_of, grams, plain_words
from textsearch.batch import Batch
from textsearch.checks import keep, positive, string
from textsearch.kinds import CAUSAL, instance
from textsearch.models.protocols import CausalLM
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, list_per_input, paired, text_per_input


@final
@dataclass(frozen=True)
class AsFluentAs(Objective):
    """max(0, -log p(text) - level of the example that is nearest * number of tokens) nats, the end counted.

    A model's likeliest texts are no better than typical ones (Meister et al., 2023): they are shorter and say less, and
    as paraphrases they are copies. Among draws of a model this term does not choose, so that others can; what is made
    of one by edits must be as likely, token by token, as that one is. Nearest is the example of the highest BLEU.

    Attributes:
        examples: texts, one list for all inputs or one for each: row r is judged by `examples[batch.inputs[r]]`.
        levels: of each example, its nats a token.
        lm: scores the texts.
        prompt: what the model reads first, one for all inputs or one for each.

    Raises:
        ValueError: an input without examples, or levels that do not suit them or are not positive.
    """

    examples: Sequence[str] | Sequence[Sequence[str]]
    levels: Sequence[float] | Sequence[Sequence[float]]
    lm: CausalLM
    prompt: str | Sequence[str] = ""
    _known: PerInput[tuple[tuple[float, Grams], ...]] = field(init=False, repr=False, compare=False)
    _prompts: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        instance("lm", self.lm, CAUSAL)
        examples = list_per_input("examples", self.examples, string, "texts")
        levels = list_per_input("levels", self.levels, positive, "numbers")
        given = text_per_input("prompt", self.prompt, "prompts")
        keep(self, examples=examples.values, levels=levels.values, prompt=given.values)
        keep(self, _known=paired(examples, levels).map(lambda pair: _counted(*pair)), _prompts=given)

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "as fluent"

    @property
    def cost(self) -> Cost:
        """One model pass."""
        return Cost.MODEL

    @property
    def lower_bound(self) -> float:
        """That of a text which is likely enough."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        scores = self.lm.score(batch, self._prompts.one_or_rows(batch))
        found = []
        for text, known in zip(batch.texts(), self._known.rows(batch), strict=True):
            own = grams(tuple(plain_words(text)))
            # of several that are as near, the one that asks for least: an example costs nothing
            found.append(max((bleu_of(own, other), level) for level, other in known)[1])
        levels = torch.tensor(found, dtype=torch.float64, device=batch.device)
        return (-scores.log_prob - levels * scores.tokens).clamp(min=0.0)

    def check(self, batch: Batch) -> None:
        """Each input has its prompt and its examples."""
        self._prompts.check(batch)
        self._known.check(batch)


def _counted(texts: Sequence[str], levels: Sequence[float]) -> tuple[tuple[float, Grams], ...]:
    if len(levels) != len(texts):
        raise ValueError(f"levels={list(levels)} do not suit {len(texts)} examples: give each one")
    pairs = zip(levels, texts, strict=True)
    return tuple((level, grams(tuple(plain_words(text)))) for level, text in pairs)
